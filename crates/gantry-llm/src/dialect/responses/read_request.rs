//! Parses a request for a response into the neutral form.
//!
//! `translate::request` calls it. What would change the meaning of the conversation is refused;
//! what the neutral form does not carry otherwise is reported.

use super::read_items;
use super::read_tools;
use super::wire_request::{ReasoningOptions, ResponseRequest, TextFormat};
use crate::context::Error;
use crate::dialect::{openai_fields, wire};
use crate::neutral::{
    Body, Display, Effort, Format, Losses, Names, Part, Place, Reasoning, Request, Role, Sampling,
    StrOr, Text, ThinkingMode, Turn,
};

const NAMES: Names = Names {
    stop: "stop",
    max_tokens: "max_output_tokens",
    effort: "reasoning.effort",
    thinking: "reasoning",
    format: "text.format",
    tier: "service_tier",
    user: "user",
};

/// Fields whose value changes nothing, so that leaving them out is no loss.
const HARMLESS: [(&str, &str); 4] =
    [("truncation", "\"disabled\""), ("metadata", "{}"), ("top_logprobs", "0"), ("n", "1")];

/// What may be asked to be shown beside the answer and is shown anyway, or is never there.
const SHOWN: [&str; 1] = ["reasoning.encrypted_content"];

/// Parses a request body.
pub(super) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error> {
    let mut wire = ResponseRequest::default();
    let unknown = wire::parse_whole_into(&mut wire, body)?;
    refuse_state(&wire)?;
    for (name, raw) in &wire.unknown {
        if !HARMLESS.contains(&(name, raw.get())) {
            losses.dropped(name, "has no counterpart at the upstream");
        }
    }
    let turns = turns(&mut wire, losses)?;
    let (tool_choice, allowed_tools) = read_tools::choice(wire.tool_choice.take())?;
    let (tools, left_out) = read_tools::tools(wire.tools.take().unwrap_or_default(), losses)?;
    if wire.stream_options.as_ref().and_then(|options| options.include_obfuscation) == Some(true) {
        losses.dropped("stream_options.include_obfuscation", "the upstream has no such padding");
    }
    for wish in wire.include.iter().flatten().filter(|wish| !SHOWN.contains(&&***wish)) {
        losses.dropped("include", &format!("`{}` is nothing that the upstream shows", &**wish));
    }
    losses.unknown("", unknown);
    let text = wire.text.take().unwrap_or_default();
    if text.verbosity.as_deref().is_some_and(|verbosity| verbosity != "medium") {
        losses.dropped("text.verbosity", "has no counterpart at the upstream");
    }
    Ok(Request {
        names: &NAMES,
        turns,
        tools,
        left_out,
        tool_choice,
        allowed_tools,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_output_tokens,
        sampling: Sampling {
            temperature: wire.temperature.take(),
            top_p: wire.top_p.take(),
            top_k: None,
        },
        stop: Vec::new(),
        stream: wire.stream.unwrap_or(false),
        format: text.format.map(format).transpose()?.flatten(),
        reasoning: reasoning(wire.reasoning.take(), losses),
        user: openai_fields::user(wire.user.take(), wire.safety_identifier.take(), losses),
        tier: wire.service_tier.take().and_then(|name| openai_fields::tier(&name, losses)),
    })
}

/// What stands for a conversation that is kept elsewhere: without it the answer would be to another
/// question.
fn refuse_state(wire: &ResponseRequest<'_>) -> Result<(), Error> {
    let refused = [
        (
            "previous_response_id",
            wire.previous_response_id.is_some(),
            "Gantry keeps no responses for this model: send the whole conversation as `input`",
        ),
        (
            "conversation",
            wire.conversation.is_some(),
            "Gantry keeps no conversations for this model: send the whole one as `input`",
        ),
        (
            "background",
            wire.background == Some(true),
            "Gantry does not answer later for this model: leave it out, or stream the answer",
        ),
        (
            "prompt",
            wire.prompt.is_some(),
            "a stored prompt is known to OpenAI only: send its text as `instructions`",
        ),
    ];
    match refused.into_iter().find(|(_, given, _)| *given) {
        Some((field, _, message)) => Err(Error::new(field, message)),
        None => Ok(()),
    }
}

fn turns<'a>(wire: &mut ResponseRequest<'a>, losses: &mut Losses) -> Result<Vec<Turn<'a>>, Error> {
    let mut turns = Vec::new();
    if let Some(text) = wire.instructions.take() {
        turns.push(said(Role::System, Place::top("instructions"), text));
    }
    match wire.input.take() {
        Some(StrOr::Str(text)) => turns.push(said(Role::User, Place::top("input"), text)),
        Some(StrOr::Other(items)) if !items.is_empty() => {
            read_items::read(items, &mut turns, losses)?;
        }
        Some(StrOr::Other(_)) | None => {
            return Err(Error::new("input", "must hold a text or at least one item"));
        }
    }
    Ok(turns)
}

fn said<'a>(role: Role, place: Place, text: Text<'a>) -> Turn<'a> {
    Turn { role, parts: vec![Part { place, cache: None, body: Body::Text(text) }], place }
}

fn format(wire: TextFormat<'_>) -> Result<Option<Format<'_>>, Error> {
    Ok(match (&*wire.kind, wire.schema) {
        ("text", _) => None,
        ("json_object", _) => Some(Format::JsonObject),
        ("json_schema", Some(schema)) => Some(Format::JsonSchema {
            name: wire.name,
            description: wire.description,
            schema,
            strict: wire.strict,
        }),
        (kind, _) => {
            let message = format!("type `{kind}` is unknown or lacks its `schema`");
            return Err(Error::new("text.format", message));
        }
    })
}

fn reasoning(wire: Option<ReasoningOptions<'_>>, losses: &mut Losses) -> Reasoning {
    let Some(wire) = wire else { return Reasoning::default() };
    let effort = wire.effort.as_deref().and_then(Effort::parse);
    if let (Some(name), None) = (&wire.effort, effort) {
        losses.dropped("reasoning.effort", &format!("`{}` is not known", &**name));
    }
    let summary = wire.summary.or(wire.generate_summary);
    Reasoning {
        effort,
        mode: (effort == Some(Effort::None)).then_some(ThinkingMode::Disabled),
        display: summary.is_some_and(|wish| &*wish != "none").then_some(Display::Summarized),
    }
}
