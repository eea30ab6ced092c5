//! People, their own tokens, and the tokens of remote gateways.

use crate::bootstrap;
use crate::mint::{self, Claims};
use crate::{Control, Error, time, to_the_end, tokens};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use gantry_model::snapshot::Caller;
use gantry_store::{Purpose, Token, TokenFilter, User, sha256_hex};

/// What a new token shall be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// Unique among the owner's tokens.
    pub name: String,
    /// A day `yyyy-mm-dd` or a moment (RFC 3339).
    pub expiration_date: Option<String>,
    /// A JWT instead of an opaque token.
    pub jwt: bool,
    /// The end of the token that asks for it, which it may not outlive.
    pub ends_by_ms: Option<UnixMs>,
}

impl Control {
    /// The tenant's users.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        Ok(self.0.store.read(&self.0.tenant).await?.users().await?)
    }

    /// The caller's own tokens.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn personal_tokens(&self, caller: &Caller) -> Result<Vec<Token>, Error> {
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        Ok(tx.tokens(tokens::of(Purpose::Personal, &caller.subject)).await?)
    }

    /// Makes a token for the caller, with the caller's rights.
    ///
    /// # Errors
    /// When the caller is not a person, the name is taken, or the date is malformed, past, or later
    /// than the new token may end.
    pub async fn create_personal_token(
        &self,
        caller: &Caller,
        new: NewToken,
    ) -> Result<Secret, Error> {
        let Some(email) = caller.subject.strip_prefix("user:").map(str::to_owned) else {
            return Err(Error::Forbidden(format!(
                "{} is not a person and has no personal tokens; for a virtual account use \
                 regenerate-token",
                caller.subject
            )));
        };
        check_token_name(&new.name)?;
        let now_ms = self.0.clock.unix_ms();
        let expires_at_ms = end_of(&new, now_ms)?;
        let id = mint::id()?;
        let (clear, expires_at_ms) = if new.jwt {
            let end = expires_at_ms.unwrap_or_else(|| now_ms.saturating_add(mint::JWT_LIFE_MS));
            let claims = Claims {
                jti: &id,
                sub: &caller.subject,
                tenant_name: self.tenant(),
                username: &email,
                subject_type: "user",
                iat: mint::seconds(now_ms),
                exp: mint::seconds(end),
            };
            (self.0.signer.sign(&claims)?, Some(end))
        } else {
            (mint::opaque()?, expires_at_ms)
        };
        let token = Token {
            id,
            sha256: sha256_hex(clear.expose().as_bytes()),
            purpose: Purpose::Personal,
            name: new.name,
            subject: caller.subject.clone(),
            format: if new.jwt { "jwt" } else { "opaque" }.to_owned(),
            created_at_ms: now_ms,
            expires_at_ms,
            revoked_at_ms: None,
        };
        self.add(caller, token).await?;
        Ok(clear)
    }

    /// Ends one of the caller's own tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller has no such token, [`Error::Conflict`] when it is the
    /// last one that works.
    pub async fn revoke_personal_token(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let subject = caller.subject.clone();
        let mine = move |t: &Token| t.purpose == Purpose::Personal && t.subject == subject;
        self.revoke(caller, id, mine).await
    }

    /// Makes a token for a remote gateway. It opens the snapshot with all its secrets, so it is
    /// worth as much as all of them.
    ///
    /// # Errors
    /// When the name is malformed, or there are too many already.
    pub async fn create_gateway_token(&self, caller: &Caller, name: &str) -> Result<Secret, Error> {
        check_token_name(name)?;
        let clear = mint::opaque()?;
        let token = Token {
            id: mint::id()?,
            sha256: sha256_hex(clear.expose().as_bytes()),
            purpose: Purpose::Gateway,
            name: name.to_owned(),
            subject: format!("gateway:{name}"),
            format: "opaque".to_owned(),
            created_at_ms: self.0.clock.unix_ms(),
            expires_at_ms: None,
            revoked_at_ms: None,
        };
        self.add(caller, token).await?;
        Ok(clear)
    }

    /// The tokens of all remote gateways.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn gateway_tokens(&self) -> Result<Vec<Token>, Error> {
        let all = TokenFilter { purpose: Some(Purpose::Gateway), ..TokenFilter::default() };
        Ok(self.0.store.read(&self.0.tenant).await?.tokens(all).await?)
    }

    /// Ends the token of a remote gateway, which then serves on with the snapshot that it has.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none with this id.
    pub async fn revoke_gateway_token(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        self.revoke(caller, id, |token| token.purpose == Purpose::Gateway).await
    }

    /// Makes a further token of the administrator, for who has the data directory but lost the
    /// first token.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn create_admin_token(&self, name: &str) -> Result<Secret, Error> {
        check_token_name(name)?;
        let (control, name) = (self.clone(), name.to_owned());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            tokens::check_free(&mut tx, bootstrap::ADMIN_SUBJECT, &name).await?;
            let token = bootstrap::admin_token(&mut tx, &name).await?;
            tx.commit().await?;
            control.announce().await;
            Ok(token)
        })
        .await
    }

    async fn add(&self, caller: &Caller, token: Token) -> Result<(), Error> {
        let (control, actor) = (self.clone(), caller.subject.clone());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            if token.purpose == Purpose::Personal {
                tokens::check_free(&mut tx, &token.subject, &token.name).await?;
            }
            tokens::make(&mut tx, &actor, &token).await?;
            tx.commit().await?;
            control.announce().await;
            Ok(())
        })
        .await
    }

    /// Ends the token with this id if `mine` says that the caller may.
    pub(crate) async fn revoke(
        &self,
        caller: &Caller,
        id: &str,
        mine: impl Fn(&Token) -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let (control, actor, id) = (self.clone(), caller.subject.clone(), id.to_owned());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            let token = tx.token(&id).await?.filter(mine).ok_or_else(|| {
                let text = "`gantry token --list` shows those there are";
                Error::NotFound(format!("there is no token with id {id:?}; {text}"))
            })?;
            tokens::check_not_last(&mut tx, &token, control.0.clock.unix_ms()).await?;
            tokens::end(&mut tx, &actor, &token).await?;
            tx.commit().await?;
            control.announce().await;
            Ok(())
        })
        .await
    }
}

/// When a new token ends: on its date, else with the token that asks for it.
fn end_of(new: &NewToken, now_ms: UnixMs) -> Result<Option<UnixMs>, Error> {
    let Some(end) = new.expiration_date.as_deref().map(moment).transpose()? else {
        return Ok(new.ends_by_ms);
    };
    if end <= now_ms {
        return Err(Error::BadRequest("expirationDate lies in the past".to_owned()));
    }
    match new.ends_by_ms.filter(|last| *last < end) {
        None => Ok(Some(end)),
        Some(last) => Err(Error::BadRequest(format!(
            "expirationDate lies after {}, the end of the token that asks; leave it out to have \
             that end, or ask with a token that lives longer",
            time::rfc3339(last)
        ))),
    }
}

fn moment(text: &str) -> Result<UnixMs, Error> {
    time::moment_ms(text).ok_or_else(|| {
        Error::BadRequest(format!(
            "expirationDate {text:?} is malformed: expected yyyy-mm-dd or a time such as \
             2026-12-31T00:00:00Z"
        ))
    })
}

fn check_token_name(name: &str) -> Result<(), Error> {
    let good = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if good {
        return Ok(());
    }
    Err(Error::BadRequest(format!(
        "name {name:?} is malformed: expected 1 to 64 letters, digits, `-`, `_` or `.`"
    )))
}
