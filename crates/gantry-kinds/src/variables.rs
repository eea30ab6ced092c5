//! Which variables of the process manifests may refer to, by `env://NAME`.
//!
//! Whoever writes manifests chooses the address that a value is sent to. So a reference is allowed
//! when the operator's list has the variable's name; and, without any list, when the catalogue
//! names it as the credential of the account's provider and the account keeps the provider's own
//! address, or has one that the operator's variables gave. Gantry's own variables never are. The
//! control plane asks on apply and when it publishes, a gateway that runs from files when it reads
//! them.

use crate::catalogue::{self, Provider};
use crate::kinds::{Manifest, ProviderAccount};
use crate::secrets::VARIABLE;
use gantry_model::glob;

/// Begins the names of Gantry's own variables, the master key's among them.
const OWN: &str = "GANTRY_";

/// The operator's list: names, in which `*` stands for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// # Errors
    /// When an entry is no name of a variable, or could mean only Gantry's own, in words for the
    /// operator.
    pub fn new(names: Vec<String>) -> Result<Self, String> {
        for name in &names {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
            if name.is_empty() || !name.chars().all(good) {
                return Err(format!(
                    "`{name}` is no name of a variable: expected such as OPENAI_API_KEY, or \
                     TEAM_* for all that begin so"
                ));
            }
            if name.starts_with(OWN) {
                return Err(format!(
                    "`{name}` would open Gantry's own variables to manifests, which nothing may; \
                     give the value to a variable of another name"
                ));
            }
        }
        Ok(Self(names))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| glob::matches(pattern, name))
    }
}

/// Looks up a variable of the process; empty counts as absent.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What references may name.
#[derive(Clone, Copy)]
pub struct Variables<'a> {
    pub allowed: &'a Allowed,
    /// Finds the addresses that the operator's variables give.
    pub lookup: &'a Lookup<'a>,
}

impl Variables<'_> {
    /// Whether a manifest may hold a reference; such as are no variables may stand anywhere.
    ///
    /// # Errors
    /// A lower-case fragment that says why not, and what to do.
    pub fn check(&self, manifest: &Manifest, reference: &str) -> Result<(), String> {
        let Some(name) = reference.strip_prefix(VARIABLE) else { return Ok(()) };
        if name.starts_with(OWN) {
            return Err(format!(
                "{name} is one of Gantry's own variables, which no manifest may use; give the \
                 value itself, which is stored sealed"
            ));
        }
        if self.allowed.has(name) || self.is_credential(manifest, name) {
            return Ok(());
        }
        Err(format!(
            "manifests may not use the variable {name}: add it to `env` in [secrets] of the boot \
             file, or give the value itself{}",
            self.hint(manifest, name)
        ))
    }

    fn hint(&self, manifest: &Manifest, name: &str) -> &'static str {
        let own = account(manifest).is_some_and(|(provider, _)| is_key(provider, name));
        if own { " (without that it goes to the provider's own address only)" } else { "" }
    }

    fn is_credential(&self, manifest: &Manifest, name: &str) -> bool {
        account(manifest).is_some_and(|(provider, account)| {
            let own = |model| {
                self.is_own_address(provider, account.given_address(model, provider.url_style))
            };
            is_key(provider, name) && account.integrations.iter().all(own)
        })
    }

    /// Whether an address is the provider's, or one of the operator's variables for it.
    fn is_own_address(&self, provider: &Provider, given: Option<&str>) -> bool {
        let Some(given) = given else { return true };
        let names = provider.env.iter().flat_map(|env| env.account.values().flatten());
        let told = names.filter_map(|name| (self.lookup)(name));
        let mut own = told.chain(provider.base_url.clone());
        own.any(|own| plain(&own) == plain(given))
    }
}

fn account(manifest: &Manifest) -> Option<(&'static Provider, &ProviderAccount)> {
    let account = manifest.as_::<ProviderAccount>()?;
    Some((catalogue::provider(account.provider())?, account))
}

fn is_key(provider: &Provider, name: &str) -> bool {
    provider.env.as_ref().is_some_and(|env| env.key.iter().any(|key| key == name))
}

/// An address without what makes no difference: variables of Azure may name the path of one API
/// below the resource's address.
fn plain(address: &str) -> &str {
    let address = address.trim_end_matches('/');
    let apis = ["/openai/v1", "/models"];
    apis.iter().find_map(|api| address.strip_suffix(api)).unwrap_or(address)
}
