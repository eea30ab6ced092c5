//! Tokens as digests: a token itself is stored nowhere.

use crate::tx::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::UnixMs;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A person's own token.
    Personal,
    /// The token of a virtual account.
    VirtualAccount,
    /// A remote gateway's token: it reads snapshots with all secrets and sends records.
    Gateway,
}

impl Purpose {
    /// The stored spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::VirtualAccount => "virtual-account",
            Self::Gateway => "gateway",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Personal, Self::VirtualAccount, Self::Gateway]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }
}

/// Everything known of a token but the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: String,
    /// SHA-256 of the whole token, 64 lower-case hex digits.
    pub sha256: String,
    pub purpose: Purpose,
    /// Shown in lists and records.
    pub name: String,
    /// Whom it stands for: `user:…`, `virtualaccount:…`, `gateway:…`.
    pub subject: String,
    /// `opaque` or `jwt`.
    pub format: String,
    pub created_at_ms: UnixMs,
    /// From this moment on it is refused; `None`: never.
    pub expires_at_ms: Option<UnixMs>,
    pub revoked_at_ms: Option<UnixMs>,
}

impl Token {
    /// Whether it is accepted at `now_ms`.
    #[must_use]
    pub fn live(&self, now_ms: UnixMs) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|end| now_ms < end)
    }
}

type Row = (String, String, String, String, String, String, i64, Option<i64>, Option<i64>);

impl Tx {
    /// All tokens that were not revoked, expired ones too, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&mut self) -> Result<Vec<Token>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, sha256, purpose, name, subject, format, created_at_ms, expires_at_ms, \
             revoked_at_ms FROM tokens WHERE tenant = $1 AND revoked_at_ms IS NULL \
             ORDER BY created_at_ms, id",
        )
        .bind(&self.tenant)
        .fetch_all(&mut *self.inner)
        .await?;
        rows.into_iter().map(token).collect()
    }

    /// Stores a new token's digest.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_token(&mut self, token: &Token) -> Result<(), Error> {
        self.touch();
        sqlx::query(
            "INSERT INTO tokens (id, tenant, sha256, purpose, name, subject, format, \
             created_at_ms, expires_at_ms, revoked_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL)",
        )
        .bind(&token.id)
        .bind(&self.tenant)
        .bind(&token.sha256)
        .bind(token.purpose.as_str())
        .bind(&token.name)
        .bind(&token.subject)
        .bind(&token.format)
        .bind(to_sql(self.now_ms))
        .bind(token.expires_at_ms.map(to_sql))
        .execute(&mut *self.inner)
        .await?;
        Ok(())
    }

    /// Moves a token's end; `None`: it never ends.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_token_expiry(&mut self, id: &str, end: Option<UnixMs>) -> Result<(), Error> {
        self.touch();
        sqlx::query("UPDATE tokens SET expires_at_ms = $1 WHERE tenant = $2 AND id = $3")
            .bind(end.map(to_sql))
            .bind(&self.tenant)
            .bind(id)
            .execute(&mut *self.inner)
            .await?;
        Ok(())
    }

    /// Ends a token for good.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_token(&mut self, id: &str) -> Result<(), Error> {
        self.touch();
        sqlx::query(
            "UPDATE tokens SET revoked_at_ms = $1 \
             WHERE tenant = $2 AND id = $3 AND revoked_at_ms IS NULL",
        )
        .bind(to_sql(self.now_ms))
        .bind(&self.tenant)
        .bind(id)
        .execute(&mut *self.inner)
        .await?;
        Ok(())
    }
}

fn token(row: Row) -> Result<Token, Error> {
    let (id, sha256, purpose, name, subject, format, created, expires, revoked) = row;
    let time = |value: Option<i64>| value.map(|v| from_sql("tokens", v)).transpose();
    Ok(Token {
        id,
        sha256,
        purpose: Purpose::parse(&purpose).ok_or_else(|| Error::BadRow {
            table: "tokens",
            problem: format!("unknown purpose {purpose}"),
        })?,
        name,
        subject,
        format,
        created_at_ms: from_sql("tokens", created)?,
        expires_at_ms: time(expires)?,
        revoked_at_ms: time(revoked)?,
    })
}
