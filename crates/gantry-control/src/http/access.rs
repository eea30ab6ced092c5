//! Who asks: by bearer token, from the published state, without touching the database.
//!
//! Each route declares an [`Access`]; [`guard`] runs before its handler and leaves there who asks.
//! The extractors only pick that up, so that a handler cannot run for somebody whom the table does
//! not let in.

use super::reply::Failure;
use crate::access::Permission;
use crate::publish::GatewayKey;
use crate::{Control, Error};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gantry_model::ids::UnixMs;
use gantry_model::snapshot::Caller;
use gantry_store::sha256_hex;
use http::HeaderMap;
use http::request::Parts;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Open,
    /// Whoever has a token of a person or a virtual account. Handlers show each their own.
    Caller,
    /// Callers with this permission.
    Needs(Permission),
    /// Remote gateways.
    Gateway,
}

/// An authenticated person or virtual account.
pub(crate) struct Known(pub Caller);

/// The same with the end of the token that was used.
#[derive(Clone)]
pub(crate) struct KnownUntil(pub Caller, pub Option<UnixMs>);

/// An authenticated remote gateway.
#[derive(Clone)]
pub(crate) struct Gateway(pub GatewayKey);

/// Lets in whom the route's row names.
pub(crate) async fn guard(
    State((control, access)): State<(Control, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&control, access, &mut request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn admit(control: &Control, access: Access, request: &mut Request) -> Result<(), Failure> {
    match access {
        Access::Open => {}
        Access::Caller => {
            let caller = caller(control, request.headers())?;
            request.extensions_mut().insert(caller);
        }
        Access::Needs(permission) => {
            let caller = caller(control, request.headers())?;
            permission.check(&caller.0)?;
            request.extensions_mut().insert(caller);
        }
        Access::Gateway => {
            let gateway = gateway(control, request.headers())?;
            request.extensions_mut().insert(gateway);
        }
    }
    Ok(())
}

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let KnownUntil(caller, _) = KnownUntil::from_request_parts(parts, state).await?;
        Ok(Self(caller))
    }
}

impl<S: Sync> FromRequestParts<S> for KnownUntil {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(undeclared)
    }
}

impl<S: Sync> FromRequestParts<S> for Gateway {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(undeclared)
    }
}

/// A handler asks for somebody whom its route's row does not let in.
fn undeclared() -> Failure {
    Error::Internal("serve a route whose row declares another access".to_owned()).into()
}

fn caller(control: &Control, headers: &HeaderMap) -> Result<KnownUntil, Failure> {
    let digest = digest(headers)?;
    let published = control.0.published.load();
    if let Some(key) = published.callers.get(&digest)
        && live(control, key.expires_at_ms)
    {
        return Ok(KnownUntil(key.caller.clone(), key.expires_at_ms));
    }
    if published.gateways.contains_key(&digest) {
        let text = "a gateway's token opens only gateway/snapshot and gateway/records; use a \
                    personal token or a virtual account's";
        return Err(Error::Forbidden(text.to_owned()).into());
    }
    Err(unknown_token())
}

fn gateway(control: &Control, headers: &HeaderMap) -> Result<Gateway, Failure> {
    let digest = digest(headers)?;
    let published = control.0.published.load();
    if let Some(key) = published.gateways.get(&digest)
        && live(control, key.expires_at_ms)
    {
        return Ok(Gateway(key.clone()));
    }
    if published.callers.contains_key(&digest) {
        let text = "this endpoint is for gateways; make a gateway token with POST \
                    /api/svc/v1/gateway/tokens and give it to the gateway";
        return Err(Error::Forbidden(text.to_owned()).into());
    }
    Err(unknown_token())
}

/// Refuses a gateway whose token was ended since it asked.
pub(crate) fn still_known(control: &Control, gateway: &GatewayKey) -> Result<(), Failure> {
    let published = control.0.published.load();
    let known = published.gateways.get(&gateway.sha256);
    let live = known.is_some_and(|key| live(control, key.expires_at_ms));
    if live { Ok(()) } else { Err(unknown_token()) }
}

fn live(control: &Control, expires_at_ms: Option<u64>) -> bool {
    expires_at_ms.is_none_or(|end| control.0.clock.unix_ms() < end)
}

fn digest(headers: &HeaderMap) -> Result<String, Failure> {
    let token = headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(token) if !token.is_empty() => Ok(sha256_hex(token.as_bytes())),
        _ => {
            let text = "no token was sent; send `Authorization: Bearer tfy_...`; gantry takes \
                        it from --token or GANTRY_TOKEN, tfy from TFY_API_KEY";
            Err(Error::Unauthenticated(text.to_owned()).into())
        }
    }
}

fn unknown_token() -> Failure {
    let text = "the token is unknown, expired or revoked; ask an administrator for a new one, or \
                look whether it belongs to another Gantry";
    Error::Unauthenticated(text.to_owned()).into()
}
