//! Ids of a request that needs no translation, within the limits of its upstream.
//!
//! The fits of dialects call it with the names of their fields. A body in which nothing is too long
//! costs one search for the field's name.

use crate::neutral::{Losses, fitted};
use crate::scan::ScanError;
use crate::scan::cursor::Cursor;
use crate::splice::{Draft, Patch};
use gantry_model::facts::Limit;
use memchr::memmem;
use std::borrow::Cow;

const NOTE: &str = "changed, because the upstream takes no such string";

/// Changes ids of calls: `results` names the member, with its quotes, in which a result names its
/// call. The call itself has it as its `id`.
pub(super) fn calls(
    draft: &mut Draft<'_>,
    results: &str,
    limit: &Limit,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    let Some(messages) = draft.get("messages") else { return Ok(()) };
    let odd: Vec<(&str, String)> = memmem::find_iter(messages, results)
        .filter_map(|at| value_behind(messages, at + results.len()))
        .filter_map(|id| Some((id, fitted(id, limit)?)))
        .collect();
    if odd.is_empty() {
        return Ok(());
    }
    let mut patches: Vec<Patch> = Vec::new();
    for (id, short) in &odd {
        let quoted = format!("\"{id}\"");
        for at in memmem::find_iter(messages, &quoted) {
            if is_id(messages, at, results) {
                patches.push((at..at + quoted.len(), format!("\"{short}\"").into_bytes()));
            }
        }
    }
    patches.sort_by_key(|(range, _)| range.start);
    patches.dedup_by_key(|(range, _)| range.start);
    losses.added("messages", "ids of calls that the upstream does not take are changed");
    draft.patch("messages", patches)
}

/// The string that is a member's value, where it has no escapes; `at`: behind the key.
fn value_behind(text: &[u8], at: usize) -> Option<&str> {
    let rest = text.get(at..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"")?;
    let id = rest.get(..memchr::memchr(b'"', rest)?)?;
    std::str::from_utf8(id).ok().filter(|id| !id.contains('\\'))
}

/// Whether the string at `at` is the value of an id.
fn is_id(text: &[u8], at: usize, results: &str) -> bool {
    let before = text.get(..at).unwrap_or_default().trim_ascii_end();
    let key = before.strip_suffix(b":").unwrap_or_default().trim_ascii_end();
    key.ends_with(b"\"id\"") || key.ends_with(results.as_bytes())
}

/// Changes a string at the top, or in the member `inner` of an object there.
pub(super) fn user(
    draft: &mut Draft<'_>,
    (field, inner): (&'static str, Option<&str>),
    limit: &Limit,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    let Some(value) = draft.get(field) else { return Ok(()) };
    let mut patches = Vec::new();
    let mut change = |cursor: &mut Cursor<'_>| {
        let range = cursor.skip()?;
        let text = serde_json::from_slice::<Cow<'_, str>>(cursor.slice(&range)).ok();
        if let Some(short) = text.and_then(|text| fitted(&text, limit)) {
            patches.push((range, serde_json::to_vec(&short).unwrap_or_default()));
        }
        Ok(())
    };
    let mut cursor = Cursor::new(value);
    // What has another form is the upstream's to refuse.
    let _ = match inner {
        None => change(&mut cursor),
        Some(_) if !value.starts_with(b"{") => Ok(()),
        Some(inner) => cursor.object(|cursor, key| {
            let found = cursor.slice(&key.inner()) == inner.as_bytes();
            if found { change(cursor) } else { cursor.ignore() }
        }),
    };
    if !patches.is_empty() {
        match inner {
            None => losses.approximated(field, NOTE),
            Some(inner) => losses.approximated(format!("{field}.{inner}"), NOTE),
        }
    }
    draft.patch(field, patches)
}
