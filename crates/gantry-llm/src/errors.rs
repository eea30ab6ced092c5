//! Errors in the callers' and the upstreams' dialects.
//!
//! The gateway reads what an upstream answered with [`parse`], and prints its own refusals and the
//! upstreams' errors with [`print_body`] and [`print_event`]. Nothing here decides on retries.

pub use crate::neutral::{ErrorKind, ErrorView};

use crate::dialect::Dialect;

/// Most bytes of an envelope around the message, in all but rare cases.
const ENVELOPE_BYTES: usize = 160;

/// Reads an error reply of an upstream that speaks `dialect`. It never fails: of a body that says
/// nothing the status is left.
#[must_use]
pub fn parse(dialect: &dyn Dialect, status: u16, body: &[u8]) -> ErrorView {
    dialect.read_error(status, body)
}

/// The body of an HTTP error in the caller's envelope.
#[must_use]
pub fn print_body(dialect: &dyn Dialect, error: &ErrorView) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + ENVELOPE_BYTES);
    dialect.print_error(error, &mut out);
    out
}

/// An event that says what went wrong after a stream began; the stream ends with it.
#[must_use]
pub fn print_event(dialect: &dyn Dialect, error: &ErrorView) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + ENVELOPE_BYTES);
    dialect.print_error_event(error, &mut out);
    out
}

/// The HTTP status to send the error with.
#[must_use]
pub fn status_for(dialect: &dyn Dialect, error: &ErrorView) -> u16 {
    dialect.error_status(error)
}
