//! Who asks: by bearer token, from the published state, without touching the database.

use super::reply::Failure;
use crate::publish::GatewayKey;
use crate::{Control, Error};
use axum::extract::FromRequestParts;
use gantry_model::ids::UnixMs;
use gantry_model::snapshot::Caller;
use gantry_store::sha256_hex;
use http::request::Parts;

/// An authenticated person or virtual account.
pub(crate) struct Known(pub Caller);

/// The same with the end of the token that was used.
pub(crate) struct KnownUntil(pub Caller, pub Option<UnixMs>);

/// An authenticated remote gateway.
pub(crate) struct Gateway(pub GatewayKey);

impl FromRequestParts<Control> for Known {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Failure> {
        let KnownUntil(caller, _) = KnownUntil::from_request_parts(parts, control).await?;
        Ok(Self(caller))
    }
}

impl FromRequestParts<Control> for KnownUntil {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Failure> {
        let digest = digest(parts)?;
        let published = control.0.published.load();
        if let Some(key) = published.callers.get(&digest)
            && live(control, key.expires_at_ms)
        {
            return Ok(Self(key.caller.clone(), key.expires_at_ms));
        }
        if published.gateways.contains_key(&digest) {
            let text = "a gateway's token opens only gateway/snapshot and gateway/records; use \
                        a personal token or a virtual account's";
            return Err(Error::Forbidden(text.to_owned()).into());
        }
        Err(unknown_token())
    }
}

impl FromRequestParts<Control> for Gateway {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Failure> {
        let digest = digest(parts)?;
        let published = control.0.published.load();
        if let Some(key) = published.gateways.get(&digest)
            && live(control, key.expires_at_ms)
        {
            return Ok(Self(key.clone()));
        }
        if published.callers.contains_key(&digest) {
            let text = "this endpoint is for gateways; make a gateway token with POST \
                        /api/svc/v1/gateway/tokens and give it to the gateway";
            return Err(Error::Forbidden(text.to_owned()).into());
        }
        Err(unknown_token())
    }
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

fn digest(parts: &Parts) -> Result<String, Failure> {
    let token = parts
        .headers
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
