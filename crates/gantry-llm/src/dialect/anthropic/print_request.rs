//! Prints a neutral request as a Messages request.
//!
//! `translate::request` calls it. What Anthropic refuses is left out or changed, and reported.

use super::answer::answer;
use super::print_messages::{self, Terms};
use super::schema::{self, Room, Titles};
use super::thinking::{self, Asked, Plan};
use crate::context::{Error, RequestContext};
use crate::dialect::json::Json;
use crate::dialect::print_blocks::cache_control;
use crate::dialect::wire::{self, Skipped, wire};
use crate::neutral::{Losses, Raw, Request, Sampling, Tier, Tool, ToolChoice};
use gantry_model::facts::{Claude, Sampling as Takes};

/// First version of the API without sampling fields and with system messages in mid-conversation.
const VERSION_2026_10: &str = "2026-10-21";

/// Some models demand it for any `speed`, see `MessageCreateParams` of the Python SDK 2.11; others
/// pass over it.
const FAST_MODE: &str = "fast-mode-2026-02-01";

/// The beta of the API that the printed request needs, if any.
pub(crate) fn beta(request: &Request<'_>) -> Option<&'static str> {
    (request.tier == Some(Tier::Fast)).then_some(FAST_MODE)
}

/// Prints a request body.
pub(crate) fn print(
    request: &Request<'_>,
    ctx: &RequestContext<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let names = request.names;
    let claude = ctx.claude;
    let unsigned = || thinking::unsigned_tool_turn(request);
    let plan = thinking::plan(&Asked::of(request, &unsigned), claude, losses);
    if request.max_tokens.is_none() {
        let note = format!("the upstream demands a cap, so {} is sent", plan.cap);
        losses.added(names.max_tokens, &note);
    }
    let mut json = Json::new(out);
    json.run(r#"{"model":"#);
    json.str(ctx.upstream_model);
    json.run(r#","max_tokens":"#);
    json.u64(plan.cap);
    let newest = ctx.version >= VERSION_2026_10;
    let mut room = Room::default();
    let answer = answer(request, claude, &mut room, losses);
    let terms = Terms {
        mid_system: newest,
        prefill: claude.prefill && !plan.thinks() && answer.schema().is_none(),
        instruction: answer.instruction(),
    };
    print_messages::print(request, &terms, losses, &mut json)?;
    let tools = allowed_tools(request, losses)?;
    if !tools.is_empty() {
        json.key("tools");
        json.open(b'[');
        tools.iter().for_each(|each| tool(each, claude.schemas, &mut room, losses, &mut json));
        json.close(b']');
        tool_choice(request, claude, losses, &mut json);
    }
    output(plan, answer.schema(), &mut json);
    sampling(&request.sampling, Limits::of(claude, ctx.version, plan), losses, &mut json);
    stop(request, losses, &mut json);
    if request.stream {
        json.member_raw("stream", "true");
    }
    if let Some(user) = &request.user {
        json.key("metadata");
        json.open(b'{');
        json.member_str("user_id", user);
        json.close(b'}');
    }
    match request.tier {
        Some(Tier::Auto) => json.member_str("service_tier", "auto"),
        Some(Tier::Standard) => json.member_str("service_tier", "standard_only"),
        Some(Tier::Fast) => json.member_str("speed", "fast"),
        Some(Tier::Priority) => {
            losses.approximated(names.tier, "sent as `auto`, which uses priority capacity if any");
            json.member_str("service_tier", "auto");
        }
        None => {}
    }
    json.close(b'}');
    Ok(())
}

/// The tools to send.
fn allowed_tools<'r>(
    request: &'r Request<'r>,
    losses: &mut Losses,
) -> Result<Vec<&'r Tool<'r>>, Error> {
    let allowed = |tool: &&Tool<'_>| {
        request.allowed_tools.as_ref().is_none_or(|names| names.contains(&tool.name))
    };
    let tools: Vec<&Tool<'_>> = request.tools.iter().filter(allowed).collect();
    if tools.len() < request.tools.len() {
        losses.approximated("tool_choice", "the tools that are not allowed are not sent");
    }
    if let Some(ToolChoice::Tool(name)) = &request.tool_choice
        && !tools.iter().any(|tool| tool.name == *name)
    {
        let message =
            format!("names the tool `{}`, which cannot be sent to this upstream", &**name);
        return Err(Error::new("tool_choice", message));
    }
    if tools.is_empty() && request.tool_choice == Some(ToolChoice::Any) {
        losses.dropped("tool_choice", "there is no tool to choose");
    }
    Ok(tools)
}

fn tool(tool: &Tool<'_>, schemas: bool, room: &mut Room, losses: &mut Losses, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_text("description", description);
    }
    json.key("input_schema");
    if tool.strict && strict_schema(tool, schemas, room, losses, json) {
        json.member_raw("strict", "true");
    } else {
        schema(tool, json);
    }
    if let Some(cache) = tool.cache {
        cache_control(cache, json);
    }
    json.close(b'}');
}

/// The schema of a strict tool. Nothing is printed, and the tool is not strict, if the upstream
/// would refuse it.
fn strict_schema(
    tool: &Tool<'_>,
    schemas: bool,
    room: &mut Room,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> bool {
    let none = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    let raw = tool.schema.unwrap_or(Raw::new(none));
    let mut refuse = |why: &str| {
        losses.approximated(tool.place, &format!("not strict; the upstream takes no {why}"));
        false
    };
    if !schemas {
        return refuse("strict tool for this model");
    }
    let Some(rest) = room.tools.checked_sub(1) else {
        return refuse("more than 20 strict tools");
    };
    match schema::print(raw, Titles::default(), room, json) {
        Err(unfit) => refuse(unfit),
        Ok(changes) => {
            room.tools = rest;
            if let Some(note) = changes.note() {
                losses.approximated(tool.place, &format!("in its schema, {note}"));
            }
            true
        }
    }
}

wire! {
    struct Head {
        may kind as "type": Skipped,
    }
}

/// Anthropic demands `"type": "object"`, which OpenAI lets callers leave out.
fn schema(tool: &Tool<'_>, json: &mut Json<'_>) {
    let raw = tool.schema.map_or("{}", |schema| schema.get());
    if raw.starts_with(r#"{"type":""#) {
        // So begin nearly all schemas: no need to read on.
        return json.raw(raw);
    }
    let head = wire::parse_text::<Head>(raw).ok();
    let rest = raw.strip_prefix('{').map(str::trim_start);
    match (head, rest) {
        (Some(Head { kind: None }), Some(rest)) => {
            json.raw(r#"{"type":"object""#);
            json.raw(if rest.starts_with('}') { r#""properties":{}}"# } else { rest });
        }
        _ => json.raw(raw),
    }
}

fn tool_choice(request: &Request<'_>, claude: &Claude, losses: &mut Losses, json: &mut Json<'_>) {
    let sequential = request.parallel_tools == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if sequential => ("auto", None),
        None => return,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Any | ToolChoice::Tool(_)) if !claude.forced_tools => {
            losses.approximated("tool_choice", "sent as `auto`: the model refuses forced calls");
            ("auto", None)
        }
        Some(ToolChoice::Any) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name)),
    };
    json.key("tool_choice");
    json.open(b'{');
    json.member_str("type", kind);
    if let Some(name) = name {
        json.member_str("name", name);
    }
    if sequential && kind != "none" {
        json.member_raw("disable_parallel_tool_use", "true");
    }
    json.close(b'}');
}

fn output(plan: Plan, schema: Option<&[u8]>, json: &mut Json<'_>) {
    plan.print(json);
    if schema.is_none() && plan.effort.is_none() {
        return;
    }
    json.key("output_config");
    json.open(b'{');
    if let Some(effort) = plan.effort {
        json.member_str("effort", effort.as_str());
    }
    if let Some(schema) = schema {
        json.key("format");
        json.open(b'{');
        json.member_str("type", "json_schema");
        json.key("schema");
        json.out.extend_from_slice(schema);
        json.close(b'}');
    }
    json.close(b'}');
}

/// What the upstream takes of the sampling fields.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Why none is taken.
    pub(super) none: Option<&'static str>,
    pub(super) one_of_two: bool,
    newest: bool,
}

impl Limits {
    pub(super) fn of(claude: &Claude, version: &str, plan: Plan) -> Self {
        let newest = version >= VERSION_2026_10;
        let none = if newest {
            Some("removed in version 2026-10-21 of the upstream's API")
        } else if claude.sampling == Takes::DefaultOnly {
            Some("the model takes the default only")
        } else if plan.thinks() {
            Some("fixed while the model thinks")
        } else {
            None
        };
        Self { none, one_of_two: claude.sampling == Takes::OneOfTwo, newest }
    }

    /// Whether a value is what holds without the field, so that models which take the default only
    /// take it. While it thinks, a model takes a `top_p` from 0.95 on.
    pub(super) fn holds_anyway(self, name: &str, value: &[u8]) -> bool {
        let near = value.strip_prefix(b"0.9").and_then(<[u8]>::first);
        !self.newest
            && match name {
                "temperature" => matches!(value, b"1" | b"1.0"),
                "top_p" => matches!(value, b"1" | b"1.0") || near.is_some_and(|d| *d >= b'5'),
                _ => false,
            }
    }
}

fn sampling(sampling: &Sampling<'_>, limits: Limits, losses: &mut Losses, json: &mut Json<'_>) {
    if let Some(note) = limits.none {
        for (name, value) in [
            ("temperature", &sampling.temperature),
            ("top_p", &sampling.top_p),
            ("top_k", &sampling.top_k),
        ] {
            if value.is_some() {
                losses.dropped(name, note);
            }
        }
        return;
    }
    if let Some(temperature) = &sampling.temperature {
        if temperature.exceeds_one() {
            losses.approximated("temperature", "sent as 1, the most that the upstream takes");
            json.member_raw("temperature", "1");
        } else {
            json.member_raw("temperature", temperature.get());
        }
    }
    match &sampling.top_p {
        Some(_) if limits.one_of_two && sampling.temperature.is_some() => {
            losses.dropped("top_p", "the model takes `temperature` or `top_p`, not both");
        }
        Some(top_p) => json.member_raw("top_p", top_p.get()),
        None => {}
    }
    if let Some(top_k) = &sampling.top_k {
        json.member_raw("top_k", top_k.get());
    }
}

fn stop(request: &Request<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    let mut sent = 0_usize;
    for (index, text) in request.stop.iter().enumerate() {
        if text.is_blank() {
            let path = format!("{}[{index}]", request.names.stop);
            losses.dropped(path, "the upstream refuses whitespace");
            continue;
        }
        if sent == 0 {
            json.key("stop_sequences");
            json.open(b'[');
        }
        sent += 1;
        json.str(text);
    }
    if sent > 0 {
        json.close(b']');
    }
}
