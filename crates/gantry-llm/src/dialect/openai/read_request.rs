//! Parses a chat completion request into the neutral form.
//!
//! `translate::request` calls it. Fields that the neutral form does not carry are reported here,
//! unless they say what holds anyway.

use super::read_messages;
use super::wire_request::{
    ChatRequest, Function, Named, ReasoningOptions, ResponseFormat, ThinkingOptions,
    Tool as WireTool, ToolChoice as WireChoice, cache,
};
use crate::context::Error;
use crate::dialect::reader::is_hollow;
use crate::dialect::{openai_fields, wire};
use crate::neutral::{
    Cache, Display, Effort, Format, LeftOut, Losses, Names, Place, Reasoning, Request, Sampling,
    Str, StrOr, ThinkingMode, Tool, ToolChoice,
};

/// How this dialect spells the fields of a request.
pub(super) const NAMES: Names = Names {
    stop: "stop",
    max_tokens: "max_completion_tokens",
    effort: "reasoning_effort",
    thinking: "thinking",
    format: "response_format",
    tier: "service_tier",
    user: "user",
};

/// Fields whose value changes nothing, so that leaving them out is no loss.
pub(super) const HARMLESS: [(&str, &str); 13] = [
    ("n", "1"),
    ("logprobs", "false"),
    ("top_logprobs", "0"),
    ("frequency_penalty", "0"),
    ("frequency_penalty", "0.0"),
    ("presence_penalty", "0"),
    ("presence_penalty", "0.0"),
    ("logit_bias", "{}"),
    ("store", "false"),
    ("metadata", "{}"),
    ("verbosity", "\"medium\""),
    ("modalities", "[\"text\"]"),
    ("prompt_cache_options", "{\"mode\":\"implicit\"}"),
];

/// Parses a request body.
pub(crate) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error> {
    let mut wire = ChatRequest::default();
    let unknown = wire::parse_whole_into(&mut wire, body)?;
    let mut messages = wire.messages.take().unwrap_or_default();
    if messages.is_empty() {
        return Err(Error::new("messages", "must hold at least one message"));
    }
    for (name, raw) in &wire.unknown {
        let tight: String = raw.get().split_whitespace().collect();
        if !is_hollow(&tight) && !HARMLESS.contains(&(name, &tight)) {
            losses.dropped(name, "has no counterpart at the upstream");
        }
    }
    let turns = read_messages::read(&mut messages, losses)?;
    let (tools, mut left_out) = tools(wire.tools.take(), wire.functions.take(), losses);
    if wire.web_search_options.is_some() {
        let why = "the upstream does not search the web by itself";
        losses.dropped("web_search_options", why);
        let place = Place::top("web_search_options");
        left_out = left_out.or_else(|| Some(LeftOut { place, why: why.to_owned() }));
    }
    let (tool_choice, allowed_tools) = choice(wire.tool_choice.take(), wire.function_call.take())?;
    if wire.stream_options.as_ref().and_then(|options| options.include_obfuscation) == Some(true) {
        losses.dropped("stream_options.include_obfuscation", "the upstream has no such padding");
    }
    losses.unknown("", unknown);
    Ok(Request {
        names: &NAMES,
        turns,
        tools,
        left_out,
        tool_choice,
        allowed_tools,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_completion_tokens.or(wire.max_tokens),
        sampling: Sampling {
            temperature: wire.temperature.take(),
            top_p: wire.top_p.take(),
            top_k: wire.top_k.take(),
        },
        stop: match wire.stop.take() {
            None => Vec::new(),
            Some(StrOr::Str(one)) => vec![one],
            Some(StrOr::Other(list)) => list,
        },
        stream: wire.stream.unwrap_or(false),
        format: wire.response_format.take().map(format).transpose()?.flatten(),
        reasoning: reasoning(&mut wire, losses),
        user: openai_fields::user(wire.user.take(), wire.safety_identifier.take(), losses),
        tier: wire.service_tier.take().and_then(|name| openai_fields::tier(&name, losses)),
    })
}

fn tools<'a>(
    tools: Option<Vec<WireTool<'a>>>,
    functions: Option<Vec<Function<'a>>>,
    losses: &mut Losses,
) -> (Vec<Tool<'a>>, Option<LeftOut>) {
    let mut list = Vec::new();
    let mut left_out = None;
    for (index, tool) in tools.unwrap_or_default().into_iter().enumerate() {
        let place = Place::top("tools").at(index);
        let cache = cache(tool.cache_control.as_ref(), place, losses);
        match tool.function {
            Some(function) => list.push(read_function(function, place, cache)),
            None => {
                let kind = tool.kind.as_deref().unwrap_or("?").to_owned();
                let why = format!("tools of type `{kind}` have no counterpart");
                losses.dropped(place, &why);
                left_out.get_or_insert(LeftOut { place, why });
            }
        }
    }
    let functions = functions.unwrap_or_default();
    if !functions.is_empty() {
        losses.approximated("functions", "calls come back as `tool_calls`, not `function_call`");
    }
    for (index, function) in functions.into_iter().enumerate() {
        list.push(read_function(function, Place::top("functions").at(index), None));
    }
    (list, left_out)
}

fn read_function<'a>(function: Function<'a>, place: Place, cache: Option<Cache>) -> Tool<'a> {
    Tool {
        place,
        name: function.name,
        description: function.description,
        schema: function.parameters,
        strict: function.strict.unwrap_or(false),
        cache,
        custom: false,
    }
}

type Choice<'a> = (Option<ToolChoice<'a>>, Option<Vec<Str<'a>>>);

fn choice<'a>(
    choice: Option<StrOr<Str<'a>, WireChoice<'a>>>,
    legacy: Option<StrOr<Str<'a>, Named<'a>>>,
) -> Result<Choice<'a>, Error> {
    let chosen = match (choice, legacy) {
        (Some(StrOr::Str(mode)), _) => mode_of(&mode, "tool_choice")?,
        (Some(StrOr::Other(object)), _) => return choice_object(object),
        (None, Some(StrOr::Str(mode))) => mode_of(&mode, "function_call")?,
        (None, Some(StrOr::Other(named))) => ToolChoice::Tool(named.name),
        (None, None) => return Ok((None, None)),
    };
    Ok((Some(chosen), None))
}

fn mode_of(mode: &str, field: &'static str) -> Result<ToolChoice<'static>, Error> {
    Ok(match mode {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        // Mistral's name of the same.
        "required" | "any" => ToolChoice::Any,
        _ => return Err(Error::new(field, format!("`{mode}` is none of auto, none, required"))),
    })
}

fn choice_object(object: WireChoice<'_>) -> Result<Choice<'_>, Error> {
    if let Some(named) = object.function.or(object.custom) {
        return Ok((Some(ToolChoice::Tool(named.name)), None));
    }
    if let Some(allowed) = object.allowed_tools {
        let mode = mode_of(allowed.mode.as_deref().unwrap_or("auto"), "tool_choice")?;
        let names = allowed.tools.into_iter().filter_map(|t| t.function.or(t.custom));
        return Ok((Some(mode), Some(names.map(|named| named.name).collect())));
    }
    let kind = &*object.kind;
    Err(Error::new("tool_choice", format!("type `{kind}` is unknown or names no tool")))
}

fn format(wire: ResponseFormat<'_>) -> Result<Option<Format<'_>>, Error> {
    Ok(match (&*wire.kind, wire.json_schema) {
        ("text", _) => None,
        ("json_object", _) => Some(Format::JsonObject),
        ("json_schema", Some(json)) => match json.schema {
            None => Some(Format::JsonObject),
            Some(schema) => Some(Format::JsonSchema {
                name: json.name,
                description: json.description,
                schema,
                strict: json.strict,
            }),
        },
        (kind, _) => {
            let message = format!("type `{kind}` is unknown or lacks its definition");
            return Err(Error::new("response_format", message));
        }
    })
}

fn reasoning(wire: &mut ChatRequest<'_>, losses: &mut Losses) -> Reasoning {
    let ReasoningOptions { effort, max_tokens, enabled, exclude } =
        wire.reasoning.take().unwrap_or_default();
    let name = wire.reasoning_effort.take().or(effort);
    let known = name.as_deref().and_then(Effort::parse);
    if let (Some(name), None) = (&name, known) {
        losses.dropped("reasoning_effort", &format!("`{}` is not known", &**name));
    }
    let thinking = wire.thinking.take();
    let shown = thinking.as_ref().and_then(|thinking| display(thinking, losses));
    let thinking = thinking.and_then(|thinking| mode(&thinking, losses));
    let switch = enabled.map(|on| if on { ThinkingMode::Adaptive } else { ThinkingMode::Disabled });
    Reasoning {
        effort: known,
        mode: thinking.or(max_tokens.map(ThinkingMode::Budget)).or(switch),
        display: shown.or((exclude == Some(true)).then_some(Display::Omitted)),
    }
}

fn display(thinking: &ThinkingOptions<'_>, losses: &mut Losses) -> Option<Display> {
    match thinking.display.as_deref()? {
        "summarized" => Some(Display::Summarized),
        "omitted" => Some(Display::Omitted),
        other => {
            losses.dropped("thinking.display", &format!("`{other}` is not known"));
            None
        }
    }
}

fn mode(thinking: &ThinkingOptions<'_>, losses: &mut Losses) -> Option<ThinkingMode> {
    match (thinking.kind.as_deref(), thinking.budget_tokens) {
        (Some("disabled"), _) => Some(ThinkingMode::Disabled),
        (_, Some(budget)) => Some(ThinkingMode::Budget(budget)),
        (Some("adaptive" | "enabled"), None) => Some(ThinkingMode::Adaptive),
        (Some("between_tools"), None) => Some(ThinkingMode::BetweenTools),
        (_, None) => {
            losses.dropped("thinking", "its type is not known");
            None
        }
    }
}
