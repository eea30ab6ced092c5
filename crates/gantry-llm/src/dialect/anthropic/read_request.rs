//! Parses a Messages request into the neutral form.
//!
//! `translate::request` calls it. Fields that the neutral form does not carry are reported here,
//! unless they say what holds anyway.

use super::wire_block::{Block, CacheControl, Message, says_something};
use super::{client_tools, read_messages};
use crate::context::{Code, Error};
use crate::dialect::reader::is_hollow;
use crate::dialect::wire::{self, Skipped, wire};
use crate::neutral::{
    Effort, Format, LeftOut, Losses, Names, Number, Place, Raw, Reasoning, Request, Role, Sampling,
    Str, StrOr, Text, ThinkingMode, Tier, Tool, ToolChoice, Turn,
};

/// How this dialect spells the fields of a request.
pub(super) const NAMES: Names = Names {
    stop: "stop_sequences",
    max_tokens: "max_tokens",
    effort: "output_config.effort",
    thinking: "thinking",
    format: "output_config.format",
    tier: "service_tier",
    user: "metadata.user_id",
};

/// Fields whose value changes nothing, so that leaving them out is no loss.
const HARMLESS: [(&str, &str); 1] =
    [("billing_policy", r#"{"type":"billing_policy","bill_to":"self"}"#)];

wire! {
    struct MessagesRequest<'a> {
        may model: Skipped,
        may max_tokens: u64,
        may messages: Vec<Message<'a>>,
        may system: StrOr<Text<'a>, Vec<Block<'a>>>,
        may tools: Vec<WireTool<'a>>,
        may tool_choice: WireChoice<'a>,
        may thinking: Thinking<'a>,
        may output_config: OutputConfig<'a>,
        may stop_sequences: Vec<Str<'a>>,
        may stream: bool,
        may metadata: Metadata<'a>,
        may service_tier: Str<'a>,
        may speed: Str<'a>,
        may temperature: Number<'a>,
        may top_p: Number<'a>,
        may top_k: Number<'a>,
        may cache_control: CacheControl<'a>,
        may thread: Thread<'a>,
        may compaction: Raw<'a>,
        may mcp_servers: Raw<'a>,
        may output_format: OutputFormat<'a>,
        keep unknown,
    }

    struct Thread<'a> {
        may kind as "type": Str<'a>,
        may previous_message_id: Skipped,
    }

    struct WireTool<'a> {
        may kind as "type": Str<'a>,
        may name: Str<'a>,
        may description: Text<'a>,
        may input_schema: Raw<'a>,
        may strict: bool,
        may cache_control: CacheControl<'a>,
        may input_examples: Raw<'a>,
        may defer_loading: Raw<'a>,
        may allowed_callers: Raw<'a>,
    }

    struct WireChoice<'a> {
        must kind as "type": Str<'a>,
        may name: Str<'a>,
        may disable_parallel_tool_use: bool,
    }

    struct Thinking<'a> {
        must kind as "type": Str<'a>,
        may budget_tokens: u64,
    }

    struct OutputConfig<'a> {
        may effort: Str<'a>,
        may format: OutputFormat<'a>,
    }

    struct OutputFormat<'a> {
        must kind as "type": Str<'a>,
        may schema: Raw<'a>,
    }

    struct Metadata<'a> {
        may user_id: Str<'a>,
    }
}

/// Whether a field changes nothing, however it is spaced.
fn harmless(name: &str, raw: &Raw<'_>) -> bool {
    let tight: String = raw.get().split_whitespace().collect();
    HARMLESS.contains(&(name, &tight))
}

/// Parses a request body.
pub(crate) fn read<'a>(body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error> {
    let mut wire = MessagesRequest::default();
    let unknown = wire::parse_whole_into(&mut wire, body)?;
    let messages = wire.messages.take().unwrap_or_default();
    if messages.is_empty() {
        return Err(Error::new("messages", "must hold at least one message"));
    }
    for (name, raw) in &wire.unknown {
        if !is_hollow(raw.get()) && !harmless(name, raw) {
            losses.dropped(name, "has no counterpart at the upstream");
        }
    }
    refuse_state(&mut wire)?;
    let mut turns = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = wire.system.take() {
        let place = Place::top("system");
        let parts = read_messages::system(place, system, losses)?;
        turns.push(Turn { role: Role::System, parts, place });
    }
    read_messages::read(messages, &mut turns, losses)?;
    if let (Some(control), Some(last)) =
        (wire.cache_control.take(), turns.last_mut().and_then(|turn| turn.parts.last_mut()))
    {
        // The one on the request stands for one on the last block.
        last.cache.get_or_insert(control.read());
    }
    let (tools, mut left_out) = tools(wire.tools.take().unwrap_or_default(), losses);
    if says_something(wire.mcp_servers) {
        let why = "servers of tools are called by Anthropic only";
        losses.dropped("mcp_servers", why);
        let place = Place::top("mcp_servers");
        left_out = left_out.or_else(|| Some(LeftOut { place, why: why.to_owned() }));
    }
    let choice = wire.tool_choice.take();
    let sequential = choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
    let (effort, format) =
        output_config(wire.output_config.take(), wire.output_format.take(), losses)?;
    losses.unknown("", unknown);
    Ok(Request {
        names: &NAMES,
        turns,
        tools,
        left_out,
        tool_choice: choice.map(tool_choice).transpose()?,
        allowed_tools: None,
        parallel_tools: sequential.map(|sequential| !sequential),
        max_tokens: wire.max_tokens,
        sampling: Sampling {
            temperature: wire.temperature.take(),
            top_p: wire.top_p.take(),
            top_k: wire.top_k.take(),
        },
        stop: wire.stop_sequences.take().unwrap_or_default(),
        stream: wire.stream.unwrap_or(false),
        format,
        reasoning: Reasoning {
            effort,
            mode: wire.thinking.take().and_then(|thinking| mode(&thinking, losses)),
            display: None,
        },
        user: wire.metadata.take().and_then(|metadata| metadata.user_id),
        tier: tier(wire.service_tier.take(), wire.speed.take(), losses),
    })
}

/// Refuses what makes the request a part of something that only Anthropic keeps or does.
fn refuse_state(wire: &mut MessagesRequest<'_>) -> Result<(), Error> {
    if let Some(thread) = wire.thread.take() {
        let (code, message) = match thread.kind.as_deref() {
            Some("continue") => (
                Code::ThreadNotFound,
                "the upstream has no such conversation: send all of its messages",
            ),
            _ => (
                Code::ThreadUnsupported,
                "the upstream keeps no conversations: send all messages, without `thread`",
            ),
        };
        return Err(Error::new("thread", message).coded(code));
    }
    if says_something(wire.compaction) {
        let message = "the upstream makes no signed summaries: ask for one in words";
        return Err(Error::new("compaction", message));
    }
    Ok(())
}

/// The tools to send, and the first that is not.
fn tools<'a>(wire: Vec<WireTool<'a>>, losses: &mut Losses) -> (Vec<Tool<'a>>, Option<LeftOut>) {
    let mut list = Vec::with_capacity(wire.len());
    let mut left_out = None;
    for (index, tool) in wire.into_iter().enumerate() {
        let place = Place::top("tools").at(index);
        let own = tool.kind.as_deref().filter(|kind| *kind != "custom");
        let known = own.and_then(client_tools::find);
        let Some(name) = tool.name.filter(|_| own.is_none() || known.is_some()) else {
            let why = why_not(own);
            losses.dropped(place, &why);
            left_out.get_or_insert(LeftOut { place, why });
            continue;
        };
        if let (Some(own), Some(_)) = (own, known) {
            let note = format!("`{own}` is sent as a function with the schema of its input");
            losses.approximated(place, &note);
        }
        for (field, raw) in [
            ("input_examples", tool.input_examples),
            ("defer_loading", tool.defer_loading),
            ("allowed_callers", tool.allowed_callers),
        ] {
            if says_something(raw) {
                losses.dropped(format!("{place}.{field}"), "has no counterpart at the upstream");
            }
        }
        list.push(Tool {
            place,
            name,
            description: tool
                .description
                .or_else(|| known.map(|known| Text::Plain(known.description))),
            schema: tool.input_schema.or_else(|| known.map(|known| Raw::new(known.schema))),
            strict: tool.strict.unwrap_or(false),
            cache: tool.cache_control.as_ref().map(CacheControl::read),
        });
    }
    (list, left_out)
}

/// Why a tool of Anthropic's own is not sent.
fn why_not(kind: Option<&str>) -> String {
    match kind {
        Some(kind) if kind.starts_with("computer_") => {
            format!("only Anthropic's models are trained for tools of type `{kind}`")
        }
        Some(kind) => format!("tools of type `{kind}` run at Anthropic only"),
        None => "has no name".to_owned(),
    }
}

fn tool_choice(choice: WireChoice<'_>) -> Result<ToolChoice<'_>, Error> {
    Ok(match (&*choice.kind, choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Any,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Tool(name),
        (kind, _) => {
            let message = format!("type `{kind}` is unknown or lacks the tool's name");
            return Err(Error::new("tool_choice", message));
        }
    })
}

fn output_config<'a>(
    config: Option<OutputConfig<'a>>,
    older: Option<OutputFormat<'a>>,
    losses: &mut Losses,
) -> Result<(Option<Effort>, Option<Format<'a>>), Error> {
    let config = config.unwrap_or_default();
    let effort = config.effort.as_deref().and_then(Effort::parse);
    if let (Some(name), None) = (&config.effort, effort) {
        losses.dropped("output_config.effort", &format!("`{}` is not known", &**name));
    }
    let format = match config.format.or(older) {
        None => None,
        Some(OutputFormat { kind, schema: Some(schema) }) if &*kind == "json_schema" => {
            let strict = Some(true);
            Some(Format::JsonSchema { name: None, description: None, schema, strict })
        }
        Some(OutputFormat { kind, .. }) => {
            let message = format!("type `{}` is unknown or lacks its schema", &*kind);
            return Err(Error::new("output_config.format", message));
        }
    };
    Ok((effort, format))
}

fn mode(thinking: &Thinking<'_>, losses: &mut Losses) -> Option<ThinkingMode> {
    match (&*thinking.kind, thinking.budget_tokens) {
        ("adaptive", _) | ("enabled", None) => Some(ThinkingMode::Adaptive),
        ("enabled", Some(budget)) => Some(ThinkingMode::Budget(budget)),
        ("between_tools", _) => Some(ThinkingMode::BetweenTools),
        ("disabled", _) => Some(ThinkingMode::Disabled),
        (kind, _) => {
            losses.dropped("thinking", &format!("type `{kind}` is not known"));
            None
        }
    }
}

fn tier(tier: Option<Str<'_>>, speed: Option<Str<'_>>, losses: &mut Losses) -> Option<Tier> {
    let fast = match speed.as_deref() {
        Some("fast") => true,
        Some("standard") | None => false,
        Some(other) => {
            losses.dropped("speed", &format!("`{other}` is not known"));
            false
        }
    };
    let tier = match tier.as_deref() {
        None => None,
        Some("auto") => Some(Tier::Auto),
        Some("standard_only") => Some(Tier::Standard),
        Some(other) => {
            losses.dropped("service_tier", &format!("`{other}` is not known"));
            None
        }
    };
    if fast && tier.is_some() {
        losses.dropped("service_tier", "`speed` is sent in its place");
    }
    if fast { Some(Tier::Fast) } else { tier }
}
