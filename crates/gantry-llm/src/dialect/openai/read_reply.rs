//! Parses a chat completion into the neutral form.
//!
//! `translate::reply` calls it. It is lenient, because compatible servers leave out and add a lot;
//! only the first choice counts, since no other dialect has several.

use super::read_messages::{arguments, thinking_block};
use super::usage::{Timings, Usage, Used};
use super::wire_request::{FunctionCall, ThinkingBlock, ToolCall as WireCall, thought_signature};
use crate::context::Error;
use crate::dialect::read_error;
use crate::dialect::reader::is_hollow;
use crate::dialect::wire::{self, Few, Skipped, wire};
use crate::finish::{self, Finish};
use crate::neutral::{
    Body, Losses, Part, Place, Raw, Reply, Stop, StopReason, Str, StrOr, Text, ToolCall,
};

wire! {
    struct Completion<'a> {
        sub choices: Few<Choice<'a>>,
        may error: Raw<'a>,
        lax usage: Usage,
        // Groq's place of it, and llama.cpp's.
        lax x_groq: XGroq,
        lax timings: Timings,
        // Perplexity.
        lax citations: Raw<'a>,
        lax search_results: Raw<'a>,
    }

    pub(super) struct XGroq {
        lax usage: Usage,
    }

    struct Choice<'a> {
        may message: Message<'a>,
        may error: Raw<'a>,
        lax finish_reason: Str<'a>,
        // vLLM: the stop sequence that was met, or the id of the token.
        lax stop_reason: Raw<'a>,
        lax logprobs: Raw<'a>,
    }

    struct Message<'a> {
        may content: StrOr<Text<'a>, Vec<TextPart<'a>>>,
        may tool_calls: Vec<WireCall<'a>>,
        may function_call: FunctionCall<'a>,
        lax refusal: Text<'a>,
        lax reasoning_content: Text<'a>,
        lax reasoning: StrOr<Text<'a>, Skipped>,
        lax thinking_blocks: Vec<ThinkingBlock<'a>>,
        // OpenRouter's, beside `reasoning`.
        lax reasoning_details: Raw<'a>,
        lax annotations: Vec<Skipped>,
        lax audio: Skipped,
    }

    /// Some servers answer with a list of parts.
    #[derive(Clone, Debug)]
    pub(super) struct TextPart<'a> {
        may kind as "type": Str<'a>,
        may text: Text<'a>,
        // Mistral's reasoning.
        may thinking: StrOr<Text<'a>, Vec<Thought<'a>>>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct Thought<'a> {
        may text: Text<'a>,
    }
}

impl<'a> TextPart<'a> {
    /// What the part says; reports one that no other dialect has.
    pub(super) fn read(self, losses: &mut Losses) -> Vec<Body<'a>> {
        let thinking = |text| Body::Thinking { text, signature: None };
        match (self.text, self.thinking) {
            (Some(text), _) => vec![Body::Text(text)],
            (None, Some(StrOr::Str(text))) => vec![thinking(text)],
            (None, Some(StrOr::Other(list))) => {
                list.into_iter().filter_map(|thought| thought.text).map(thinking).collect()
            }
            (None, None) => {
                let kind = self.kind.unwrap_or_default();
                let note = format!("parts of type `{kind}` have no counterpart");
                losses.once("reply.choices[0].message.content", &note);
                Vec::new()
            }
        }
    }
}

/// Reports members of a reply or a chunk that no other dialect has.
pub(super) fn report(members: &[(&str, Option<Raw<'_>>)], losses: &mut Losses) {
    for (path, raw) in members {
        if raw.is_some_and(|raw| !is_hollow(raw.get())) {
            losses.once(path, "has no counterpart");
        }
    }
}

pub(super) const REASONING_DETAILS: &str = "reply.choices[0].message.reasoning_details";

/// Parses a reply body.
pub(crate) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error> {
    let mut wire = Completion::default();
    // Google's errors are lists; a reply is none.
    let listed = body.trim_ascii_start().starts_with(b"[");
    if !listed {
        wire::parse_into(&mut wire, body)?;
    }
    if listed || says_something(wire.error) {
        let view = read_error::read(200, body);
        return Err(Error::new("error", format!("the upstream answered: {}", view.message)));
    }
    let beside =
        [("reply.citations", wire.citations), ("reply.search_results", wire.search_results)];
    report(&beside, losses);
    let Few { first, rest } = wire.choices;
    let choice = first.ok_or_else(|| Error::new("choices", "the upstream sent no choice"))?;
    if says_something(choice.error) {
        let view = read_error::read(200, body);
        return Err(Error::new(
            "choices[0].error",
            format!("the upstream answered: {}", view.message),
        ));
    }
    if !rest.is_empty() {
        losses.dropped("reply.choices[1]", "only the first choice is kept");
    }
    if choice.logprobs.is_some_and(|raw| !is_hollow(raw.get())) {
        losses.dropped("reply.choices[0].logprobs", "has no counterpart");
    }
    let message =
        choice.message.ok_or_else(|| Error::new("choices[0].message", "the upstream sent none"))?;
    let refused = message.refusal.as_ref().is_some_and(|text| !text.is_empty());
    let parts = parts(message, losses);
    let calls = parts.iter().any(|part| matches!(part.body, Body::ToolCall(_)));
    let finish = choice.finish_reason.as_deref();
    let seen = Seen { said: !parts.is_empty(), calls, refused };
    let stop = stop(finish, choice.stop_reason, seen, losses)
        .map_err(|message| Error::new("choices[0].finish_reason", message))?;
    let mut used = Used::default();
    used.take([wire.usage, wire.x_groq.and_then(|groq| groq.usage)], wire.timings);
    Ok(Reply { parts, stop, usage: used.usage() })
}

fn parts<'a>(message: Message<'a>, losses: &mut Losses) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut push = |field, body| {
        let place = Place::top(field);
        parts.push(Part { place, cache: None, body });
    };
    let reasoning = match (message.reasoning_content, message.reasoning) {
        (Some(text), _) | (None, Some(StrOr::Str(text))) => Some(text),
        (None, _) => None,
    };
    match (message.thinking_blocks.filter(|blocks| !blocks.is_empty()), reasoning) {
        (Some(blocks), _) => {
            blocks.into_iter().for_each(|block| push("thinking_blocks", thinking_block(block)));
        }
        (None, Some(text)) if !text.is_empty() => {
            push("reasoning_content", Body::Thinking { text, signature: None });
        }
        (None, _) => {}
    }
    match message.content {
        Some(StrOr::Str(text)) if !text.is_empty() => push("content", Body::Text(text)),
        Some(StrOr::Other(list)) => list
            .into_iter()
            .flat_map(|part| part.read(losses))
            .for_each(|body| push("content", body)),
        Some(StrOr::Str(_)) | None => {}
    }
    if let Some(text) = message.refusal.filter(|text| !text.is_empty()) {
        push("refusal", Body::Refusal(text));
    }
    for call in message.tool_calls.unwrap_or_default() {
        match call.function {
            Some(function) => {
                let signature = thought_signature(call.extra_content);
                push("tool_calls", read_call(call.id, function, signature));
            }
            None => losses.dropped("reply.choices[0].message.tool_calls", "not a function call"),
        }
    }
    if let Some(function) = message.function_call {
        push("function_call", read_call(None, function, None));
    }
    report(&[(REASONING_DETAILS, message.reasoning_details)], losses);
    if message.annotations.is_some_and(|list| !list.is_empty()) {
        losses.dropped("reply.choices[0].message.annotations", "has no counterpart");
    }
    if message.audio.is_some() {
        losses.dropped("reply.choices[0].message.audio", "has no counterpart");
    }
    parts
}

fn read_call<'a>(
    id: Option<Str<'a>>,
    function: FunctionCall<'a>,
    signature: Option<Text<'a>>,
) -> Body<'a> {
    Body::ToolCall(ToolCall {
        id: id.unwrap_or_default(),
        name: function.name.unwrap_or_default(),
        arguments: arguments(function.arguments),
        signature,
    })
}

/// What the answer held, which counts more than what `finish_reason` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Anything at all.
    pub(super) said: bool,
    pub(super) calls: bool,
    pub(super) refused: bool,
}

/// Whether an `error` beside an answer is one: not `false`, and nothing empty.
pub(super) fn says_something(error: Option<Raw<'_>>) -> bool {
    error.is_some_and(|raw| !matches!(raw.get(), "false" | "\"\"" | "[]"))
}

/// Why the answer ended. Some servers say `stop` after tool calls, or `tool_calls` without any.
///
/// # Errors
/// When the reason says that there is no answer.
pub(super) fn stop<'a>(
    finish: Option<&str>,
    matched: Option<Raw<'a>>,
    seen: Seen,
    losses: &mut Losses,
) -> Result<Stop<'a>, String> {
    let finish = finish.unwrap_or_default();
    let reason = match finish::of(finish) {
        Finish::Ends(StopReason::ToolUse) | Finish::GoesOn => StopReason::End,
        Finish::Ends(reason) => reason,
        Finish::Filtered => StopReason::Refusal,
        Finish::Failed => return Err(finish::sentence(finish)),
        Finish::Unknown if !seen.said => return Err(finish::sentence(finish)),
        Finish::Unknown => {
            losses.once("reply.choices[0].finish_reason", &format!("`{finish}` is not known"));
            StopReason::End
        }
    };
    let sequence = matched.and_then(|raw| wire::parse_text::<Str<'a>>(raw.get()).ok());
    let reason = match reason {
        StopReason::End if seen.refused => StopReason::Refusal,
        StopReason::End if seen.calls => StopReason::ToolUse,
        StopReason::End if sequence.is_some() => StopReason::StopSequence,
        other => other,
    };
    let sequence = sequence.filter(|_| reason == StopReason::StopSequence);
    Ok(Stop { reason, sequence, explanation: None, details: None })
}
