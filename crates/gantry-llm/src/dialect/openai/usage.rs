//! Token usage as OpenAI and compatible servers report it, read by `observe` as for the record.
//!
//! `prompt_tokens` includes cached tokens, `completion_tokens` includes reasoning: the neutral
//! convention too.

use crate::dialect::json::Json;
use crate::dialect::reader::{Read, Reader};
use crate::dialect::wire::FromJson;
use crate::observe::usage::{Convention, Counts};
use crate::scan::cursor::Cursor;
use gantry_model::usage::TokenUsage;

/// A `usage` object; nothing that it holds is an error.
#[derive(Debug, Default)]
pub(super) struct Usage(Option<Counts>);

/// llama.cpp's counts.
#[derive(Debug, Default)]
pub(super) struct Timings(Option<Counts>);

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
        self.0 = Counts::read(&mut cursor, Convention::Inclusive).ok().flatten();
        Ok(())
    }
}

impl FromJson<'_> for Timings {
    fn fill(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        let raw = reader.raw()?;
        self.0 = Counts::timings(&mut Cursor::new(raw.get().as_bytes())).ok().flatten();
        Ok(())
    }
}

impl Used {
    /// Takes over what a chunk or a reply says; returns whether it says anything.
    pub(super) fn take(&mut self, sent: [Option<Usage>; 2], timings: Option<Timings>) -> bool {
        let usages = sent.into_iter().flatten().filter_map(|usage| usage.0);
        let mut said = false;
        for counts in usages.chain(timings.and_then(|timings| timings.0)) {
            if counts.say_something() {
                self.counts.take(&counts, false);
                said = true;
            }
        }
        self.any |= said;
        said
    }

    /// The counts in normal form; `None` when none said anything.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        self.any.then(|| self.counts.reading(Convention::Inclusive).usage)
    }
}

/// Prints the `usage` object.
pub(super) fn print(usage: &TokenUsage, json: &mut Json<'_>) {
    json.run(r#"{"prompt_tokens":"#);
    json.u64(usage.input);
    json.run(r#","completion_tokens":"#);
    json.u64(usage.output);
    json.run(r#","total_tokens":"#);
    json.u64(usage.total());
    json.run(r#","prompt_tokens_details":{"cached_tokens":"#);
    json.u64(usage.cache_read);
    json.run(r#","cache_write_tokens":"#);
    json.u64(usage.cache_write);
    json.run(r#"},"completion_tokens_details":{"reasoning_tokens":"#);
    json.u64(usage.reasoning);
    json.run("}}");
}
