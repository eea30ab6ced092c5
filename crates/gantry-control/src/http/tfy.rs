//! What TrueFoundry's CLI asks before it does anything.

use super::access::Known;
use super::reply::{Failure, Input, Reply};
use crate::order::{Item, in_order};
use crate::{Control, Error};
use axum::Json;
use axum::extract::State;
use gantry_kinds::kinds::{family, virtual_account};
use gantry_kinds::manifest::Document;
use gantry_kinds::registry::Registry;
use gantry_model::rest::ManifestRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// What the CLI checks its own version against, and which login endpoints it shall use.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CliVersion {
    min_version: &'static str,
    truefoundry_cli_min_version: &'static str,
    /// Without it the CLI talks to `auth_server_url`.
    #[serde(rename = "useSFYServerAuthAPIs")]
    use_sfy_server_auth_apis: bool,
    python_build_default_image_tag: &'static str,
}

pub(crate) async fn min_cli_version() -> Json<CliVersion> {
    Json(CliVersion {
        min_version: "0.0.0",
        truefoundry_cli_min_version: "0.0.0",
        use_sfy_server_auth_apis: true,
        python_build_default_image_tag: "3.11",
    })
}

/// The one reply with a snake_case key.
#[derive(Serialize)]
pub(crate) struct TenantId {
    #[serde(rename = "tenantName")]
    tenant_name: String,
    auth_server_url: String,
}

pub(crate) async fn tenant_id(State(control): State<Control>) -> Json<TenantId> {
    // There is no server for logins apart from this one, and `useSFYServerAuthAPIs` says so.
    Json(TenantId { tenant_name: control.tenant().to_owned(), auth_server_url: String::new() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    user: SessionUser,
    tenant_info: TenantInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TenantInfo {
    tenant_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionUser {
    tenant_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    subject: SubjectView,
    roles: Vec<&'static str>,
    teams: Vec<String>,
    metadata: UserMetadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserMetadata {
    user_object: UserObject,
}

#[derive(Serialize)]
struct UserObject {
    username: String,
}

/// A subject as TrueFoundry's SDK models it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubjectView {
    subject_id: String,
    /// `user`, or `serviceaccount` for a virtual account.
    subject_type: &'static str,
    subject_slug: String,
    subject_display_name: String,
}

impl SubjectView {
    pub(crate) fn kind(&self) -> &'static str {
        self.subject_type
    }

    /// From `user:…` or `virtualaccount:…`.
    pub(crate) fn of(subject: &str) -> Self {
        let (kind, name) = subject.split_once(':').unwrap_or(("user", subject));
        let subject_type = if kind == "virtualaccount" { "serviceaccount" } else { "user" };
        Self {
            subject_id: name.to_owned(),
            subject_type,
            subject_slug: name.to_owned(),
            subject_display_name: name.to_owned(),
        }
    }
}

pub(crate) async fn session(State(control): State<Control>, Known(caller): Known) -> Json<Session> {
    let subject = SubjectView::of(&caller.subject);
    let name = subject.subject_slug.clone();
    let tenant_name = control.tenant().to_owned();
    Json(Session {
        user: SessionUser {
            tenant_name: tenant_name.clone(),
            email: (subject.subject_type == "user").then(|| name.clone()),
            subject,
            roles: vec![if caller.admin { "tenant-admin" } else { "tenant-member" }],
            teams: caller.teams,
            metadata: UserMetadata { user_object: UserObject { username: name } },
        },
        tenant_info: TenantInfo { tenant_name },
    })
}

pub(crate) async fn no_device_login() -> Failure {
    let text = "login by browser is not available yet; log in with a token: `tfy login --host \
                HOST --api-key tfy_...` (the first start of gantry prints one)";
    Error::NotFound(text.to_owned()).into()
}

#[derive(Deserialize)]
pub(crate) struct TreeRequest {
    manifests: Vec<Value>,
}

#[derive(Serialize)]
pub(crate) struct Tree {
    data: Vec<Node>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    resource_type: String,
    resource_name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    /// The family: `provider-account`.
    resource_type: String,
    resource_name: String,
}

impl Node {
    /// How others name it.
    fn named(&self) -> Dependency {
        Dependency {
            resource_type: family(&self.resource_type).to_owned(),
            resource_name: self.resource_name.clone(),
        }
    }
}

/// Most manifests that one question may hold, far more than a tenant has.
const MANIFESTS_MAX: usize = 10_000;

/// The manifests in an order in which each comes after what it refers to.
///
/// Every manifest is in the reply with its full type, for the CLI silently skips what is not;
/// and no two wait for one another, for it would skip them too.
///
/// A dry run of the CLI skips what depends on anything but models. So a virtual account, and what
/// names one in its subjects, is said to depend only on what is not stored yet; among equals the
/// CLI's own order puts virtual accounts after all provider accounts.
pub(crate) async fn dependency_tree(
    State(control): State<Control>,
    Known(_): Known,
    Input(request): Input<TreeRequest>,
) -> Reply<Tree> {
    let count = request.manifests.len();
    if count > MANIFESTS_MAX {
        let text = format!("{count} manifests are more than {MANIFESTS_MAX}; send them in parts");
        return Err(Error::BadRequest(text).into());
    }
    let published = control.0.published.load_full();
    let manifests = request.manifests.into_iter();
    let mut nodes: Vec<Node> =
        manifests.filter_map(|manifest| node(&control.0.registry, manifest)).collect();
    for node in &mut nodes {
        let account = node.resource_type == virtual_account::KIND;
        node.dependencies.retain(|dependency| {
            let skipped = account || dependency.resource_type == virtual_account::KIND;
            !(skipped && published.has(&dependency.resource_type, &dependency.resource_name))
        });
    }
    Ok(Json(Tree { data: placed(nodes) }))
}

/// A manifest that is refused later needs nothing here.
fn node(registry: &Registry, manifest: Value) -> Option<Node> {
    let named = ManifestRef::deserialize(&manifest).ok()?;
    let name = named.name.unwrap_or_else(|| named.kind.clone());
    let manifest = Document::from_json(manifest).check_by(registry).ok();
    let mut seen = HashSet::new();
    let needs = manifest.iter().flat_map(|manifest| manifest.references());
    let once = needs.filter_map(|reference| reference.resource).filter(|named| seen.insert(*named));
    let dependencies = once
        .map(|(resource_type, resource_name)| Dependency {
            resource_type: resource_type.to_owned(),
            resource_name: resource_name.to_owned(),
        })
        .collect();
    Some(Node { resource_type: named.kind, resource_name: name, dependencies })
}

/// The nodes in order, each with those of its dependencies that come before it.
fn placed(nodes: Vec<Node>) -> Vec<Node> {
    let item = |node: &Node| Item { name: node.named(), needs: node.dependencies.clone() };
    let items: Vec<Item<Dependency>> = nodes.iter().map(item).collect();
    let mut waiting: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut earlier = HashSet::new();
    let mut placed = Vec::with_capacity(waiting.len());
    for position in in_order(&items) {
        let Some(mut node) = waiting.get_mut(position).and_then(Option::take) else { continue };
        node.dependencies.retain(|dependency| earlier.contains(dependency));
        earlier.insert(node.named());
        placed.push(node);
    }
    placed
}
