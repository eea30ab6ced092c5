//! A response as the services of a worker make it.

use crate::http1::FieldLines;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};

/// A response. The connection adds framing, date and whether it stays open.
#[derive(Debug)]
pub struct Response<B> {
    pub status: StatusCode,
    /// Without `content-length`, `transfer-encoding`, `connection` and `date`.
    pub lines: FieldLines,
    pub body: B,
    /// The length that a reply to `HEAD` declares of the body that it leaves out.
    pub(super) declared: Option<u64>,
}

impl<B> Response<B> {
    #[must_use]
    pub fn new(status: StatusCode, lines: FieldLines, body: B) -> Self {
        Self { status, lines, body, declared: None }
    }

    /// The same with another body.
    pub fn map<C>(self, change: impl FnOnce(B) -> C) -> Response<C> {
        let Self { status, lines, body, declared } = self;
        Response { status, lines, body: change(body), declared }
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (head, body) = response.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let ours = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE];
        let fields = head.headers.iter().filter(|(name, _)| !ours.contains(name));
        Self { status: head.status, lines: fields.collect(), body, declared }
    }
}
