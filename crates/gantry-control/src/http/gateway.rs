//! For remote gateways: snapshots down, records up. And questions about records.
//!
//! A snapshot holds every upstream credential in clear: serve this over TLS, or on a network that
//! nobody else can read.

use super::access::{Gateway, Known, still_known};
use super::reply::{Asked, Failure, Input, Reply};
use crate::{AnalyticsError, Control, Error, OneRequest, Segment, SinkError};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gantry_model::ids::Generation;
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LogQuery, UsageQuery, UsageRow};
use gantry_model::snapshot::{Caller, Digests, SnapshotSource};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest wait for a newer snapshot before the gateway is told to ask again. Below the 30 s
/// after which common load balancers cut an idle connection.
const LONG_POLL: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
pub(crate) struct SnapshotQuery {
    /// What the gateway has; absent: nothing.
    generation: Option<u64>,
    /// The sections that it has: names and digests, `keys:DIGEST,models:DIGEST`. Absent: none.
    sections: Option<String>,
}

impl SnapshotQuery {
    /// Whether a snapshot is another than what the gateway has.
    fn lacks(&self, source: &SnapshotSource) -> bool {
        match (&self.sections, self.generation.map(Generation)) {
            (Some(_), have) => {
                have.is_some_and(|have| source.generation != have)
                    || source.digests() != self.digests()
            }
            (None, Some(have)) => source.generation > have,
            (None, None) => true,
        }
    }

    fn digests(&self) -> Digests {
        let pairs = self.sections.iter().flat_map(|text| text.split(','));
        let pairs = pairs.filter_map(|pair| pair.split_once(':'));
        pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect()
    }
}

/// The sections of the present snapshot that the gateway lacks, at once when it has another, else
/// as soon as there is a newer one; 304 after [`LONG_POLL`]. With digests the gateway also follows
/// back to an earlier generation, that of a restored database, and takes a variable's new value.
pub(crate) async fn snapshot(
    State(control): State<Control>,
    Gateway(gateway): Gateway,
    Asked(query): Asked<SnapshotQuery>,
) -> Result<Response, Failure> {
    let mut snapshots = control.subscribe();
    let newer = |source: &std::sync::Arc<SnapshotSource>| query.lacks(source);
    let current = snapshots.borrow().generation;
    if let (Some(have), None) = (query.generation, &query.sections)
        && current < Generation(have)
    {
        return Err(Error::Conflict(format!(
            "gateway {} has generation {have}, but this control plane is at {current}: its \
             database was replaced or restored; restart the gateway without its stored snapshot \
             to accept this state",
            gateway.name
        ))
        .into());
    }
    let found = tokio::select! {
        found = tokio::time::timeout(LONG_POLL, snapshots.wait_for(newer)) => match found {
            Ok(Ok(source)) => Some(source.clone()),
            // Time is up, or the control plane is closing.
            Ok(Err(_)) | Err(_) => None,
        },
        () = control.0.shutdown.wait() => None,
    };
    still_known(&control, &gateway)?;
    let Some(source) = found else {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    };
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([no_store], Json(source.news(&query.digests()))).into_response())
}

#[derive(Deserialize)]
pub(crate) struct RecordsQuery {
    segment: String,
}

/// A journal segment as the body; `?segment=` is the gateway's name for it.
pub(crate) async fn records(
    State(control): State<Control>,
    Gateway(gateway): Gateway,
    Asked(query): Asked<RecordsQuery>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let sink = control.0.records.as_ref().ok_or_else(|| {
        Error::Unavailable("this control plane takes no records; keep them".to_owned())
    })?;
    let segment = Segment { gateway: gateway.name, id: query.segment, body };
    match sink.accept(segment).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(SinkError::Malformed(why)) => Err(Error::BadRequest(why).into()),
        Err(SinkError::Failed(why)) => {
            tracing::error!(error = why, "records of a gateway were not kept");
            Err(Error::Unavailable("the records could not be kept; send them again".into()).into())
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NewGateway {
    name: String,
}

#[derive(Serialize)]
pub(crate) struct GatewayToken {
    name: String,
    token: String,
}

pub(crate) async fn create_token(
    State(control): State<Control>,
    Known(caller): Known,
    Input(request): Input<NewGateway>,
) -> Reply<GatewayToken> {
    let token = control.create_gateway_token(&caller, &request.name).await?;
    Ok(Json(GatewayToken { name: request.name, token: token.expose().to_owned() }))
}

pub(crate) async fn logs(
    State(control): State<Control>,
    Known(caller): Known,
    Input(mut query): Input<LogQuery>,
) -> Reply<Vec<RequestRecord>> {
    query.subject = own_subject(&caller, query.subject)?;
    let analytics = control.0.analytics.as_ref().ok_or_else(no_analytics)?;
    let found = analytics.logs(query).await.map_err(analytics_failed)?;
    Ok(Json(found.into_iter().map(|record| seen_by(&caller, record)).collect()))
}

/// Administrators see what stands in a record for whoever runs the gateway.
fn seen_by(caller: &Caller, record: RequestRecord) -> RequestRecord {
    if caller.admin { record } else { record.for_caller() }
}

/// One request whole: the only answer that holds bodies.
pub(crate) async fn request(
    State(control): State<Control>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Reply<RequestRecord> {
    let subject = own_subject(&caller, None)?;
    let analytics = control.0.analytics.as_ref().ok_or_else(no_analytics)?;
    let asked = OneRequest { id: id.clone(), subject };
    let found = analytics.request(asked).await.map_err(analytics_failed)?;
    let found = found.ok_or_else(|| Error::NotFound(format!("there is no request {id}")))?;
    Ok(Json(seen_by(&caller, found)))
}

pub(crate) async fn usage(
    State(control): State<Control>,
    Known(caller): Known,
    Input(mut query): Input<UsageQuery>,
) -> Reply<Vec<UsageRow>> {
    query.subject = own_subject(&caller, query.subject)?;
    let analytics = control.0.analytics.as_ref().ok_or_else(no_analytics)?;
    Ok(Json(analytics.usage(query).await.map_err(analytics_failed)?))
}

/// Administrators may ask about anybody, others about themselves.
fn own_subject(caller: &Caller, asked: Option<String>) -> Result<Option<String>, Error> {
    match asked {
        asked if caller.admin => Ok(asked),
        Some(other) if other != caller.subject => Err(Error::Forbidden(format!(
            "{} may see its own records only, not those of {other}",
            caller.subject
        ))),
        _ => Ok(Some(caller.subject.clone())),
    }
}

fn no_analytics() -> Error {
    let text = "this control plane has no record store; ask one that was started with it";
    Error::Unavailable(text.to_owned())
}

fn analytics_failed(error: AnalyticsError) -> Error {
    match error {
        AnalyticsError::BadQuery(why) => Error::BadRequest(why),
        AnalyticsError::Failed(why) => {
            tracing::error!(error = why, "question about records failed");
            Error::Unavailable("the records could not be read; try again, or see the log".into())
        }
        AnalyticsError::Store(why) => {
            // Its own words hold neither secrets nor hosts.
            Error::Unavailable(format!("the records cannot be read: {why}; the log says more"))
        }
    }
}
