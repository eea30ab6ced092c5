//! Token counts as upstreams spell them, and their one normal form.

use super::value::object;
use crate::scan::Fault;
use crate::scan::cursor::{Cursor, count};
use gantry_model::usage::TokenUsage;

/// Most tokens of one kind that are believed of one call: ten times the largest context window
/// that is on offer. A larger count is a mistake, which would cost more than all the others.
const TOKENS_MAX: u64 = 100_000_000;

/// Counts as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cache_read: Option<u64>,
    /// DeepSeek's rest of the prompt.
    cache_miss: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: Option<u64>,
    /// Whether one was beyond belief; it counts as not sent.
    pub(crate) doubted: bool,
}

impl Counts {
    /// Reads OpenAI's `usage` with the spellings of compatible servers; `None` unless it is an
    /// object with a count. A later usage replaces an earlier one: they are cumulative.
    pub(crate) fn read_openai(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Fault> {
        let mut counts = Self::default();
        object(cursor, |cursor, name| {
            match name {
                b"prompt_tokens" | b"input_tokens" => counts.input = count(cursor)?,
                b"completion_tokens" | b"output_tokens" => counts.output = count(cursor)?,
                b"total_tokens" => counts.total = count(cursor)?,
                b"prompt_tokens_details" | b"input_tokens_details" => {
                    counts.openai_details(cursor)?;
                }
                b"completion_tokens_details" | b"output_tokens_details" => {
                    counts.openai_details(cursor)?;
                }
                // DeepSeek; Moonshot and others spell it `cached_tokens` at the top.
                b"prompt_cache_hit_tokens" | b"cached_tokens" => {
                    keep(&mut counts.cache_read, count(cursor)?);
                }
                b"prompt_cache_miss_tokens" => counts.cache_miss = count(cursor)?,
                b"cache_write_tokens" => keep(&mut counts.cache_write, count(cursor)?),
                // Perplexity.
                b"reasoning_tokens" => keep(&mut counts.reasoning, count(cursor)?),
                _ => cursor.ignore()?,
            }
            Ok(())
        })?;
        counts.doubt();
        Ok(Some(counts).filter(|counts| *counts != Self::default()))
    }

    /// Reads llama.cpp's `timings`, in which `prompt_n` excludes what came from the cache.
    pub(crate) fn timings(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Fault> {
        let mut counts = Self::default();
        object(cursor, |cursor, name| {
            match name {
                b"prompt_n" => counts.cache_miss = count(cursor)?,
                b"cache_n" => counts.cache_read = count(cursor)?,
                b"predicted_n" => counts.output = count(cursor)?,
                _ => cursor.ignore()?,
            }
            Ok(())
        })?;
        counts.doubt();
        Ok(Some(counts).filter(|counts| counts.output.is_some()))
    }

    /// Takes over the fields of an Anthropic `usage`; returns whether it is an object.
    ///
    /// Counts are cumulative, so a later one replaces an earlier one; but a zero on the input's
    /// side replaces nothing, as some servers fill in that side only once.
    pub(crate) fn merge_anthropic(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        let is_object = cursor.peek_value() == Some(b'{');
        object(cursor, |cursor, name| {
            match name {
                b"input_tokens" => keep(&mut self.input, count(cursor)?),
                b"output_tokens" => self.output = count(cursor)?.or(self.output),
                b"cache_read_input_tokens" => keep(&mut self.cache_read, count(cursor)?),
                b"cache_creation_input_tokens" => keep(&mut self.cache_write, count(cursor)?),
                b"cache_creation" => object(cursor, |cursor, name| {
                    match name {
                        b"ephemeral_5m_input_tokens" => {
                            keep(&mut self.cache_write_5m, count(cursor)?);
                        }
                        b"ephemeral_1h_input_tokens" => {
                            keep(&mut self.cache_write_1h, count(cursor)?);
                        }
                        _ => cursor.ignore()?,
                    }
                    Ok(())
                })?,
                b"output_tokens_details" => object(cursor, |cursor, name| {
                    match name {
                        b"thinking_tokens" => keep(&mut self.reasoning, count(cursor)?),
                        _ => cursor.ignore()?,
                    }
                    Ok(())
                })?,
                _ => cursor.ignore()?,
            }
            Ok(())
        })?;
        self.doubt();
        Ok(is_object)
    }

    /// Takes out what is beyond belief.
    #[inline]
    fn doubt(&mut self) {
        // One large count makes the sum of all bits large: a look that costs next to nothing.
        let bits = |count: Option<u64>| count.unwrap_or(0);
        let some = bits(self.input) | bits(self.output) | bits(self.total) | bits(self.reasoning);
        let cached = bits(self.cache_read) | bits(self.cache_miss) | bits(self.cache_write);
        let written = bits(self.cache_write_5m) | bits(self.cache_write_1h);
        if some | cached | written > TOKENS_MAX {
            self.take_out_large();
        }
    }

    #[cold]
    fn take_out_large(&mut self) {
        for count in [
            &mut self.input,
            &mut self.output,
            &mut self.total,
            &mut self.cache_read,
            &mut self.cache_miss,
            &mut self.cache_write,
            &mut self.cache_write_5m,
            &mut self.cache_write_1h,
            &mut self.reasoning,
        ] {
            if *count > Some(TOKENS_MAX) {
                *count = None;
                self.doubted = true;
            }
        }
    }

    /// OpenAI's convention: the prompt includes cached tokens, the completion includes reasoning.
    pub(crate) fn openai(&self) -> TokenUsage {
        let cached = self.cache_read.unwrap_or(0);
        let reasoning = self.reasoning.unwrap_or(0);
        let mut output = self.output.unwrap_or(0);
        let input = match (self.input, self.cache_miss, self.total) {
            (Some(input), _, _) => input,
            (None, Some(miss), _) => miss.saturating_add(cached),
            // Embedding servers that send nothing but a total.
            (None, None, Some(total)) => total.saturating_sub(output),
            (None, None, None) => 0,
        };
        // xAI counts reasoning beside the completion; only the total shows it.
        let beside = input.saturating_add(output).saturating_add(reasoning);
        if reasoning > 0 && self.total == Some(beside) {
            output = output.saturating_add(reasoning);
        }
        TokenUsage {
            input,
            cache_read: cached.min(input),
            cache_write: self.cache_write.unwrap_or(0).min(input),
            cache_write_1h: 0,
            output,
            reasoning: reasoning.min(output),
        }
    }

    /// Anthropic's convention: the input excludes cache reads and writes.
    pub(crate) fn anthropic(&self) -> TokenUsage {
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write_1h = self.cache_write_1h.unwrap_or(0);
        let by_lifetime = self.cache_write_5m.unwrap_or(0).saturating_add(cache_write_1h);
        let cache_write = self.cache_write.unwrap_or(0).max(by_lifetime);
        let fresh = self.input.unwrap_or(0);
        let output = self.output.unwrap_or(0);
        TokenUsage {
            input: fresh.saturating_add(cache_read).saturating_add(cache_write),
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning: self.reasoning.unwrap_or(0).min(output),
        }
    }

    fn openai_details(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, name| {
            match name {
                b"cached_tokens" => keep(&mut self.cache_read, count(cursor)?),
                b"cache_write_tokens" => keep(&mut self.cache_write, count(cursor)?),
                b"reasoning_tokens" => keep(&mut self.reasoning, count(cursor)?),
                _ => cursor.ignore()?,
            }
            Ok(())
        })
    }
}

/// Replaces a count unless the new one is absent, or zero while there is one already.
fn keep(kept: &mut Option<u64>, new: Option<u64>) {
    if new.is_some_and(|new| new > 0) || kept.is_none() {
        *kept = new.or(*kept);
    }
}
