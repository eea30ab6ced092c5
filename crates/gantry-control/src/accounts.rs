//! Virtual accounts and their tokens.

use crate::manifests::{Stored, StoredSet};
use crate::mint::{self, Claims};
use crate::publish::account_end_ms;
use crate::rows::Opaque;
use crate::{Control, Error, read, to_the_end, tokens};
use gantry_kinds::kinds::VirtualAccount;
use gantry_kinds::kinds::virtual_account::{self, TokenType};
use gantry_kinds::registry::Registry;
use gantry_model::ids::UnixMs;
use gantry_model::rest::StoredManifest;
use gantry_model::secret::Secret;
use gantry_model::snapshot::Caller;
use gantry_store::{AuditEntry, Purpose, Token, TokenFilter, Tx, sha256_hex};
use std::collections::HashMap;

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
        let all = TokenFilter { purpose: Some(Purpose::VirtualAccount), ..TokenFilter::default() };
        let mut tokens: HashMap<String, Vec<Token>> = HashMap::new();
        for token in tx.tokens(all).await? {
            tokens.entry(token.subject.clone()).or_default().push(token);
        }
        let now_ms = tx.now_ms();
        Ok(set.iter().filter_map(|stored| account(stored, &mut tokens, now_ms)).collect())
    }

    /// One account.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of this name, [`Error::Conflict`] when this version
    /// cannot read it.
    pub(crate) async fn account(&self, name: &str) -> Result<Account, Error> {
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let stored = stored(&mut tx, &self.0.registry, name).await?;
        let subject = subject(name);
        let tokens = tx.tokens(tokens::of(Purpose::VirtualAccount, &subject)).await?;
        let mut tokens = HashMap::from([(subject, tokens)]);
        account(&stored, &mut tokens, tx.now_ms()).ok_or_else(|| no_account(name))
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
            let stored = stored(&mut tx, &control.0.registry, &name).await?;
            let account = stored.manifest.as_().ok_or_else(|| no_account(&name))?;
            let end = tx.now_ms().saturating_add(grace_ms);
            for token in tx.tokens(tokens::of(Purpose::VirtualAccount, &subject(&name))).await? {
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

fn no_account(name: &str) -> Error {
    Error::NotFound(format!(
        "there is no virtual-account named {name:?}; `gantry get virtual-account` lists them"
    ))
}

/// The account as it is stored, or why it cannot be used.
async fn stored(tx: &mut Tx, registry: &Registry, name: &str) -> Result<Stored, Error> {
    let resource = tx.resource(virtual_account::KIND, name).await?;
    let resource = resource.ok_or_else(|| no_account(name))?;
    match registry.restore(&resource.spec) {
        Ok(manifest) => Ok(Stored { resource, manifest }),
        Err(why) => {
            let why = why.to_string();
            Err(Error::Conflict(Opaque { resource, why }.advice()))
        }
    }
}

fn subject(name: &str) -> String {
    format!("virtualaccount:{name}")
}

/// An account with its tokens out of those of all subjects.
fn account(
    stored: &Stored,
    tokens: &mut HashMap<String, Vec<Token>>,
    now_ms: UnixMs,
) -> Option<Account> {
    let manifest = stored.manifest.as_::<VirtualAccount>()?;
    let tokens = tokens.remove(&subject(&manifest.name)).unwrap_or_default();
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
    let row = Token {
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
    };
    tokens::add(tx, &row).await?;
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
