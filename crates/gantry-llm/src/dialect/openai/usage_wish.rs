//! Asks for the usage of a forwarded stream, which OpenAI's dialect sends on demand only.
//!
//! Without it the tokens of a stream could only be estimated.

use crate::dialect::{Edits, Forwarded};
use crate::scan::{Index, ScanError};
use crate::splice::Draft;
use bytes::Bytes;

/// The edit that asks for usage, unless the caller did or the upstream does not know the wish.
pub(super) fn edits(request: &Forwarded<'_>) -> Result<Edits, ScanError> {
    if !request.stream || request.include_usage || !request.quirks.stream_usage {
        return Ok(Edits::default());
    }
    let set = vec![("stream_options", options(request)?)];
    Ok(Edits { set, usage_added: true, ..Edits::default() })
}

fn options(request: &Forwarded<'_>) -> Result<Bytes, ScanError> {
    const ASK: &[u8] = br#"{"include_usage":true}"#;
    let Some(range) = request.stream_options.clone() else { return Ok(Bytes::from_static(ASK)) };
    let options = request.body.slice(range);
    let index = Index::of(&options)?;
    let mut draft = Draft::new(&options, &index);
    draft.set("include_usage", b"true")?;
    Ok(draft.finish().into_bytes())
}
