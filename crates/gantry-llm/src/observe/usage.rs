//! Token counts as upstreams spell them, and their one normal form.
//!
//! The one reader of usage: the observer reads with it what goes into the record, the dialects what
//! the caller is told. Counts stand beside an answer, so nothing in them is an error: what cannot
//! be read counts as not sent, and is doubted.

mod count;
#[cfg(test)]
mod tests;

use super::value::{array, object};
use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use count::Count;
use gantry_model::usage::TokenUsage;

/// What the upstream said of its tokens so far, and how much of it could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What was read. A side that was not is zero, or what is known of it so far.
    pub usage: TokenUsage,
    /// Whether the prompt's side was read.
    pub input: bool,
    /// Whether the answer's side was read, as far as the answer had come.
    pub output: bool,
    /// Both sides together, where neither was read alone.
    pub total: Option<u64>,
    /// A count could not be read or is beyond belief, and nothing else tells it.
    pub doubted: bool,
}

impl Reading {
    /// A usage that was read as a whole.
    #[must_use]
    pub fn whole(usage: TokenUsage) -> Self {
        Self { usage, input: true, output: true, total: None, doubted: false }
    }
}

/// What a dialect's count of the prompt holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convention {
    /// OpenAI's: the prompt includes cached tokens, the completion includes reasoning.
    Inclusive,
    /// Anthropic's: cache reads and writes stand beside the input.
    Exclusive,
}

/// Counts as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    input: Count,
    output: Count,
    total: Count,
    cache_read: Count,
    /// DeepSeek's rest of the prompt.
    cache_miss: Count,
    cache_write: Count,
    cache_write_5m: Count,
    cache_write_1h: Count,
    reasoning: Count,
    /// What Anthropic's `iterations` come to, in normal form, and whether one was doubted.
    iterations: Option<(TokenUsage, bool)>,
    /// `output` is that of a stream's beginning.
    begun: bool,
    /// They are llama.cpp's timings, which any usage replaces.
    timed: bool,
}

impl Counts {
    /// Reads a `usage` with the spellings of compatible servers; `None` unless it is an object
    /// with a count.
    pub(crate) fn read(
        cursor: &mut Cursor<'_>,
        convention: Convention,
    ) -> Result<Option<Self>, Fault> {
        let mut counts = Self::default();
        object(cursor, |cursor, name| match name {
            b"prompt_tokens_details"
            | b"input_tokens_details"
            | b"completion_tokens_details"
            | b"output_tokens_details"
            | b"cache_creation" => {
                object(cursor, |cursor, name| count::read(counts.part(name), cursor))
            }
            b"iterations" if convention == Convention::Exclusive => counts.add_up(cursor),
            _ => {
                let side = counts.side(name, convention).is_some();
                let slot = if side { counts.side(name, convention) } else { counts.part(name) };
                count::read(slot, cursor)
            }
        })?;
        Ok(Some(counts).filter(|counts| *counts != Self::default()))
    }

    /// Reads llama.cpp's `timings`, in which `prompt_n` excludes what came from the cache.
    pub(crate) fn timings(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Fault> {
        let mut counts = Self { timed: true, ..Self::default() };
        object(cursor, |cursor, name| {
            let slot = match name {
                b"prompt_n" => Some(&mut counts.cache_miss),
                b"cache_n" => Some(&mut counts.cache_read),
                b"predicted_n" => Some(&mut counts.output),
                _ => None,
            };
            count::read(slot, cursor)
        })?;
        Ok(Some(counts).filter(|counts| counts.output.says().is_some()))
    }

    /// Whether any count is more than zero, or something that should be one.
    pub(crate) fn say_something(&self) -> bool {
        let some = |count: &Count| count.says().is_some() || count.unread;
        self.all().iter().any(some) || self.iterations.is_some()
    }

    /// Takes over what a later usage of the same reply says; `begins`: it comes before the answer.
    ///
    /// Counts are cumulative, so a later one replaces an earlier one. Zero replaces nothing: some
    /// servers fill in a side only once, and some send an empty usage behind the full one.
    pub(crate) fn take(&mut self, later: &Self, begins: bool) {
        if later.timed && *self != Self::default() {
            return;
        }
        if self.timed && !later.timed {
            *self = Self::default();
        }
        if later.input.says().or(later.output.says()).is_some() {
            // A sum is only of the counts that it came with.
            self.total = Count::default();
        }
        if later.output.says().is_some() || self.output.read.is_none() {
            self.begun = begins;
        }
        for (known, later) in self.all_mut().into_iter().zip(later.all()) {
            known.take(later);
        }
        self.iterations = later.iterations.or(self.iterations);
        self.timed = later.timed;
    }

    /// The counts in normal form.
    pub(crate) fn reading(&self, convention: Convention) -> Reading {
        let mut reading = match convention {
            Convention::Inclusive => self.inclusive(),
            Convention::Exclusive => self.exclusive(),
        };
        if let Some((all, doubted)) = self.iterations {
            // The counts beside them leave out some iterations, such as a compaction.
            reading.usage = most(&reading.usage, &all);
            reading.doubted |= doubted;
        }
        reading
    }

    fn inclusive(&self) -> Reading {
        let (cached, written) = (self.cache_read.get(), self.written());
        let total = self.total.says();
        let said = self.output.says().filter(|_| !self.output.unread);
        let missed = self.cache_miss.read.map(|miss| miss.saturating_add(cached));
        let mut input = self.input.says().or(missed.filter(|input| *input > 0)).or_else(|| {
            // One side is the rest of the other.
            total.zip(said).and_then(|(total, output)| total.checked_sub(output))
        });
        let beside = total.zip(input).and_then(|(total, input)| total.checked_sub(input));
        let mut output = said.or(beside).or(self.output.read.filter(|_| !self.output.unread));
        let mut reasoning = self.reasoning.get();
        let sum = input.zip(output).map(|(input, output)| input.saturating_add(output));
        let rest = total.zip(sum).map_or(0, |(total, sum)| total.saturating_sub(sum));
        if rest > 0 && rest == cached.saturating_add(written) && rest != reasoning {
            // The sum shows that the prompt was counted without its cached part.
            input = input.map(|input| input.saturating_add(rest));
        } else if rest > 0 {
            // xAI's reasoning and Gemini's thoughts: only the sum shows them, or the sum and a
            // detail.
            output = output.map(|output| output.saturating_add(rest));
            reasoning = reasoning.max(rest);
        }
        let usage = TokenUsage {
            input: input.unwrap_or(0),
            output: output.unwrap_or(self.output.get()),
            ..TokenUsage::default()
        };
        let cache_write = written.min(usage.input);
        Reading {
            usage: TokenUsage {
                cache_read: cached.min(usage.input),
                cache_write,
                cache_write_1h: self.cache_write_1h.get().min(cache_write),
                reasoning: reasoning.min(usage.output),
                ..usage
            },
            input: input.is_some(),
            output: output.is_some(),
            total: total.filter(|_| input.is_none() && output.is_none()),
            doubted: (input.is_none() && self.input.unread)
                || (output.is_none() && self.output.unread)
                || self.parts_unread(),
        }
    }

    fn exclusive(&self) -> Reading {
        let (cache_read, cache_write) = (self.cache_read.get(), self.written());
        let input = self.input.get().saturating_add(cache_read).saturating_add(cache_write);
        let output = self.output.get();
        let unread = self.input.missing() || self.parts_unread();
        Reading {
            usage: TokenUsage {
                input,
                cache_read,
                cache_write,
                cache_write_1h: self.cache_write_1h.get().min(cache_write),
                output,
                reasoning: self.reasoning.get().min(output),
            },
            input: self.input.read.is_some() && input > 0 && !unread,
            output: self.output.read.is_some() && !self.output.unread && !self.begun,
            total: None,
            doubted: unread || self.output.unread,
        }
    }

    /// All cache writes: their sum, or the lifetimes where it was left out.
    fn written(&self) -> u64 {
        let by_lifetime = self.cache_write_5m.get().saturating_add(self.cache_write_1h.get());
        self.cache_write.get().max(by_lifetime)
    }

    fn parts_unread(&self) -> bool {
        let parts = [
            self.cache_read,
            self.cache_write,
            self.cache_write_5m,
            self.cache_write_1h,
            self.reasoning,
        ];
        parts.iter().any(|part| part.missing())
    }

    /// Reads `iterations`: every call to a model that the reply took, each with its own counts.
    fn add_up(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let mut all = (TokenUsage::default(), false);
        let is_list = array(cursor, |cursor| {
            let mut each = Self::default();
            object(cursor, |cursor, name| match name {
                b"cache_creation" | b"output_tokens_details" => {
                    object(cursor, |cursor, name| count::read(each.part(name), cursor))
                }
                b"input_tokens" | b"output_tokens" => {
                    count::read(each.side(name, Convention::Exclusive), cursor)
                }
                _ => count::read(each.part(name), cursor),
            })?;
            let reading = each.exclusive();
            all = (all.0.plus(&reading.usage), all.1 || reading.doubted);
            Ok(())
        })?;
        self.iterations = Some(all).filter(|_| is_list);
        Ok(())
    }

    /// Where a count of one side, or of both, goes.
    fn side(&mut self, name: &[u8], convention: Convention) -> Option<&mut Count> {
        match (name, convention) {
            (b"input_tokens", Convention::Exclusive) => Some(&mut self.input),
            (b"output_tokens", Convention::Exclusive) => Some(&mut self.output),
            (_, Convention::Exclusive) => None,
            (b"prompt_tokens", _) => Some(&mut self.input),
            (b"completion_tokens", _) => Some(&mut self.output),
            // Beside a `prompt_tokens` they may be counted in another way.
            (b"input_tokens", _) => Some(&mut self.input).filter(|input| input.says().is_none()),
            (b"output_tokens", _) => {
                Some(&mut self.output).filter(|output| output.says().is_none())
            }
            (b"total_tokens", _) => Some(&mut self.total),
            _ => None,
        }
    }

    /// Where a count of a part goes. Servers leave it at zero in all places but one.
    fn part(&mut self, name: &[u8]) -> Option<&mut Count> {
        match name {
            // OpenAI (in details) and Moonshot; DeepSeek; Anthropic.
            b"cached_tokens" | b"prompt_cache_hit_tokens" | b"cache_read_input_tokens" => {
                Some(&mut self.cache_read)
            }
            b"prompt_cache_miss_tokens" => Some(&mut self.cache_miss),
            // OpenAI; Anthropic, also beside chat usage; proxies in front of it.
            b"cache_write_tokens" | b"cache_creation_input_tokens" | b"cache_creation_tokens" => {
                Some(&mut self.cache_write)
            }
            b"ephemeral_5m_input_tokens" => Some(&mut self.cache_write_5m),
            b"ephemeral_1h_input_tokens" => Some(&mut self.cache_write_1h),
            // OpenAI (in details) and Perplexity; Anthropic.
            b"reasoning_tokens" | b"thinking_tokens" => Some(&mut self.reasoning),
            _ => None,
        }
    }

    fn all(&self) -> [Count; 9] {
        [
            self.input,
            self.output,
            self.total,
            self.cache_read,
            self.cache_miss,
            self.cache_write,
            self.cache_write_5m,
            self.cache_write_1h,
            self.reasoning,
        ]
    }

    fn all_mut(&mut self) -> [&mut Count; 9] {
        [
            &mut self.input,
            &mut self.output,
            &mut self.total,
            &mut self.cache_read,
            &mut self.cache_miss,
            &mut self.cache_write,
            &mut self.cache_write_5m,
            &mut self.cache_write_1h,
            &mut self.reasoning,
        ]
    }
}

fn most(one: &TokenUsage, other: &TokenUsage) -> TokenUsage {
    TokenUsage {
        input: one.input.max(other.input),
        cache_read: one.cache_read.max(other.cache_read),
        cache_write: one.cache_write.max(other.cache_write),
        cache_write_1h: one.cache_write_1h.max(other.cache_write_1h),
        output: one.output.max(other.output),
        reasoning: one.reasoning.max(other.reasoning),
    }
}
