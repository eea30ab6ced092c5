//! `gantry gateway --config DIR`: a snapshot from manifest files alone, followed as they change.
//!
//! Tokens come from `GANTRY_TOKENS`, a list `token=subject,…`; the subject `admin` may use
//! everything. A directory that is broken after a change is reported, and the gateway serves on.

use crate::boot::variable;
use crate::manifest_files::{files_below, read};
use anyhow::{Context, bail};
use gantry_gateway::Gateway;
use gantry_kinds::kinds::{Manifest, VirtualAccount};
use gantry_kinds::manifest::{self, Document, SetEntry};
use gantry_kinds::secrets;
use gantry_kinds::snapshot::{Accounts, Reach, compile};
use gantry_kinds::variables::{Allowed, Variables};
use gantry_model::ids::Generation;
use gantry_model::rest::{Problem, Source};
use gantry_model::secret::Secret;
use gantry_model::snapshot::{Caller, KEYS, KeyEntry, Secrets, Section, SnapshotSource};
use gantry_model::subject::{SERVICE_ACCOUNT, USER, VIRTUAL_ACCOUNT};
use gantry_runtime::clock::Clock;
use gantry_runtime::digest::sha256_hex;
use gantry_runtime::reconcile::{AtShutdown, Backoff, Failure, Next, Plan, Reconcile};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TOKENS: &str = "GANTRY_TOKENS";

/// Stands for the tenant in records.
const TENANT: &str = "files";

/// What to do about a virtual account that neither a manifest nor a token knows.
const NOBODY: &str = "write a manifest of it, or name it in GANTRY_TOKENS";

/// Kinds of subjects that may call.
const CALLERS: [&str; 3] = [USER, VIRTUAL_ACCOUNT, SERVICE_ACCOUNT];

/// How often the directory is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// A directory of manifests.
#[derive(Clone)]
pub(super) struct Files {
    pub dir: PathBuf,
    /// The variables that manifests may name beside the usual credentials of providers.
    pub variables: Allowed,
}

impl Files {
    /// Reads and checks the whole directory.
    ///
    /// # Errors
    /// When a manifest is refused; all problems are listed with file, line and column.
    pub(super) fn load(&self) -> anyhow::Result<SnapshotSource> {
        self.snapshot(&std::env::var(TOKENS).unwrap_or_default())
    }

    /// `callers` is the list in `GANTRY_TOKENS`.
    fn snapshot(&self, callers: &str) -> anyhow::Result<SnapshotSource> {
        let mut keys = tokens(callers)?;
        let manifests = manifests(&self.dir, &keys)?;
        let variables = Variables { allowed: &self.variables, lookup: &variable };
        let compiled = compile(&manifests, TENANT, &variables);
        let (values, unresolved) = compiled.values(&mut resolve);
        for missing in unresolved {
            tracing::warn!(
                kind = missing.kind,
                name = missing.name,
                reference = missing.reference,
                reason = missing.reason,
                "secret not found, its models are unavailable"
            );
        }
        grant(&mut keys, &manifests);
        let digest = |bytes: &[u8]| sha256_hex(bytes);
        let mut sections = compiled.sections(&digest)?;
        sections.insert(KEYS.to_owned(), Section::new(&keys, &digest)?);
        let now_ms = Clock::system().unix_ms();
        Ok(SnapshotSource {
            generation: Generation(now_ms),
            tenant: TENANT.to_owned(),
            published_at_ms: now_ms,
            sections,
            secrets: Secrets::new(values, &digest),
        })
    }
}

/// Lets the tokens of virtual accounts use what their manifests' permissions say.
fn grant(keys: &mut [KeyEntry], manifests: &[Manifest]) {
    let granted = Accounts::new(manifests, TENANT, Reach::AnyTenant);
    let accounts: HashMap<String, &VirtualAccount> = manifests
        .iter()
        .filter_map(Manifest::as_::<VirtualAccount>)
        .map(|account| (format!("{VIRTUAL_ACCOUNT}:{}", account.name), account))
        .collect();
    for key in keys {
        if let Some(account) = accounts.get(&key.caller.subject) {
            key.caller.grants = granted.grants(account);
        }
    }
}

/// The manifests below a directory, to which tokens with these keys go.
fn manifests(dir: &Path, keys: &[KeyEntry]) -> anyhow::Result<Vec<Manifest>> {
    let mut problems = Vec::new();
    let pairs: Vec<(Document, Manifest)> =
        read(&[dir.to_owned()])?.iter().flat_map(|source| checked(source, &mut problems)).collect();
    let entries: Vec<SetEntry<'_>> = pairs
        .iter()
        .map(|(document, manifest)| SetEntry { manifest, document: Some(document) })
        .collect();
    let named = keys.iter().filter_map(|key| match key.caller.subject.split_once(':') {
        Some((VIRTUAL_ACCOUNT, name)) => Some(name),
        _ => None,
    });
    let strangers = manifest::check_subjects(&entries, named, NOBODY);
    let wrong = manifest::check_set(&entries).into_iter().chain(strangers);
    problems.extend(wrong.map(|(_, problem)| problem));
    if !problems.is_empty() {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("the manifests are not usable:\n{}", lines.join("\n"));
    }
    Ok(pairs.into_iter().map(|(_, manifest)| manifest).collect())
}

/// The usable documents of one file; what is wrong with the others goes to `problems`.
fn checked(source: &Source, problems: &mut Vec<Problem>) -> Vec<(Document, Manifest)> {
    let documents = manifest::parse(&source.file, &source.text).unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    let mut pairs = Vec::new();
    for document in documents {
        match document.check() {
            Ok(manifest) => pairs.push((document, manifest)),
            Err(found) => problems.extend(found),
        }
    }
    pairs
}

/// Files may refer to variables only; a literal needs no resolving.
fn resolve(reference: &str) -> Result<Secret, String> {
    let Some(name) = reference.strip_prefix("env://") else {
        return Err("without a control plane only env:// references have values".to_owned());
    };
    let value = variable(name).ok_or_else(|| format!("the variable {name} is not set"))?;
    secrets::of_variable(name, &value)
}

/// Reads the list. Its errors count entries and show nothing of them, because any part may be one
/// of a token, which may hold a `=`, too.
fn tokens(text: &str) -> anyhow::Result<Vec<KeyEntry>> {
    let mut keys: Vec<KeyEntry> = Vec::new();
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    for (number, pair) in (1..).zip(pairs) {
        let (token, subject) = pair
            .rsplit_once('=')
            .map(|(token, subject)| (token.trim(), subject.trim()))
            .with_context(|| format!("{TOKENS}: entry {number} has no `=`: write token=subject"))?;
        if token.is_empty() {
            bail!("{TOKENS}: entry {number} has no token before the `=`");
        }
        if !callable(subject) {
            bail!(
                "{TOKENS}: entry {number} does not end with `=admin`, `=user:NAME` or \
                 `=virtualaccount:NAME`"
            );
        }
        let sha256 = sha256_hex(token.as_bytes());
        if let Some(at) = keys.iter().position(|key| key.sha256 == sha256) {
            bail!("{TOKENS}: entries {} and {number} have the same token", at + 1);
        }
        let caller = Caller {
            subject: match subject.split_once(':') {
                None => "user:admin".to_owned(),
                Some((SERVICE_ACCOUNT, name)) => format!("{VIRTUAL_ACCOUNT}:{name}"),
                Some(_) => subject.to_owned(),
            },
            admin: subject == "admin",
            ..Caller::default()
        };
        keys.push(KeyEntry { sha256, name: subject.to_owned(), caller, expires_at_ms: None });
    }
    if keys.is_empty() {
        tracing::warn!("{TOKENS} names no token, so that nobody may call");
    }
    Ok(keys)
}

/// Whether a token may stand for the subject.
fn callable(subject: &str) -> bool {
    let who = subject.split_once(':');
    subject == "admin"
        || who.is_some_and(|(kind, name)| CALLERS.contains(&kind) && !name.is_empty())
}

/// Publishes the directory anew whenever a file in it changed.
pub(super) struct Directory {
    files: Files,
    gateway: Gateway,
    /// Of what is in use.
    seen: Vec<Stamp>,
}

impl Directory {
    /// How it is to be run: a directory that is broken is read again each time.
    pub(super) const PLAN: Plan = Plan {
        name: "manifest-files",
        period: INTERVAL,
        backoff: Backoff::constant(INTERVAL),
        at_shutdown: AtShutdown::Drop,
    };

    /// Publishes what the directory holds.
    ///
    /// # Errors
    /// As [`Files::load`].
    pub(super) fn open(files: Files, gateway: &Gateway) -> anyhow::Result<Self> {
        // Before the files are read: a change meanwhile is seen by the first pass.
        let seen = stamp(&files.dir);
        gateway.publish(&files.load()?);
        Ok(Self { files, gateway: gateway.clone(), seen })
    }
}

impl Reconcile for Directory {
    async fn pass(&mut self) -> Result<Next, Failure> {
        let now = stamp(&self.files.dir);
        if now != self.seen {
            let (files, gateway) = (self.files.clone(), self.gateway.clone());
            let publish = move || files.load().map(|snapshot| gateway.publish(&snapshot));
            tokio::task::spawn_blocking(publish).await??;
            self.seen = now;
        }
        Ok(Next::Rest)
    }

    fn trouble(&self) -> &'static str {
        "the manifests before this change stay in use"
    }

    fn relief(&self) -> &'static str {
        "the manifests can be used again"
    }
}

type Stamp = (PathBuf, Option<(u64, Option<std::time::SystemTime>)>);

/// Names, sizes and times of the manifests; of what a link leads to, not of the link.
fn stamp(dir: &Path) -> Vec<Stamp> {
    let state = |path: &PathBuf| {
        std::fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok()))
    };
    let files = files_below(dir).unwrap_or_default().into_iter();
    files.map(|path| (state(&path), path)).map(|(state, path)| (path, state)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Files {
        Files { dir: dir.to_owned(), variables: Allowed::default() }
    }

    /// The snapshot of one manifest, in which `grants` says who may use the model.
    fn granted(grants: &str, callers: &str) -> Result<SnapshotSource, String> {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "type: provider-account/openai\nname: main\nauth_data: {{type: api-key, api_key: k}}\n\
             integrations:\n  - {{name: m, type: integration/model/openai}}\n{grants}\n---\n\
             type: virtual-account\nname: batch\npermissions: []\n"
        );
        std::fs::write(dir.path().join("a.yaml"), text).unwrap();
        let place = format!("{}/", dir.path().display());
        files(dir.path())
            .snapshot(callers)
            .map_err(|error| format!("{error:#}").replace(&place, ""))
    }

    #[test]
    fn subjects_are_virtual_accounts_with_a_manifest_or_a_token_and_others_are_refused() {
        let grant = |subject: &str| {
            format!("collaborators: [{{subject: \"{subject}\", role_id: provider-account-access}}]")
        };
        let bot = "tfy_a=virtualaccount:crawler,tfy_b=serviceaccount:old";
        for subject in ["batch", "crawler", "old"] {
            granted(&grant(&format!("virtualaccount:{subject}")), bot).unwrap();
            granted(&grant(&format!("serviceaccount:{subject}")), bot).unwrap();
        }
        granted(&grant("user:who@ever.example"), bot).unwrap();
        let near = granted(&grant("virtualaccount:crawlr"), bot).unwrap_err();
        let expected = "a.yaml:6:27: collaborators[0].subject: there is no virtual account \
                        `crawlr`; did you mean `crawler`?";
        assert!(near.contains(expected), "{near}");
        let none = granted(&grant("virtualaccount:crawler"), "").unwrap_err();
        assert!(none.contains("there is no virtual account `crawler`; write a manifest"), "{none}");
    }

    #[test]
    fn a_whole_name_of_any_tenant_grants() {
        let dir = tempfile::tempdir().unwrap();
        let text = |provider: &str| {
            format!(
                "type: provider-account/openai\nname: main\n\
                 auth_data: {{type: api-key, api_key: k}}\n\
                 integrations:\n  - {{name: m, type: integration/model/openai}}\n---\n\
                 type: virtual-account\nname: batch\npermissions:\n\
                 - {{resource_type: provider-account, resource_fqn: 'default:{provider}:main', \
                 role_id: provider-account-access}}\n"
            )
        };
        let load = |provider: &str| {
            std::fs::write(dir.path().join("a.yaml"), text(provider)).unwrap();
            let callers = "tfy_a=virtualaccount:batch";
            files(dir.path()).snapshot(callers).map_err(|error| error.to_string())
        };
        let keys = load("openai").unwrap().section(KEYS).unwrap().read::<KeyEntry>();
        let grants = &keys[0].as_ref().unwrap().caller.grants;
        assert_eq!(grants.iter().collect::<Vec<_>>(), ["main/*"]);
        let error = load("anthropic").unwrap_err();
        assert!(error.contains("`main` is an account of `openai`, not of `anthropic`"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_change_behind_a_link_is_seen() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = elsewhere.path().join("a.yaml");
        std::fs::write(&file, "one").unwrap();
        std::os::unix::fs::symlink(&file, dir.path().join("a.yaml")).unwrap();
        let before = stamp(dir.path());
        assert_eq!(before.len(), 1);
        assert_eq!(stamp(dir.path()), before);
        std::fs::write(&file, "another").unwrap();
        assert_ne!(stamp(dir.path()), before);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(stamp(dir.path())[0].1, None, "gone behind the link");
    }

    #[test]
    fn each_token_stands_for_one_known_kind_of_caller() {
        let keys =
            tokens("tfy_a=admin, tfy_b = virtualaccount:bot,tfy_c=user:x@y.example,").unwrap();
        let subjects: Vec<_> = keys.iter().map(|key| key.caller.subject.as_str()).collect();
        assert_eq!(subjects, ["user:admin", "virtualaccount:bot", "user:x@y.example"]);
        assert_eq!(
            keys.iter().map(|key| key.caller.admin).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert!(tokens("").unwrap().is_empty());
        let padded = tokens("tfy_se=cret==admin").unwrap();
        assert_eq!(padded[0].sha256, sha256_hex(b"tfy_se=cret="), "a token may hold a `=`");
        for (text, expected) in [
            ("=admin", "entry 1 has no token"),
            ("tfy_a=admin,tfy_b=", "entry 2 does not end with `=admin`"),
            ("tfy_a=x", "entry 1 does not end with `=admin`"),
            ("tfy_a=user:", "entry 1 does not end"),
            ("tfy_a=team:ml", "entry 1 does not end"),
            ("se=cret=admin,tfy_a=cret", "entry 2 does not end"),
            ("tfy_a=admin,tfy_b=user:x,tfy_a=user:y", "entries 1 and 3 have the same token"),
            ("tfy_a", "entry 1 has no `=`"),
        ] {
            let error = tokens(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("tfy_") && !error.contains("cret"), "{error}");
        }
    }
}
