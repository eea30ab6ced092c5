//! From manifests to what a gateway takes: the sections of a snapshot.
//!
//! The control plane's publisher and a gateway that runs from files alone both call [`compile`], so
//! that they agree. Its time grows with what the manifests say and no faster. It never drops a
//! model: one that cannot be called stays known, and is refused as unavailable.

mod grants;
mod listings;
mod routes;
#[cfg(test)]
mod tests;
mod upstream;

pub use grants::{Accounts, Reach};

use crate::kinds::global_settings;
use crate::kinds::{Collaborator, GlobalSettings, Manifest, ProviderAccount, VirtualModelAccount};
use crate::price;
use crate::roles;
use crate::roles::PROVIDER_ACCOUNT;
use crate::secrets;
use crate::variables::Variables;
use gantry_model::secret::Secret;
use gantry_model::snapshot::{
    ACCESS, AccessEntry, AccessList, Digest, LISTINGS, ListingEntry, LoggingSettings, MODELS,
    ModelEntry, ROUTES, RouteEntry, SETTINGS, Section, Setting,
};
use gantry_model::subject::{SERVICE_ACCOUNT, Subject, VIRTUAL_ACCOUNT};
use std::collections::BTreeMap;

/// A reference for which there is no value. The models that need it are unavailable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Kind of the manifest with the reference.
    pub kind: String,
    pub name: String,
    /// `env://NAME` or `tfy-secret://…`.
    pub reference: String,
    /// A lower-case fragment that says why, without the value of anything.
    pub reason: String,
}

/// A reference in a manifest, whose value is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Kind of the manifest.
    pub kind: String,
    pub name: String,
    pub reference: String,
}

/// What manifests come to, but for keys and the values of references.
#[derive(Debug, Default)]
pub struct Compiled {
    pub access: Vec<AccessList>,
    pub models: Vec<ModelEntry>,
    pub routes: Vec<RouteEntry>,
    /// Of the models of which there is something to show.
    pub listings: Vec<ListingEntry>,
    pub settings: Vec<Setting>,
    /// References that may be resolved, in the order of the manifests.
    pub references: Vec<Reference>,
    /// References that may not; the models that need one say so.
    pub refused: Vec<Unresolved>,
    /// Values that stood in the manifests themselves, by the references that stand for them.
    pub literals: BTreeMap<String, Secret>,
}

/// Compiles manifests. Virtual accounts among them count for nothing here: see [`Accounts`].
#[must_use]
pub fn compile<'a>(
    manifests: impl IntoIterator<Item = &'a Manifest>,
    tenant: &str,
    variables: &Variables<'_>,
) -> Compiled {
    let mut compiled = Compiled::default();
    for manifest in manifests {
        if let Some(settings) = manifest.as_::<GlobalSettings>() {
            compiled.settings = tenant_settings(settings);
        } else if manifest.family() == PROVIDER_ACCOUNT {
            compiled.add(manifest, tenant, variables);
        }
    }
    compiled.listings = listings::of(&compiled.models);
    compiled
}

impl Compiled {
    /// The sections by name.
    ///
    /// # Errors
    /// When an entry cannot be written as JSON, which no manifest causes.
    pub fn sections(
        &self,
        digest: &Digest<'_>,
    ) -> Result<BTreeMap<String, Section>, serde_json::Error> {
        Ok(BTreeMap::from([
            (ACCESS.to_owned(), Section::new(&self.access, digest)?),
            (LISTINGS.to_owned(), Section::new(&self.listings, digest)?),
            (MODELS.to_owned(), Section::new(&self.models, digest)?),
            (ROUTES.to_owned(), Section::new(&self.routes, digest)?),
            (SETTINGS.to_owned(), Section::new(&self.settings, digest)?),
        ]))
    }

    /// The values of all references, and those that have none.
    ///
    /// `resolve` gets a whole reference and returns its clear value, or a fragment saying why not.
    pub fn values(
        &self,
        resolve: &mut dyn FnMut(&str) -> Result<Secret, String>,
    ) -> (BTreeMap<String, Secret>, Vec<Unresolved>) {
        let (mut values, mut unresolved) = (self.literals.clone(), self.refused.clone());
        for Reference { kind, name, reference } in &self.references {
            if values.contains_key(reference) {
                continue;
            }
            match resolve(reference) {
                Ok(value) => drop(values.insert(reference.clone(), value)),
                Err(reason) => unresolved.push(Unresolved {
                    kind: kind.clone(),
                    name: name.clone(),
                    reference: reference.clone(),
                    reason,
                }),
            }
        }
        (values, unresolved)
    }

    /// A manifest with secrets: they leave it, as they do when one is stored.
    fn add(&mut self, manifest: &Manifest, tenant: &str, variables: &Variables<'_>) {
        let (sealed, literals) = secrets::seal_out(manifest.clone(), tenant);
        self.literals.extend(literals);
        let (kind, name) = (sealed.kind().to_owned(), sealed.name().to_owned());
        let mut refused = BTreeMap::new();
        for reference in secrets::references(&sealed) {
            let (kind, name) = (kind.clone(), name.clone());
            match variables.check(&sealed, &reference) {
                Ok(()) if self.literals.contains_key(&reference) => {}
                Ok(()) => self.references.push(Reference { kind, name, reference }),
                Err(reason) => {
                    refused.insert(reference.clone(), reason.clone());
                    self.refused.push(Unresolved { kind, name, reference, reason });
                }
            }
        }
        if let Some(account) = sealed.as_::<ProviderAccount>() {
            self.add_account(account, &refused);
        } else if let Some(group) = sealed.as_::<VirtualModelAccount>() {
            self.add_group(group, &refused);
        }
    }

    fn add_account(&mut self, account: &ProviderAccount, refused: &BTreeMap<String, String>) {
        let lists = self.add_list(&account.name, &account.collaborators);
        for model in &account.integrations {
            let served = upstream::compile(account, model).map_err(|error| error.to_string());
            let served = served.and_then(|upstream| {
                let references = upstream.headers.iter().map(|header| header.value.secret());
                match first_refused(references, refused) {
                    Some(reason) => Err(reason),
                    None => Ok(upstream),
                }
            });
            let (upstream, unavailable) = match served {
                Ok(upstream) => (Some(upstream), None),
                Err(reason) => (None, Some(reason)),
            };
            self.models.push(ModelEntry {
                name: format!("{}/{}", account.name, model.name),
                access: access(&model.authorized_subjects, &lists),
                types: model.model_types.clone(),
                upstream,
                unavailable,
                // A price that is none is refused by validation; here it only costs the price.
                price: price::model_price(account, model).unwrap_or_default(),
            });
        }
    }

    fn add_group(&mut self, group: &VirtualModelAccount, refused: &BTreeMap<String, String>) {
        let lists = self.add_list(&group.name, &group.collaborators);
        for model in &group.integrations {
            let mut route = routes::compile(&group.name, model);
            route.access = access(&model.authorized_subjects, &lists);
            let headers = route.targets.iter().flat_map(|target| &target.set_headers);
            route.unavailable = first_refused(headers.map(|one| one.value.secret()), refused);
            self.routes.push(route);
        }
    }

    /// The collaborators of an account that may use its models; the names of their list.
    ///
    /// A role that is not known admits nobody: a stored manifest may be older than the rules of
    /// validation.
    fn add_list(&mut self, account: &str, collaborators: &[Collaborator]) -> Vec<String> {
        let usable = |one: &&Collaborator| roles::may_use(roles::PROVIDER_ACCOUNT, &one.role_id);
        let subjects: Vec<String> =
            collaborators.iter().filter(usable).map(|one| caller_subject(&one.subject)).collect();
        if subjects.is_empty() {
            return Vec::new();
        }
        self.access.push(AccessList { name: account.to_owned(), subjects });
        vec![account.to_owned()]
    }
}

fn access(subjects: &[Subject], lists: &[String]) -> AccessEntry {
    AccessEntry { subjects: subjects.iter().map(caller_subject).collect(), lists: lists.to_vec() }
}

/// The subject as callers have it.
fn caller_subject(subject: &Subject) -> String {
    match subject.split() {
        Some((SERVICE_ACCOUNT, name)) => format!("{VIRTUAL_ACCOUNT}:{name}"),
        _ => subject.0.clone(),
    }
}

/// Why a model or route cannot be used that needs these references, if any is refused.
fn first_refused<'a>(
    mut references: impl Iterator<Item = &'a str>,
    refused: &BTreeMap<String, String>,
) -> Option<String> {
    references.find_map(|reference| {
        let reason = refused.get(reference)?;
        Some(format!("find the value of the secret `{reference}`: {reason}"))
    })
}

fn tenant_settings(settings: &GlobalSettings) -> Vec<Setting> {
    let retry = settings.retry_settings.as_ref().map(|retry| Setting::Retry(routes::retry(retry)));
    let logging = settings.logging_settings.as_ref().map(|logging| {
        Setting::Logging(match logging {
            global_settings::LoggingSettings::Always => LoggingSettings::Always,
            global_settings::LoggingSettings::Never => LoggingSettings::Never,
            global_settings::LoggingSettings::HeaderControlled { log_body_by_default } => {
                LoggingSettings::HeaderControlled { log_body_by_default: *log_body_by_default }
            }
        })
    });
    retry.into_iter().chain(logging).collect()
}
