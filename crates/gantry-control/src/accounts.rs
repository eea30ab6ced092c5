//! Virtual accounts and their tokens.

use crate::manifests::{Stored, StoredSet};
use crate::mint::{self, Claims};
use crate::publish::account_end_ms;
use crate::{Control, Error, read, to_the_end};
use gantry_kinds::kinds::VirtualAccount;
use gantry_kinds::kinds::virtual_account::{self, TokenType};
use gantry_model::ids::UnixMs;
use gantry_model::rest::StoredManifest;
use gantry_model::secret::Secret;
use gantry_model::snapshot::Caller;
use gantry_store::{AuditEntry, Purpose, Token, Tx, sha256_hex};

/// A virtual account with what is known of its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub stored: StoredManifest,
    pub tokens: Vec<Token>,
    /// Whether no token of it is accepted any more because their time is over.
    pub expired: bool,
}

impl Control {
    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let set = StoredSet::load(&mut tx, &self.0.registry).await?;
        let tokens = tx.tokens().await?;
        let now_ms = tx.now_ms();
        Ok(set.iter().filter_map(|stored| account(stored, &tokens, now_ms)).collect())
    }

    /// Makes a further token; earlier ones end after `grace_ms`. Returns the token, once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account.
    pub async fn regenerate_token(
        &self,
        caller: &Caller,
        name: &str,
        grace_ms: u64,
    ) -> Result<Secret, Error> {
        let (control, actor, name) = (self.clone(), caller.subject.clone(), name.to_owned());
        to_the_end(async move {
            let mut tx = control.0.store.write(&control.0.tenant).await?;
            let set = StoredSet::load(&mut tx, &control.0.registry).await?;
            let account = set.virtual_account(&name).ok_or_else(|| not_usable(&set, &name))?;
            let end = tx.now_ms().saturating_add(grace_ms);
            for token in of_account(&tx.tokens().await?, &name) {
                if token.expires_at_ms.is_none_or(|expires| end < expires) {
                    tx.set_token_expiry(&token.id, Some(end)).await?;
                }
            }
            let token = mint(&control, &mut tx, account, &actor).await?;
            tx.commit().await?;
            control.announce().await;
            Ok(token)
        })
        .await
    }

    /// Ends one token of an account.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account has no such token.
    pub(crate) async fn revoke_account_token(
        &self,
        caller: &Caller,
        name: &str,
        id: &str,
    ) -> Result<(), Error> {
        let subject = subject(name);
        self.revoke(caller, id, move |token| token.subject == subject).await
    }
}

pub(crate) fn no_account(name: &str) -> Error {
    Error::NotFound(format!(
        "there is no virtual-account named {name:?}; `gantry get virtual-account` lists them"
    ))
}

/// Why no token can be made for an account.
fn not_usable(set: &StoredSet, name: &str) -> Error {
    match set.opaque(virtual_account::KIND, name) {
        Some(opaque) => Error::Conflict(opaque.advice()),
        None => no_account(name),
    }
}

fn subject(name: &str) -> String {
    format!("virtualaccount:{name}")
}

fn of_account(tokens: &[Token], name: &str) -> Vec<Token> {
    let subject = subject(name);
    let mine = |t: &&Token| t.purpose == Purpose::VirtualAccount && t.subject == subject;
    tokens.iter().filter(mine).cloned().collect()
}

fn account(stored: &Stored, tokens: &[Token], now_ms: UnixMs) -> Option<Account> {
    let manifest = stored.manifest.as_::<VirtualAccount>()?;
    let tokens = of_account(tokens, &manifest.name);
    let ended = account_end_ms(manifest).is_some_and(|end| end <= now_ms);
    let expired = ended || !tokens.iter().any(|token| token.live(now_ms));
    Some(Account { stored: read::view(stored), tokens, expired })
}

/// Makes a token for the account and stores its digest.
pub(crate) async fn mint(
    control: &Control,
    tx: &mut Tx,
    account: &VirtualAccount,
    actor: &str,
) -> Result<Secret, Error> {
    let (id, subject) = (mint::id()?, subject(&account.name));
    let end = account_end_ms(account);
    let token = match account.token_type {
        Some(TokenType::Jwt) => {
            let exp = end.unwrap_or_else(|| tx.now_ms().saturating_add(mint::JWT_LIFE_MS));
            control.0.signer.sign(&Claims {
                jti: &id,
                sub: &subject,
                tenant_name: control.tenant(),
                username: &account.name,
                subject_type: "serviceaccount",
                iat: mint::seconds(tx.now_ms()),
                exp: mint::seconds(exp),
            })?
        }
        Some(TokenType::Opaque) | None => mint::opaque()?,
    };
    let jwt = account.token_type == Some(TokenType::Jwt);
    let jwt_end = tx.now_ms().saturating_add(mint::JWT_LIFE_MS);
    tx.add_token(&Token {
        id: id.clone(),
        sha256: sha256_hex(token.expose().as_bytes()),
        purpose: Purpose::VirtualAccount,
        name: account.name.clone(),
        subject,
        format: if jwt { "jwt" } else { "opaque" }.to_owned(),
        created_at_ms: tx.now_ms(),
        // An opaque token follows the manifest's date; a JWT carries its end in itself.
        expires_at_ms: jwt.then(|| end.unwrap_or(jwt_end)),
        revoked_at_ms: None,
    })
    .await?;
    tx.audit(&AuditEntry {
        actor: actor.to_owned(),
        action: "token.create".to_owned(),
        kind: virtual_account::KIND.to_owned(),
        name: account.name.clone(),
        after: Some(format!("{{\"token_id\":\"{id}\"}}")),
        ..AuditEntry::default()
    })
    .await?;
    Ok(token)
}
