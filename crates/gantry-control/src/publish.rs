//! From committed state to what gateways and the REST API's own authentication use.

use crate::manifests::StoredSet;
use crate::rows::Opaque;
use crate::{Control, Error, Inner, time};
use gantry_kinds::kinds::VirtualAccount;
use gantry_kinds::roles;
use gantry_kinds::secrets;
use gantry_kinds::snapshot::{Caller, KeyEntry, Reach, SnapshotSource, Unresolved, assemble};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use gantry_runtime::errors::sentence;
use gantry_runtime::tasks::spawn;
use gantry_store::{Purpose, Token, Tx, User, sha256_hex};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Pause after a publication that failed.
const PUBLISH_PAUSE: Duration = Duration::from_secs(1);

/// Everything derived from one generation.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub source: Arc<SnapshotSource>,
    /// By the token's digest.
    pub callers: HashMap<String, KeyEntry>,
    /// Remote gateways' tokens by digest. They are not in snapshots.
    pub gateways: HashMap<String, GatewayKey>,
    pub unresolved: Vec<Unresolved>,
    /// What is left out because this version cannot read it: kind, name and why.
    pub left_out: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct GatewayKey {
    /// Digest of the token.
    pub sha256: String,
    pub name: String,
    pub expires_at_ms: Option<UnixMs>,
}

impl Control {
    /// Reads the committed state and makes it known, unless something newer already is.
    pub(crate) async fn publish(&self) -> Result<(), Error> {
        let _one_at_a_time = self.0.publishing.lock().await;
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let published = build(&self.0, &mut tx).await?;
        let source = published.source.clone();
        if source.generation < self.snapshot().generation {
            return Ok(());
        }
        tracing::debug!(
            generation = source.generation.0,
            manifests = source.manifests.len(),
            keys = source.keys.len(),
            "snapshot published"
        );
        if !published.left_out.is_empty() && published.left_out != self.0.published.load().left_out
        {
            let rows = published.left_out.join("; ");
            tracing::warn!(rows, "stored manifests are left out: this version cannot read them");
        }
        self.0.published.store(Arc::new(published));
        self.0.snapshots.send_replace(source);
        Ok(())
    }

    /// Makes a change known that is committed. It stands even when its publication fails, which is
    /// then tried again until it succeeds.
    pub(crate) async fn announce(&self) {
        let Err(error) = self.publish().await else { return };
        tracing::error!(
            error = sentence(&error),
            "a stored change is not published yet, trying again"
        );
        let control = self.clone();
        spawn("publish again", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(PUBLISH_PAUSE) => {}
                    () = control.0.shutdown.wait() => return,
                }
                if control.publish().await.is_ok() {
                    tracing::info!("the stored changes are published");
                    return;
                }
            }
        });
    }
}

async fn build(control: &Inner, tx: &mut Tx) -> Result<Published, Error> {
    let set = StoredSet::load(tx, &control.registry).await?;
    let manifests: Vec<_> = set.manifests().cloned().collect();
    let (tokens, users) = (tx.tokens().await?, tx.users().await?);
    let keys = keys((&tokens, &users), &set, &control.tenant, tx.now_ms());
    let mut values = BTreeMap::new();
    for manifest in &manifests {
        for reference in secrets::references(manifest) {
            let value = resolve(control, tx, &reference).await?;
            values.insert(reference, value);
        }
    }
    let source = SnapshotSource {
        generation: tx.generation(),
        tenant: control.tenant.clone(),
        manifests,
        keys,
        jwt_keys: vec![control.signer.public().clone()],
        ..SnapshotSource::default()
    };
    let (mut source, unresolved) = assemble(source, Reach::OwnTenant, &mut |reference| {
        values.get(reference).cloned().unwrap_or_else(|| Err("not looked up".to_owned()))
    });
    // The generation counts changes of the database. A variable may change without one, and a
    // restored database counts from where it was.
    source.digest = digest(&source)?;
    source.published_at_ms = tx.now_ms();
    Ok(Published {
        callers: source.keys.iter().map(|key| (key.sha256.clone(), key.clone())).collect(),
        gateways: gateways(&tokens),
        source: Arc::new(source),
        unresolved,
        left_out: set.opaques().map(Opaque::named).collect(),
    })
}

fn digest(source: &SnapshotSource) -> Result<String, Error> {
    let text = serde_json::to_vec(source)
        .map_err(|error| Error::Internal(format!("write a snapshot as JSON: {error}")))?;
    Ok(sha256_hex(&text))
}

/// The value of a reference, or why there is none.
pub(crate) async fn resolve(
    control: &Inner,
    tx: &mut Tx,
    reference: &str,
) -> Result<Result<Secret, String>, Error> {
    if let Some(name) = reference.strip_prefix("env://") {
        let value = (control.environment)(name).ok_or_else(|| {
            format!(
                "the variable {name} is not set where the control plane runs; set it there and \
                 restart, or give the value itself, which is stored sealed"
            )
        });
        return Ok(value.and_then(|value| secrets::of_variable(name, value.expose())));
    }
    if reference.starts_with("tfy-secret://") {
        return Ok(tx.secret(reference).await?.ok_or_else(|| {
            format!(
                "nothing is stored under {reference}; give the value itself once, and it is \
                 stored under a reference of its own"
            )
        }));
    }
    Ok(Err("references begin with env:// or tfy-secret://".to_owned()))
}

fn gateways(tokens: &[Token]) -> HashMap<String, GatewayKey> {
    tokens
        .iter()
        .filter(|token| token.purpose == Purpose::Gateway)
        .map(|token| {
            let key = GatewayKey {
                sha256: token.sha256.clone(),
                name: token.name.clone(),
                expires_at_ms: token.expires_at_ms,
            };
            (token.sha256.clone(), key)
        })
        .collect()
}

/// Tokens that stand for somebody who exists, with the rights of this moment.
fn keys(
    (tokens, users): (&[Token], &[User]),
    set: &StoredSet,
    tenant: &str,
    now_ms: UnixMs,
) -> Vec<KeyEntry> {
    tokens
        .iter()
        .filter_map(|token| match token.purpose {
            Purpose::Personal => personal_key(token, users),
            Purpose::VirtualAccount => account_key(token, set, tenant),
            Purpose::Gateway => None,
        })
        .filter(|key| key.expires_at_ms.is_none_or(|end| now_ms < end))
        .collect()
}

fn personal_key(token: &Token, users: &[User]) -> Option<KeyEntry> {
    let email = token.subject.strip_prefix("user:")?;
    let user = users.iter().find(|user| user.email == email)?;
    Some(KeyEntry {
        sha256: token.sha256.clone(),
        name: token.name.clone(),
        caller: Caller {
            subject: token.subject.clone(),
            teams: user.teams.clone(),
            admin: user.admin,
            tags: BTreeMap::new(),
        },
        expires_at_ms: token.expires_at_ms,
    })
}

fn account_key(token: &Token, set: &StoredSet, tenant: &str) -> Option<KeyEntry> {
    let name = token.subject.strip_prefix("virtualaccount:")?;
    let account = set.virtual_account(name)?;
    let ends = [token.expires_at_ms, account_end_ms(account)];
    Some(KeyEntry {
        sha256: token.sha256.clone(),
        name: token.name.clone(),
        caller: Caller {
            subject: token.subject.clone(),
            teams: Vec::new(),
            admin: is_admin(account, tenant),
            tags: account.tags.clone(),
        },
        expires_at_ms: ends.into_iter().flatten().min(),
    })
}

/// The moment from which an account's tokens are refused. A date that does not parse counts as
/// long past: such a manifest is refused on apply, so this errs on the safe side.
pub(crate) fn account_end_ms(account: &VirtualAccount) -> Option<UnixMs> {
    account.expiration_date.as_deref().map(|date| time::moment_ms(date).unwrap_or(0))
}

/// Whether a virtual account administers the tenant, as pipelines that apply manifests do. Rights
/// on another tenant count for nothing here.
fn is_admin(account: &VirtualAccount, tenant: &str) -> bool {
    account.permissions.iter().any(|permission| {
        roles::administers(&permission.resource_type, &permission.role_id)
            && permission.resource_fqn == tenant
    })
}
