//! Tokens as digests: a token itself is stored nowhere.

use crate::list::{self, Key, Order, Page, Paging, Select};
use crate::statement::{Statement, Value};
use crate::values::{from_sql, to_sql};
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

/// Which tokens a list shows: those that meet every condition given. Revoked ones are in none.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenFilter<'a> {
    pub purpose: Option<Purpose>,
    /// The whole subject, such as `user:a@acme.example`.
    pub subject: Option<&'a str>,
    pub name: Option<&'a str>,
    /// Leaves out the expired ones.
    pub live: bool,
}

type Row = (String, String, String, String, String, String, i64, Option<i64>, Option<i64>);

const SELECT: &str = "SELECT id, sha256, purpose, name, subject, format, created_at_ms, \
                      expires_at_ms, revoked_at_ms FROM tokens \
                      WHERE tenant = $1 AND revoked_at_ms IS NULL";

const LIVE: &str = "(expires_at_ms IS NULL OR expires_at_ms > ?)";

const ORDER: Order = Order { name: "tokens", keys: &[Key::Int("created_at_ms"), Key::Text("id")] };

impl Tx {
    /// All tokens that a list of this filter would show, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&mut self, filter: TokenFilter<'_>) -> Result<Vec<Token>, Error> {
        let select = self.selected(filter).all(ORDER);
        self.connection.all(select).await?.into_iter().map(token).collect()
    }

    /// The token with this id, unless it was revoked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn token(&mut self, id: &str) -> Result<Option<Token>, Error> {
        let select = Select::new(SELECT, &self.tenant).equals("id", Some(id)).all(ORDER);
        self.connection.first(select).await?.map(token).transpose()
    }

    /// One page of the tokens that were not revoked, oldest first.
    ///
    /// # Errors
    /// [`Error::BadCursor`], or when the database cannot be read.
    pub async fn token_page(
        &mut self,
        filter: TokenFilter<'_>,
        paging: &Paging,
    ) -> Result<Page<Token>, Error> {
        let select = self.selected(filter).page(ORDER, paging)?;
        let rows: Vec<Row> = self.connection.all(select).await?;
        let tokens = rows.into_iter().map(token).collect::<Result<_, _>>()?;
        let place = |token: &Token| vec![token.created_at_ms.to_string(), token.id.clone()];
        list::page(tokens, ORDER, paging, place)
    }

    fn selected(&self, filter: TokenFilter<'_>) -> Select {
        let select = Select::new(SELECT, &self.tenant)
            .equals("purpose", filter.purpose.map(Purpose::as_str))
            .equals("subject", filter.subject)
            .equals("name", filter.name);
        match filter.live {
            true => select.and(LIVE, vec![Value::from(to_sql(self.now_ms))]),
            false => select,
        }
    }

    /// How many tokens of a subject are accepted at this moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn live_tokens(&mut self, purpose: Purpose, subject: &str) -> Result<u64, Error> {
        let select = Statement::new(
            "SELECT COUNT(*) FROM tokens WHERE tenant = $1 AND revoked_at_ms IS NULL \
             AND purpose = $2 AND subject = $3 \
             AND (expires_at_ms IS NULL OR expires_at_ms > $4)",
        )
        .bind(&self.tenant)
        .bind(purpose.as_str())
        .bind(subject)
        .bind(to_sql(self.now_ms));
        let count: Option<(i64,)> = self.connection.first(select).await?;
        from_sql("tokens", count.map_or(0, |(count,)| count))
    }

    /// Removes the tokens that had ended before `before_ms`, expired or revoked; returns how many.
    /// No gateway has them any more, so it makes no new generation.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_ended_tokens(&mut self, before_ms: UnixMs) -> Result<u64, Error> {
        // What has not ended yet is nobody's to remove, whatever the caller says.
        let before = to_sql(before_ms.min(self.now_ms));
        let delete = Statement::new(
            "DELETE FROM tokens WHERE tenant = $1 AND (revoked_at_ms < $2 OR expires_at_ms < $2)",
        )
        .bind(&self.tenant)
        .bind(before);
        self.connection.execute(delete).await
    }

    /// Stores a new token's digest.
    ///
    /// # Errors
    /// [`Error::Exists`] when its id or digest is there already, or when the database cannot be
    /// written.
    pub async fn add_token(&mut self, token: &Token) -> Result<(), Error> {
        self.touch();
        let insert = Statement::new(
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
        .bind(token.expires_at_ms.map(to_sql));
        self.connection.execute(insert).await?;
        Ok(())
    }

    /// Moves a token's end; `None`: it never ends.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_token_expiry(&mut self, id: &str, end: Option<UnixMs>) -> Result<(), Error> {
        self.touch();
        let update =
            Statement::new("UPDATE tokens SET expires_at_ms = $1 WHERE tenant = $2 AND id = $3")
                .bind(end.map(to_sql))
                .bind(&self.tenant)
                .bind(id);
        self.connection.execute(update).await?;
        Ok(())
    }

    /// Ends a token for good.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_token(&mut self, id: &str) -> Result<(), Error> {
        self.touch();
        let update = Statement::new(
            "UPDATE tokens SET revoked_at_ms = $1 \
             WHERE tenant = $2 AND id = $3 AND revoked_at_ms IS NULL",
        )
        .bind(to_sql(self.now_ms))
        .bind(&self.tenant)
        .bind(id);
        self.connection.execute(update).await?;
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
