//! Token usage as Anthropic reports it, read by `observe` as for the record.
//!
//! `input_tokens` excludes cache reads and writes; the neutral form includes them. In streams the
//! counts are cumulative and come in pieces: a later piece replaces what it names, never adds; but
//! a zero replaces nothing, as some servers fill in a side only once.

use crate::dialect::json::Json;
use crate::dialect::reader::{Read, Reader};
use crate::dialect::wire::FromJson;
use crate::observe::usage::{Convention, Counts};
use crate::scan::cursor::Cursor;
use gantry_model::usage::TokenUsage;

/// A `usage` object; nothing that it holds is an error.
#[derive(Debug, Default)]
pub(super) struct Usage(Option<Counts>);

/// What is known of a reply's usage.
#[derive(Debug, Default)]
pub(super) struct Used {
    counts: Counts,
    any: bool,
}

impl FromJson<'_> for Usage {
    fn fill(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        let raw = reader.raw()?;
        let mut cursor = Cursor::new(raw.get().as_bytes());
        self.0 = Counts::read(&mut cursor, Convention::Exclusive).ok().flatten();
        Ok(())
    }
}

impl Used {
    /// Takes over what an event or a reply says; returns whether it says anything. `begins`: it
    /// comes before the answer.
    pub(super) fn take(&mut self, sent: Option<Usage>, begins: bool) -> bool {
        let counts = sent.and_then(|usage| usage.0);
        let Some(counts) = counts.filter(Counts::say_something) else { return false };
        self.counts.take(&counts, begins);
        self.any = true;
        true
    }

    /// The counts in normal form; `None` when none said anything.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        self.any.then(|| self.counts.reading(Convention::Exclusive).usage)
    }
}

/// Prints a `usage` object.
pub(super) fn print(usage: &TokenUsage, json: &mut Json<'_>) {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    json.run(r#"{"input_tokens":"#);
    json.u64(usage.input.saturating_sub(cached));
    json.run(r#","cache_creation_input_tokens":"#);
    json.u64(usage.cache_write);
    json.run(r#","cache_read_input_tokens":"#);
    json.u64(usage.cache_read);
    json.run(r#","output_tokens":"#);
    json.u64(usage.output);
    if usage.reasoning > 0 {
        json.run(r#","output_tokens_details":{"thinking_tokens":"#);
        json.u64(usage.reasoning);
        json.close(b'}');
    }
    json.close(b'}');
}
