//! Errors as TrueFoundry's clients read them, bodies with good messages, lists with pages.

use crate::Error;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::{IntoResponse, Response};
use gantry_model::rest::Problem;
use gantry_runtime::errors::sentence;
use gantry_store::Error as StoreError;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) type Reply<T> = Result<Json<T>, Failure>;

/// An error reply: `{"statusCode", "message", "code", "details"?}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    details: Vec<Problem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status_code: u16,
    message: String,
    /// Stable, for programs: `NOT_FOUND`.
    code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Problem>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Vec::new() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::BadRequest(_) => StatusCode::BAD_REQUEST,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Unavailable(_)
            | Error::Store(StoreError::Busy | StoreError::Unreachable(_) | StoreError::Lost(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Store(StoreError::BadCursor) => StatusCode::BAD_REQUEST,
            Error::Store(StoreError::Full) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Store(_) | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = error.public().unwrap_or_else(|| logged(&error, status));
        match error {
            Error::Invalid(details) => Self { status, message, details },
            _ => Self::new(status, message),
        }
    }
}

/// Logs what callers may not read, under a number that they may name.
fn logged(error: &Error, status: StatusCode) -> String {
    // Without random bits there is a line in the log all the same.
    let id = crate::mint::id().unwrap_or_default();
    let id = id.get(..12).unwrap_or_default();
    let text = sentence(error);
    tracing::error!(error = text, status = status.as_u16(), id, "control request failed");
    format!("Gantry failed; whoever runs it finds the reason in its log, as error {id}")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let body = Body {
            status_code: self.status.as_u16(),
            message: self.message,
            code: reason.to_ascii_uppercase().replace(' ', "_"),
            details: self.details,
        };
        (self.status, Json(body)).into_response()
    }
}

/// A JSON body, whatever its content type; a mistake is answered with its line and column.
pub(crate) struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = bytes::Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let limit = super::BODY_LIMIT_BYTES >> 20;
                let text = format!("the request body is larger than {limit} MiB; split it");
                return Error::TooLarge(text).into();
            }
            Failure::new(rejection.status(), rejection.body_text())
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Error::BadRequest(format!("the request body is not what was expected: {error}")).into()
        })
    }
}

/// The query string; a mistake is answered as any other error.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|rejection| {
            let text = format!("the query string is malformed: {}", rejection.body_text());
            Error::BadRequest(text).into()
        })
    }
}

/// `limit` and `offset` of lists.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Items on a page unless the caller says otherwise.
const PAGE: usize = 100;

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub data: Vec<T>,
    pagination: Pagination,
}

#[derive(Debug, Serialize)]
struct Pagination {
    total: usize,
    offset: usize,
    limit: usize,
}

impl<T> Page<T> {
    pub(crate) fn of(all: Vec<T>, query: PageQuery) -> Self {
        let (offset, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(PAGE));
        let pagination = Pagination { total: all.len(), offset, limit };
        Self { data: all.into_iter().skip(offset).take(limit).collect(), pagination }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What callers read of an error.
    fn told(error: Error) -> (u16, String) {
        let failure = Failure::from(error);
        (failure.status.as_u16(), failure.message)
    }

    #[test]
    fn what_failed_inside_is_told_to_the_log_only() {
        let directory = StoreError::Directory {
            path: "/srv/secret-place".into(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let row = StoreError::BadRow { table: "tokens", problem: "near SELECT".to_owned() };
        let inside = [
            Error::Store(directory),
            Error::Store(row),
            Error::Store(StoreError::Corrupt),
            Error::Store(StoreError::NoTenant("acme".to_owned())),
            Error::Internal("read /srv/secret-place".to_owned()),
        ];
        for error in inside {
            let said = error.to_string();
            let (status, message) = told(error);
            let (general, id) = message.rsplit_once(' ').unwrap();
            let expected = "Gantry failed; whoever runs it finds the reason in its log, as error";
            assert_eq!((status, general), (500, expected), "{said}");
            assert!(id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
        }
        assert_eq!(told(Error::Store(StoreError::Full)).0, 507);
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for error in [StoreError::Unreachable(refused().into()), StoreError::Lost(refused().into())]
        {
            let (status, message) = told(Error::Store(error));
            assert_eq!((status, message.contains("refused")), (503, false), "{message}");
        }
        assert_eq!(told(Error::Store(StoreError::BadCursor)).0, 400);
        let (status, message) = told(Error::Store(StoreError::Busy));
        assert_eq!((status, message.contains("try again")), (503, true));
    }
}
