//! Prints a neutral request as a Messages request.
//!
//! `translate::request` calls it. What Anthropic refuses is left out or changed, and reported.

use super::print_messages::{self, Terms};
use super::thinking::{self, Plan};
use crate::dialect::json::Json;
use crate::dialect::wire::{self, Skipped, wire};
use crate::neutral::{
    Cache, Format, Losses, Raw, Request, Sampling, Str, Text, Tier, Tool, ToolChoice,
};
use crate::translate::{Error, RequestContext};
use gantry_model::catalogue::{self, Claude, Sampling as Takes};

/// First version of the API without sampling fields and with system messages in mid-conversation.
const VERSION_2026_10: &str = "2026-10-21";

/// Stands for a response format that is JSON without a schema, which Anthropic does not have.
const JSON_INSTRUCTION: &str =
    "Answer with one valid JSON object and nothing else: no prose, no code fence.";

/// Prints a request body.
pub(crate) fn print(
    request: &Request<'_>,
    ctx: &RequestContext<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let names = request.names;
    let claude = catalogue::claude(ctx.upstream_model);
    let plan = thinking::plan(request, claude, losses);
    if request.max_tokens.is_none() {
        let note = format!("the upstream demands a cap, so {} is sent", plan.cap);
        losses.added(names.max_tokens, &note);
    }
    let mut json = Json::new(out);
    json.run(r#"{"model":"#);
    json.str(ctx.upstream_model);
    json.run(r#","max_tokens":"#);
    json.u64(plan.cap);
    let newest = ctx.anthropic_version >= VERSION_2026_10;
    let terms = Terms {
        mid_system: newest,
        prefill: claude.prefill && !plan.thinks(),
        instruction: matches!(request.format, Some(Format::JsonObject)).then_some(JSON_INSTRUCTION),
    };
    print_messages::print(request, &terms, losses, &mut json)?;
    tools(request, claude, losses, &mut json)?;
    output(request, plan, losses, &mut json);
    sampling(&request.sampling, Limits::of(claude, newest, plan), losses, &mut json);
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

fn tools(
    request: &Request<'_>,
    claude: &Claude,
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
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
    if tools.is_empty() {
        if request.tool_choice == Some(ToolChoice::Any) {
            losses.dropped("tool_choice", "there is no tool to choose");
        }
        return Ok(());
    }
    json.key("tools");
    json.open(b'[');
    tools.iter().for_each(|each| tool(each, json));
    json.close(b']');
    tool_choice(request, claude, losses, json);
    Ok(())
}

fn tool(tool: &Tool<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_text("description", description);
    }
    json.key("input_schema");
    schema(tool, json);
    if tool.strict {
        json.member_raw("strict", "true");
    }
    if let Some(cache) = tool.cache {
        cache_control(cache, json);
    }
    json.close(b'}');
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

/// Prints the `cache_control` member.
pub(super) fn cache_control(cache: Cache, json: &mut Json<'_>) {
    let value = match cache {
        Cache::Default => r#"{"type":"ephemeral"}"#,
        Cache::OneHour => r#"{"type":"ephemeral","ttl":"1h"}"#,
    };
    json.member_raw("cache_control", value);
}

fn output(request: &Request<'_>, plan: Plan, losses: &mut Losses, json: &mut Json<'_>) {
    plan.print(json);
    if matches!(request.format, Some(Format::JsonObject)) {
        losses.approximated(request.names.format, "asked for in the system prompt");
    }
    let schema = match &request.format {
        Some(format @ Format::JsonSchema { .. }) => Some(format),
        Some(Format::JsonObject) | None => None,
    };
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
        answer_schema(schema, losses, json);
        json.close(b'}');
    }
    json.close(b'}');
}

wire! {
    struct Annotations<'a> {
        may title: Raw<'a>,
        may description: Raw<'a>,
    }
}

/// The schema of the answer. Its name and description, which Anthropic has no fields for, go as
/// the annotations that JSON Schema has for them (draft 2020-12, validation, section 9.1).
fn answer_schema(format: &Format<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    let Format::JsonSchema { name, description, schema, strict } = format else { return };
    if *strict == Some(false) {
        let note = "the upstream always holds to the schema";
        losses.approximated("response_format.json_schema.strict", note);
    }
    let known = wire::parse_text::<Annotations<'_>>(schema.get()).unwrap_or_default();
    let description = description.as_ref().map(Text::decode);
    let Some(rest) = schema.get().strip_prefix('{').map(str::trim_start) else {
        return json.raw(schema.get());
    };
    let mut begun = false;
    for (field, text, key, there) in [
        ("name", name.as_deref(), "title", known.title),
        ("description", description.as_deref(), "description", known.description),
    ] {
        let Some(text) = text else { continue };
        if let Some(there) = there {
            if !wire::parse_text::<Str<'_>>(there.get()).is_ok_and(|there| *there == *text) {
                let path = format!("response_format.json_schema.{field}");
                losses.dropped(path, &format!("the schema has a `{key}` of its own"));
            }
            continue;
        }
        if !begun {
            json.open(b'{');
            begun = true;
        }
        json.member_str(key, text);
    }
    if !begun {
        return json.raw(schema.get());
    }
    if rest.starts_with('}') { json.close(b'}') } else { json.raw(rest) }
}

/// What the upstream takes of the sampling fields.
#[derive(Clone, Copy)]
struct Limits {
    /// Why none is taken.
    none: Option<&'static str>,
    one_of_two: bool,
}

impl Limits {
    fn of(claude: &Claude, newest: bool, plan: Plan) -> Self {
        let none = if newest {
            Some("removed in version 2026-10-21 of the upstream's API")
        } else if claude.sampling == Takes::DefaultOnly {
            Some("the model takes the default only")
        } else if plan.thinks() {
            Some("fixed while the model thinks")
        } else {
            None
        };
        Self { none, one_of_two: claude.sampling == Takes::OneOfTwo }
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
