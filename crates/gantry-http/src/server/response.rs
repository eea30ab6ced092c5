//! A response as the services of a worker make it.

use super::upgrade::Upgrade;
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
    /// Who gets the connection behind a 101.
    pub(super) upgrade: Option<Upgrade>,
}

impl<B> Response<B> {
    #[must_use]
    pub fn new(status: StatusCode, lines: FieldLines, body: B) -> Self {
        Self { status, lines, body, declared: None, upgrade: None }
    }

    /// A 101 behind which the connection belongs to the other half of `upgrade`. `lines` name the
    /// protocol (`upgrade: websocket`), `body` is never sent. Only for a request for which
    /// [`Request::wants_upgrade`](super::Request::wants_upgrade) says so: any other connection is
    /// closed unanswered.
    #[must_use]
    pub fn switching(lines: FieldLines, upgrade: Upgrade, body: B) -> Self {
        let status = StatusCode::SWITCHING_PROTOCOLS;
        Self { status, lines, body, declared: None, upgrade: Some(upgrade) }
    }

    /// The same with another body.
    pub fn map<C>(self, change: impl FnOnce(B) -> C) -> Response<C> {
        let Self { status, lines, body, declared, upgrade } = self;
        Response { status, lines, body: change(body), declared, upgrade }
    }
}

/// An [`Upgrade`] among the extensions makes it a response as by [`Response::switching`].
impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (mut head, body) = response.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let ours = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, DATE];
        let fields = head.headers.iter().filter(|(name, _)| !ours.contains(name));
        let (lines, upgrade) = (fields.collect(), head.extensions.remove());
        Self { status: head.status, lines, body, declared, upgrade }
    }
}
