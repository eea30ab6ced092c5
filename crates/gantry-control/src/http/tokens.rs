//! Virtual accounts, personal access tokens and users, as TrueFoundry's SDK models them.

use super::access::{Known, KnownUntil};
use super::reply::{Asked, Input, Page, PageQuery, Reply};
use super::tfy::SubjectView;
use crate::accounts::Account;
use crate::{Control, Error, NewToken, time};
use axum::Json;
use axum::extract::{Path, State};
use gantry_kinds::kinds::virtual_account;
use gantry_model::rest::{ManifestRef, StoredManifest};
use gantry_model::secret::Secret;
use gantry_model::snapshot::Caller;
use gantry_store::{Token, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A virtual account, or a personal token, which the SDK models the same.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    /// The account's name: names are unique, so there is no other id.
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    tenant_name: String,
    account_id: String,
    manifest: Value,
    created_by_subject: SubjectView,
    created_at: String,
    updated_at: String,
    is_expired: bool,
    jwts: Vec<TokenView>,
}

/// What is known of a token, whatever its format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenView {
    id: String,
    subject_type: &'static str,
    subject_id: String,
    token_type: String,
    expiry: String,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
pub(crate) struct AccountReply {
    data: AccountView,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Secret>,
}

#[derive(Serialize)]
pub(crate) struct TokenReply {
    token: String,
}

#[derive(Serialize)]
pub(crate) struct Done {
    success: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountQuery {
    name_search_query: Option<String>,
    is_expired: Option<bool>,
}

pub(crate) async fn accounts(
    State(control): State<Control>,
    Asked(query): Asked<AccountQuery>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<AccountView>> {
    let wanted = |account: &Account| {
        let named = |part: &String| account.stored.name.contains(part.as_str());
        query.name_search_query.as_ref().is_none_or(named)
            && query.is_expired.is_none_or(|expired| account.expired == expired)
    };
    let all = control.accounts().await?;
    let views = all.into_iter().filter(wanted).map(|a| account_view(&control, a)).collect();
    Ok(Json(Page::of(views, page)))
}

pub(crate) async fn account(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Reply<AccountReply> {
    let found = control.account(&id).await?;
    Ok(Json(AccountReply { data: account_view(&control, found), token: None }))
}

#[derive(Deserialize)]
pub(crate) struct ExistsQuery {
    name: String,
}

#[derive(Serialize)]
pub(crate) struct Exists {
    exists: bool,
}

pub(crate) async fn account_exists(
    State(control): State<Control>,
    Asked(query): Asked<ExistsQuery>,
) -> Reply<Exists> {
    let exists = match control.account(&query.name).await {
        Err(Error::NotFound(_)) => false,
        found => found.map(|_| true)?,
    };
    Ok(Json(Exists { exists }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyAccount {
    manifest: Value,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn apply_account(
    State(control): State<Control>,
    Known(caller): Known,
    Input(request): Input<ApplyAccount>,
) -> Reply<AccountReply> {
    let kind = request.manifest.get("type").and_then(Value::as_str);
    if kind != Some(virtual_account::KIND) {
        let text = "manifest.type must be virtual-account here; other kinds go to PUT apply";
        return Err(Error::BadRequest(text.to_owned()).into());
    }
    let applied = control.apply_value(&caller, request.manifest, request.dry_run).await?;
    let account = if request.dry_run {
        not_stored(&control, &caller, applied.name, applied.manifest)
    } else {
        control.account(&applied.name).await?
    };
    Ok(Json(AccountReply { data: account_view(&control, account), token: applied.token }))
}

/// What a dry run shows: the account as it would be, without tokens.
fn not_stored(control: &Control, caller: &Caller, name: String, manifest: Value) -> Account {
    let now_ms = control.0.clock.unix_ms();
    let stored = StoredManifest {
        kind: virtual_account::KIND.to_owned(),
        name,
        generation: control.snapshot().generation.0,
        manifest,
        created_by: caller.subject.clone(),
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        unreadable: None,
    };
    Account { stored, tokens: Vec::new(), expired: false }
}

pub(crate) async fn drop_account(
    State(control): State<Control>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Reply<Done> {
    let target = ManifestRef { kind: virtual_account::KIND.to_owned(), name: Some(id) };
    control.delete(&caller, vec![target], false).await?;
    Ok(Json(Done { success: true }))
}

pub(crate) async fn account_token(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Reply<TokenReply> {
    control.account(&id).await?;
    Err(Error::Conflict(format!(
        "the token of {id:?} was shown when it was made and cannot be shown again, for Gantry \
         stores only a digest of it; POST /api/svc/v1/virtual-accounts/{id}/regenerate-token \
         makes a new one (gracePeriodInMinutes says how long the old one still works)"
    ))
    .into())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Regenerate {
    /// Clients send it with or without a fraction.
    #[serde(default)]
    grace_period_in_minutes: f64,
}

/// Longest life of a replaced token, in minutes: one year.
const GRACE_MINUTES_MAX: f64 = 525_600.0;

pub(crate) async fn regenerate(
    State(control): State<Control>,
    Known(caller): Known,
    Path(id): Path<String>,
    Input(request): Input<Regenerate>,
) -> Reply<TokenReply> {
    let minutes = request.grace_period_in_minutes;
    if !(0.0..=GRACE_MINUTES_MAX).contains(&minutes) {
        let text = format!("gracePeriodInMinutes must lie between 0 and {GRACE_MINUTES_MAX}");
        return Err(Error::BadRequest(text).into());
    }
    let grace = std::time::Duration::from_secs_f64(minutes * 60.0);
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let token = control.regenerate_token(&caller, &id, grace_ms).await?;
    Ok(Json(TokenReply { token: token.expose().to_owned() }))
}

pub(crate) async fn revoke_account_token(
    State(control): State<Control>,
    Known(caller): Known,
    Path((id, token)): Path<(String, String)>,
) -> Reply<Done> {
    control.revoke_account_token(&caller, &id, &token).await?;
    Ok(Json(Done { success: true }))
}

pub(crate) async fn personal(
    State(control): State<Control>,
    Known(caller): Known,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<AccountView>> {
    let tokens = control.personal_tokens(&caller).await?.into_iter();
    let views = tokens.map(|token| alone(&control, "pat", token)).collect();
    Ok(Json(Page::of(views, page)))
}

pub(crate) async fn gateways(
    State(control): State<Control>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<AccountView>> {
    let tokens = control.gateway_tokens().await?.into_iter();
    let views = tokens.map(|token| alone(&control, "gateway", token)).collect();
    Ok(Json(Page::of(views, page)))
}

pub(crate) async fn revoke_gateway(
    State(control): State<Control>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Reply<Done> {
    control.revoke_gateway_token(&caller, &id).await?;
    Ok(Json(Done { success: true }))
}

/// A token that belongs to no account of its own.
fn alone(control: &Control, kind: &'static str, token: Token) -> AccountView {
    AccountView {
        id: token.id.clone(),
        kind,
        tenant_name: control.tenant().to_owned(),
        account_id: control.tenant().to_owned(),
        // The SDK reads a personal token as a virtual account, and accepts no other type here.
        manifest: json!({ "type": virtual_account::KIND, "name": token.name, "permissions": [] }),
        created_by_subject: SubjectView::of(&token.subject),
        created_at: time::rfc3339(token.created_at_ms),
        updated_at: time::rfc3339(token.created_at_ms),
        is_expired: !token.live(control.0.clock.unix_ms()),
        jwts: vec![token_view(token)],
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatePersonal {
    name: String,
    expiration_date: Option<String>,
    token_type: Option<virtual_account::TokenType>,
}

pub(crate) async fn create_personal(
    State(control): State<Control>,
    KnownUntil(caller, end): KnownUntil,
    Input(request): Input<CreatePersonal>,
) -> Reply<TokenReply> {
    let new = NewToken {
        name: request.name,
        expiration_date: request.expiration_date,
        jwt: request.token_type == Some(virtual_account::TokenType::Jwt),
        ends_by_ms: end,
    };
    let token = control.create_personal_token(&caller, new).await?;
    Ok(Json(TokenReply { token: token.expose().to_owned() }))
}

pub(crate) async fn revoke_personal(
    State(control): State<Control>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Reply<Done> {
    control.revoke_personal_token(&caller, &id).await?;
    Ok(Json(Done { success: true }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserView {
    id: String,
    email: String,
    tenant_name: String,
    metadata: Value,
    roles: Vec<&'static str>,
    teams: Vec<String>,
    active: bool,
    is_editable: bool,
    created_at: String,
    updated_at: String,
}

pub(crate) async fn users(
    State(control): State<Control>,
    Asked(page): Asked<PageQuery>,
) -> Reply<Page<UserView>> {
    let users = control.users().await?;
    let view = |user: User| UserView {
        id: user.email.clone(),
        tenant_name: control.tenant().to_owned(),
        metadata: json!({}),
        roles: vec![if user.admin { "tenant-admin" } else { "tenant-member" }],
        teams: user.teams,
        active: true,
        is_editable: false,
        created_at: time::rfc3339(user.created_at_ms),
        updated_at: time::rfc3339(user.created_at_ms),
        email: user.email,
    };
    Ok(Json(Page::of(users.into_iter().map(view).collect(), page)))
}

fn account_view(control: &Control, account: Account) -> AccountView {
    let stored = account.stored;
    AccountView {
        id: stored.name,
        kind: virtual_account::KIND,
        tenant_name: control.tenant().to_owned(),
        account_id: control.tenant().to_owned(),
        manifest: stored.manifest,
        created_by_subject: SubjectView::of(&stored.created_by),
        created_at: time::rfc3339(stored.created_at_ms),
        updated_at: time::rfc3339(stored.updated_at_ms),
        is_expired: account.expired,
        jwts: account.tokens.into_iter().map(token_view).collect(),
    }
}

fn token_view(token: Token) -> TokenView {
    let subject = token.subject.split_once(':').map_or("", |(_, name)| name).to_owned();
    TokenView {
        subject_type: SubjectView::of(&token.subject).kind(),
        subject_id: subject,
        token_type: token.format,
        // The SDK demands a time; a token without an end gets the last one it can read.
        expiry: time::rfc3339(token.expires_at_ms.unwrap_or(u64::MAX)),
        created_at: time::rfc3339(token.created_at_ms),
        updated_at: time::rfc3339(token.created_at_ms),
        id: token.id,
    }
}
