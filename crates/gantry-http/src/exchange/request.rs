//! A request, its head printed straight into the bytes that go out.

use crate::http1::{FieldLines, print_field};
use gantry_model::pieces::Pieces;
use http::{HeaderName, HeaderValue, Method};
use std::fmt;

/// Room for a request line and the fields of a usual call.
const USUAL_BYTES: usize = 512;

/// A request's line and header fields. Its debug output shows none of them: there are credentials.
pub struct RequestHead {
    lines: Vec<u8>,
    head_only: bool,
}

/// A request as it goes out; it can go out again.
pub struct Request {
    pub(super) head: Vec<u8>,
    pub(super) body: Pieces,
    /// Whether its reply has no body, whatever the reply's head says (`HEAD`).
    pub(super) head_only: bool,
}

impl RequestHead {
    /// Begins the head. `target` is path and query, without spaces or controls, as
    /// [`http::uri::PathAndQuery`] guarantees.
    #[must_use]
    pub fn new(method: &Method, target: &str) -> Self {
        let mut lines = Vec::with_capacity(USUAL_BYTES);
        for part in [method.as_str(), " ", target, " HTTP/1.1\r\n"] {
            lines.extend_from_slice(part.as_bytes());
        }
        Self { lines, head_only: *method == Method::HEAD }
    }

    /// Adds a field.
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name.as_str().as_bytes(), value.as_bytes());
    }

    /// Adds a field whose name and value are known to be valid.
    pub fn line(&mut self, name: &[u8], value: &[u8]) {
        print_field(&mut self.lines, name, value);
    }

    /// Adds fields that were printed before.
    pub fn fields(&mut self, printed: &FieldLines) {
        self.lines.extend_from_slice(printed.as_bytes());
    }

    /// Declares the body's length and ends the head.
    #[must_use]
    pub fn with_body(mut self, body: Pieces) -> Request {
        self.lines.extend_from_slice(b"content-length: ");
        self.lines.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        self.lines.extend_from_slice(b"\r\n\r\n");
        Request { head: self.lines, body, head_only: self.head_only }
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHead({} bytes)", self.lines.len())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} + {} bytes)", self.head.len(), self.body.len())
    }
}
