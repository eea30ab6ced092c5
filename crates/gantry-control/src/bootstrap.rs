//! The first start: tenant, administrator, token, signing key. A second start finds them.

use crate::mint::{self, Signer};
use crate::{DEFAULT_TENANT, Error, tokens};
use gantry_model::secret::Secret;
use gantry_store::{Purpose, Store, Token, Tx, sha256_hex};

/// What a first start made. Print it; the token cannot be shown again.
#[derive(Clone, Debug)]
pub struct FirstStart {
    pub tenant: String,
    /// The administrator's email.
    pub admin: String,
    pub token: Secret,
}

/// Email of the administrator that a first start creates.
const ADMIN: &str = "admin@localhost";

/// The same as the subject of tokens.
pub(crate) const ADMIN_SUBJECT: &str = "user:admin@localhost";

/// Reference of the key that signs JWTs. No manifest can spell it: references begin with
/// `tfy-secret://` or `env://`.
const SIGNING_KEY: &str = "gantry-internal:jwt-signing-key";

/// Name of the tenant: the stored one, else a new one.
pub(crate) async fn tenant(store: &Store, wanted: Option<String>) -> Result<String, Error> {
    let stored = store.tenants().await?;
    match (wanted, stored.into_iter().next()) {
        (Some(wanted), Some(stored)) if wanted != stored => Err(Error::Conflict(format!(
            "this store belongs to tenant {stored:?}, not to {wanted:?}; use another directory or \
             database, or leave the tenant's name out"
        ))),
        (_, Some(stored)) => Ok(stored),
        (wanted, None) => {
            let name = wanted.unwrap_or_else(|| DEFAULT_TENANT.to_owned());
            check_name(&name)?;
            store.create_tenant(&name).await?;
            Ok(name)
        }
    }
}

/// Makes what is missing, in one transaction.
pub(crate) async fn setup(
    store: &Store,
    tenant: &str,
) -> Result<(Signer, Option<FirstStart>), Error> {
    let mut tx = store.write(tenant).await?;
    let key = match tx.secret(SIGNING_KEY).await? {
        Some(key) => key,
        None => {
            let key = Signer::generate()?;
            tx.put_secret(SIGNING_KEY, "", &key).await?;
            key
        }
    };
    let first_start = if tx.users().await?.is_empty() {
        tx.put_user(ADMIN, true, &[]).await?;
        let token = admin_token(&mut tx, "first-start").await?;
        Some(FirstStart { tenant: tenant.to_owned(), admin: ADMIN.to_owned(), token })
    } else {
        None
    };
    tx.commit().await?;
    Ok((Signer::restore(&key)?, first_start))
}

/// A further token of the administrator: for who lost the first one but has the data directory.
pub(crate) async fn admin_token(tx: &mut Tx, name: &str) -> Result<Secret, Error> {
    let token = mint::opaque()?;
    let row = Token {
        id: mint::id()?,
        sha256: sha256_hex(token.expose().as_bytes()),
        purpose: Purpose::Personal,
        name: name.to_owned(),
        subject: ADMIN_SUBJECT.to_owned(),
        format: "opaque".to_owned(),
        created_at_ms: tx.now_ms(),
        expires_at_ms: None,
        revoked_at_ms: None,
    };
    tokens::make(tx, "system:gantry", &row).await?;
    Ok(token)
}

fn check_name(name: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(Error::BadRequest(format!(
        "tenant name {name:?} is malformed: expected 1 to 63 lower-case letters, digits and \
         inner hyphens"
    )))
}
