//! Prints a neutral request as a chat completion request.
//!
//! `translate::request` calls it. Whatever the specification has no field for is reported.

use super::print_messages;
use crate::dialect::json::Json;
use crate::neutral::{
    Effort, Format, Losses, Reasoning, Request, Sampling, Str, ThinkingMode, Tier, Tool, ToolChoice,
};
use crate::translate::{Error, RequestContext};
use gantry_model::catalogue::Quirks;

/// Most stop sequences that OpenAI takes.
const STOPS_MAX: usize = 4;

/// Longest `user` that OpenAI takes, in characters.
const USER_CHARS_MAX: usize = 64;

/// JSON Schema of a function without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Prints a request body.
pub(crate) fn print(
    request: &Request<'_>,
    ctx: &RequestContext<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut json = Json::new(out);
    json.run(r#"{"model":"#);
    json.str(ctx.upstream_model);
    json.run(r#","messages":"#);
    print_messages::print(&request.turns, ctx.quirks, losses, &mut json)?;
    tools(request, losses, &mut json)?;
    if let Some(max) = request.max_tokens {
        if max == 0 {
            losses.approximated(request.names.max_tokens, "the least that can be asked for is 1");
        }
        json.member_u64(&ctx.quirks.max_tokens_field, max.max(1));
    }
    sampling(&request.sampling, losses, &mut json);
    stop(request, losses, &mut json);
    if let Some(format) = &request.format {
        response_format(format, &mut json);
    }
    reasoning(request, losses, &mut json);
    if let Some(user) = &request.user {
        member_user(user, request.names.user, losses, &mut json);
    }
    if let Some(tier) = request.tier {
        json.member_str("service_tier", tier_name(tier));
    }
    stream(request, ctx.quirks, &mut json);
    json.close(b'}');
    Ok(())
}

fn tools(request: &Request<'_>, losses: &mut Losses, json: &mut Json<'_>) -> Result<(), Error> {
    if let Some(ToolChoice::Tool(name)) = &request.tool_choice
        && !request.tools.iter().any(|tool| tool.name == *name)
    {
        let message =
            format!("names the tool `{}`, which cannot be sent to this upstream", &**name);
        return Err(Error::new("tool_choice", message));
    }
    if request.tools.is_empty() {
        if !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
            losses.dropped("tool_choice", "there is no tool to choose");
        }
        return Ok(());
    }
    json.key("tools");
    json.open(b'[');
    for each in &request.tools {
        if each.cache.is_some() {
            cache_lost(format!("{}.cache_control", each.place), losses);
        }
        tool(each, json);
    }
    json.close(b']');
    if let Some(choice) = &request.tool_choice {
        json.key("tool_choice");
        tool_choice(choice, json);
    }
    if let Some(parallel) = request.parallel_tools {
        json.member_raw("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
    Ok(())
}

/// The one report for all cache markers, which this dialect replaces by caching on its own.
pub(super) fn cache_lost(path: String, losses: &mut Losses) {
    losses.dropped_often(path, "the upstream caches prompts on its own");
}

fn tool(tool: &Tool<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "function");
    json.key("function");
    json.open(b'{');
    json.member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_text("description", description);
    }
    json.member_raw("parameters", tool.schema.as_ref().map_or(NO_ARGUMENTS, |schema| schema.get()));
    if tool.strict {
        json.member_raw("strict", "true");
    }
    json.close(b'}');
    json.close(b'}');
}

fn tool_choice(choice: &ToolChoice<'_>, json: &mut Json<'_>) {
    match choice {
        ToolChoice::Auto => json.str("auto"),
        ToolChoice::None => json.str("none"),
        ToolChoice::Any => json.str("required"),
        ToolChoice::Tool(name) => {
            json.open(b'{');
            json.member_str("type", "function");
            json.key("function");
            json.open(b'{');
            json.member_str("name", name);
            json.close(b'}');
            json.close(b'}');
        }
    }
}

fn sampling(sampling: &Sampling<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    for (name, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
        if let Some(value) = value {
            json.member_raw(name, value.get());
        }
    }
    if sampling.top_k.is_some() {
        losses.dropped("top_k", "has no counterpart at the upstream");
    }
}

fn stop(request: &Request<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    if request.stop.is_empty() {
        return;
    }
    for index in STOPS_MAX..request.stop.len() {
        let path = format!("{}[{index}]", request.names.stop);
        losses.dropped(path, "the upstream takes four at most");
    }
    json.key("stop");
    json.open(b'[');
    for text in request.stop.iter().take(STOPS_MAX) {
        json.str(text);
    }
    json.close(b']');
}

fn response_format(format: &Format<'_>, json: &mut Json<'_>) {
    json.key("response_format");
    json.open(b'{');
    match format {
        Format::JsonObject => json.member_str("type", "json_object"),
        Format::JsonSchema { name, description, schema, strict } => {
            json.member_str("type", "json_schema");
            json.key("json_schema");
            json.open(b'{');
            json.member_str("name", name.as_deref().unwrap_or("answer"));
            if let Some(description) = description {
                json.member_text("description", description);
            }
            json.member_raw("schema", schema.get());
            if let Some(strict) = strict {
                json.member_raw("strict", if *strict { "true" } else { "false" });
            }
            json.close(b'}');
        }
    }
    json.close(b'}');
}

fn reasoning(request: &Request<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    let Reasoning { effort, mode, .. } = request.reasoning;
    let names = request.names;
    let effort = match (effort, mode) {
        (effort, Some(ThinkingMode::Disabled)) => {
            let note = "left out, so that the upstream's default holds";
            losses.approximated(names.thinking, note);
            if effort.is_some() {
                losses.dropped(names.effort, "would switch the upstream's thinking on");
            }
            return;
        }
        (Some(effort), Some(ThinkingMode::Budget(_))) => {
            losses.approximated(names.thinking, "the effort is sent in place of the budget");
            effort
        }
        (Some(effort), _) => effort,
        (None, Some(ThinkingMode::Budget(tokens))) => {
            losses.approximated(names.thinking, "the budget is sent as an effort");
            effort_of(tokens)
        }
        (None, Some(ThinkingMode::Adaptive | ThinkingMode::BetweenTools)) => {
            losses.approximated(names.thinking, "left to the upstream's default");
            return;
        }
        (None, None) => return,
    };
    json.member_str("reasoning_effort", effort.as_str());
}

/// The inverse of the budgets that OpenAI-compatible layers commonly give the efforts.
fn effort_of(budget_tokens: u64) -> Effort {
    match budget_tokens {
        0..2048 => Effort::Low,
        2048..4096 => Effort::Medium,
        _ => Effort::High,
    }
}

fn member_user(user: &Str<'_>, name: &str, losses: &mut Losses, json: &mut Json<'_>) {
    let end = user.char_indices().nth(USER_CHARS_MAX).map(|(at, _)| at);
    if end.is_some() {
        losses.approximated(name, "cut to the 64 characters that the upstream takes");
    }
    json.member_str("user", end.and_then(|end| user.get(..end)).unwrap_or(user));
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Priority => "priority",
        Tier::Fast => "fast",
    }
}

fn stream(request: &Request<'_>, quirks: &Quirks, json: &mut Json<'_>) {
    if !request.stream {
        return;
    }
    json.member_raw("stream", "true");
    if quirks.stream_usage {
        json.member_raw("stream_options", r#"{"include_usage":true}"#);
    }
}
