//! Apply, delete, get, audit.

use super::access::Known;
use super::reply::{Asked, Input, Page, PageQuery, Reply};
use crate::{Control, Error, time};
use axum::Json;
use axum::extract::{Path, State};
use gantry_model::rest::{Applied, ApplyRequest, DeleteRequest, StoredManifest};
use gantry_model::secret::Secret;
use gantry_store::AuditEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reply to an apply: the first three fields for one manifest, `applied` for source texts.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_manifest: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<AppliedData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Secret>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    applied: Vec<Applied>,
}

#[derive(Serialize)]
struct AppliedData {
    manifest: Value,
}

pub(crate) async fn apply(
    State(control): State<Control>,
    Known(caller): Known,
    Input(request): Input<ApplyRequest>,
) -> Reply<ApplyReply> {
    let Some(manifest) = request.manifest else {
        let applied = control.apply(&caller, request.sources, request.dry_run).await?;
        return Ok(Json(ApplyReply { applied, ..ApplyReply::default() }));
    };
    if !request.sources.is_empty() {
        let text = "send either manifest or sources, not both";
        return Err(Error::BadRequest(text.to_owned()).into());
    }
    let applied = control.apply_value(&caller, manifest, request.dry_run).await?;
    // TrueFoundry's clients know two actions only.
    let action = if applied.action == "CREATE" { "CREATE" } else { "UPDATE" };
    Ok(Json(ApplyReply {
        existing_manifest: applied.existing_manifest,
        action: Some(action.to_owned()),
        data: Some(AppliedData { manifest: applied.manifest }),
        token: applied.token,
        applied: Vec::new(),
    }))
}

#[derive(Serialize)]
pub(crate) struct DeleteReply {
    deleted: Vec<StoredManifest>,
}

pub(crate) async fn delete(
    State(control): State<Control>,
    Known(caller): Known,
    Input(request): Input<DeleteRequest>,
) -> Reply<DeleteReply> {
    let mut targets = control.named_in(&request.sources)?;
    targets.extend(request.manifest);
    targets.extend(request.resources);
    let deleted = control.delete(&caller, targets, request.dry_run).await?;
    Ok(Json(DeleteReply { deleted }))
}

#[derive(Deserialize)]
pub(crate) struct NameQuery {
    name: Option<String>,
}

pub(crate) async fn list(
    State(control): State<Control>,
    Asked(query): Asked<NameQuery>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<StoredManifest>> {
    let all = control.get(None, query.name.as_deref()).await?;
    Ok(Json(Page::of(all, page)))
}

pub(crate) async fn list_kind(
    State(control): State<Control>,
    Path(kind): Path<String>,
    Asked(query): Asked<NameQuery>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<StoredManifest>> {
    let all = control.get(Some(&kind), query.name.as_deref()).await?;
    Ok(Json(Page::of(all, page)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditView {
    at: String,
    actor: String,
    action: String,
    kind: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// Most deeds that one reply holds.
const AUDIT_LIMIT: u32 = 1000;

pub(crate) async fn audit(
    State(control): State<Control>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<AuditView>> {
    let deeds = control.audit_log(AUDIT_LIMIT).await?;
    Ok(Json(Page::of(deeds.into_iter().map(audit_view).collect(), page)))
}

fn audit_view(entry: AuditEntry) -> AuditView {
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    AuditView {
        at: time::rfc3339(entry.at_ms),
        actor: entry.actor,
        action: entry.action,
        kind: entry.kind,
        name: entry.name,
        before: json(entry.before),
        after: json(entry.after),
    }
}
