//! From committed state to what gateways and the REST API's own authentication use.
//!
//! Manifests are read and compiled anew only when some have changed; a new token makes the section
//! of keys alone.

use crate::manifests::StoredSet;
use crate::rows::Opaque;
use crate::{Control, Error, Inner, time};
use gantry_kinds::kinds::{Manifest, VirtualAccount};
use gantry_kinds::roles;
use gantry_kinds::secrets;
use gantry_kinds::snapshot::{self, Accounts, Compiled, Reach, Unresolved};
use gantry_kinds::variables::Variables;
use gantry_model::ids::{Generation, UnixMs};
use gantry_model::secret::Secret;
use gantry_model::snapshot::{Caller, JWT_KEYS, KEYS, KeyEntry, Secrets, Section, SnapshotSource};
use gantry_runtime::errors::sentence;
use gantry_store::{Purpose, Token, TokenFilter, Tx, User, sha256_hex};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Everything derived from one generation.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub source: Arc<SnapshotSource>,
    /// By the token's digest.
    pub callers: HashMap<String, KeyEntry>,
    /// Remote gateways' tokens by digest. They are not in snapshots.
    pub gateways: HashMap<String, GatewayKey>,
    manifests: Arc<FromManifests>,
}

impl Published {
    pub(crate) fn unresolved(&self) -> &[Unresolved] {
        &self.manifests.unresolved
    }

    /// Whether there is a manifest of this name.
    pub(crate) fn has(&self, family: &str, name: &str) -> bool {
        self.manifests.names.get(family).is_some_and(|names| names.contains(name))
    }
}

/// What manifests came to.
#[derive(Debug, Default)]
struct FromManifests {
    /// Of the state that they are of; `None`: of none.
    mark: Option<(u64, Generation)>,
    sections: BTreeMap<String, Section>,
    secrets: Secrets,
    unresolved: Vec<Unresolved>,
    /// What is left out because this version cannot read it: kind, name and why.
    left_out: Vec<String>,
    /// Of all manifests, by family.
    names: HashMap<String, HashSet<String>>,
    /// Virtual accounts by name.
    accounts: HashMap<String, Holder>,
}

/// A virtual account as its tokens see it.
#[derive(Debug)]
struct Holder {
    caller: Caller,
    end_ms: Option<UnixMs>,
}

#[derive(Clone, Debug)]
pub(crate) struct GatewayKey {
    /// Digest of the token.
    pub sha256: String,
    pub name: String,
    pub expires_at_ms: Option<UnixMs>,
}

impl Control {
    /// Reads the committed state and makes it known, unless that or something newer already is.
    pub(crate) async fn publish(&self) -> Result<(), Error> {
        let _one_at_a_time = self.0.publishing.lock().await;
        let mut tx = self.0.store.read(&self.0.tenant).await?;
        let present = self.0.published.load_full();
        let is_first = present.manifests.mark.is_none();
        if tx.generation() <= present.source.generation && !is_first {
            return Ok(());
        }
        let published = build(&self.0, &mut tx, present.manifests.clone()).await?;
        let source = published.source.clone();
        tracing::debug!(
            generation = source.generation.0,
            keys = published.callers.len(),
            "snapshot published"
        );
        let left_out = &published.manifests.left_out;
        if !left_out.is_empty() && *left_out != present.manifests.left_out {
            let rows = left_out.join("; ");
            tracing::warn!(rows, "stored manifests are left out: this version cannot read them");
        }
        self.0.published.store(Arc::new(published));
        self.0.snapshots.send_replace(source);
        Ok(())
    }

    /// Makes a change known that is committed. It stands even when its publication fails, which
    /// the upkeep then makes good.
    pub(crate) async fn announce(&self) {
        if let Err(error) = self.publish().await {
            let error = sentence(&error);
            tracing::error!(error, "a stored change is not published yet, it is tried again");
        }
    }
}

async fn build(
    control: &Inner,
    tx: &mut Tx,
    before: Arc<FromManifests>,
) -> Result<Published, Error> {
    let mark = Some(tx.resources_mark().await?);
    let manifests = match before.mark == mark {
        true => before,
        false => Arc::new(FromManifests { mark, ..from_manifests(control, tx).await? }),
    };
    let (tokens, users) = (tx.tokens(TokenFilter::default()).await?, tx.users().await?);
    let keys = keys((&tokens, &users), &manifests.accounts, tx.now_ms());
    let mut sections = manifests.sections.clone();
    let jwt_keys = [control.signer.public()];
    sections.insert(KEYS.to_owned(), Section::new(&keys, &digest).map_err(unwritten)?);
    sections.insert(JWT_KEYS.to_owned(), Section::new(&jwt_keys, &digest).map_err(unwritten)?);
    let source = SnapshotSource {
        generation: tx.generation(),
        tenant: control.tenant.clone(),
        published_at_ms: tx.now_ms(),
        sections,
        secrets: manifests.secrets.clone(),
    };
    Ok(Published {
        callers: keys.into_iter().map(|key| (key.sha256.clone(), key)).collect(),
        gateways: gateways(&tokens),
        source: Arc::new(source),
        manifests,
    })
}

async fn from_manifests(control: &Inner, tx: &mut Tx) -> Result<FromManifests, Error> {
    let set = StoredSet::load(tx, &control.registry).await?;
    let compiled = compile(control, &set);
    let mut found = BTreeMap::new();
    for one in &compiled.references {
        if !found.contains_key(&one.reference) {
            let value = resolve(control, tx, &one.reference).await?;
            found.insert(one.reference.clone(), value);
        }
    }
    let (values, unresolved) = compiled.values(&mut |reference| {
        found.get(reference).cloned().unwrap_or_else(|| Err("not looked up".to_owned()))
    });
    let salted = |bytes: &[u8]| digest(&[control.signer.salt().as_bytes(), bytes].concat());
    Ok(FromManifests {
        mark: None,
        sections: compiled.sections(&digest).map_err(unwritten)?,
        secrets: Secrets::new(values, &salted),
        unresolved,
        left_out: set.opaques().map(Opaque::named).collect(),
        names: names(&set),
        accounts: holders(&set, &control.tenant),
    })
}

fn compile(control: &Inner, set: &StoredSet) -> Compiled {
    let lookup = |name: &str| variable(control, name);
    let variables = Variables { allowed: &control.variables, lookup: &lookup };
    let mut compiled = snapshot::compile(set.manifests(), &control.tenant, &variables);
    if control.short_names {
        compiled.add_short_names();
    }
    compiled
}

fn names(set: &StoredSet) -> HashMap<String, HashSet<String>> {
    let mut names: HashMap<String, HashSet<String>> = HashMap::new();
    for manifest in set.manifests() {
        let family = names.entry(manifest.family().to_owned()).or_default();
        family.insert(manifest.name().to_owned());
    }
    names
}

fn holders(set: &StoredSet, tenant: &str) -> HashMap<String, Holder> {
    let granted = Accounts::new(set.manifests(), tenant, Reach::OwnTenant);
    let holder = |manifest: &Manifest| {
        let account = manifest.as_::<VirtualAccount>()?;
        let caller = Caller {
            subject: format!("virtualaccount:{}", account.name),
            teams: Vec::new(),
            admin: is_admin(account, tenant),
            tags: account.tags.clone(),
            grants: granted.grants(account),
        };
        let end_ms = account_end_ms(account);
        Some((account.name.clone(), Holder { caller, end_ms }))
    };
    set.manifests().filter_map(holder).collect()
}

/// Tells states of a section apart; 128 bits are plenty where nobody tries to make two alike.
fn digest(bytes: &[u8]) -> String {
    let mut digest = sha256_hex(bytes);
    digest.truncate(32);
    digest
}

fn unwritten(error: serde_json::Error) -> Error {
    Error::Internal(format!("write a snapshot as JSON: {error}"))
}

fn variable(control: &Inner, name: &str) -> Option<String> {
    (control.environment)(name).map(|value| value.expose().to_owned())
}

/// Whether a manifest may hold a reference, or why not.
pub(crate) fn allowed(control: &Inner, manifest: &Manifest, reference: &str) -> Result<(), String> {
    let lookup = |name: &str| variable(control, name);
    Variables { allowed: &control.variables, lookup: &lookup }.check(manifest, reference)
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
    accounts: &HashMap<String, Holder>,
    now_ms: UnixMs,
) -> Vec<KeyEntry> {
    let users: HashMap<&str, &User> = users.iter().map(|one| (one.email.as_str(), one)).collect();
    tokens
        .iter()
        .filter_map(|token| match token.purpose {
            Purpose::Personal => personal_key(token, &users),
            Purpose::VirtualAccount => account_key(token, accounts),
            Purpose::Gateway => None,
        })
        .filter(|key| key.expires_at_ms.is_none_or(|end| now_ms < end))
        .collect()
}

fn personal_key(token: &Token, users: &HashMap<&str, &User>) -> Option<KeyEntry> {
    let user = users.get(token.subject.strip_prefix("user:")?)?;
    Some(KeyEntry {
        sha256: token.sha256.clone(),
        name: token.name.clone(),
        caller: Caller {
            subject: token.subject.clone(),
            teams: user.teams.clone(),
            admin: user.admin,
            ..Caller::default()
        },
        expires_at_ms: token.expires_at_ms,
    })
}

fn account_key(token: &Token, accounts: &HashMap<String, Holder>) -> Option<KeyEntry> {
    let holder = accounts.get(token.subject.strip_prefix("virtualaccount:")?)?;
    Some(KeyEntry {
        sha256: token.sha256.clone(),
        name: token.name.clone(),
        caller: holder.caller.clone(),
        expires_at_ms: [token.expires_at_ms, holder.end_ms].into_iter().flatten().min(),
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
