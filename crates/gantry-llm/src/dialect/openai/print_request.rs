//! Prints a neutral request as a chat completion request.
//!
//! `translate::request` calls it. Whatever the specification has no field for is reported.

use super::cache::{Markers, lost};
use super::fit::Fit;
use super::{print_messages, schema};
use crate::context::{Error, RequestContext};
use crate::dialect::json::Json;
use crate::dialect::print_blocks::cache_control;
use crate::neutral::{Cache, Format, Losses, Request, Sampling, Tier, Tool, ToolChoice};
use gantry_model::facts::Quirks;

/// Why a schema that must be held to exactly goes without strict mode.
const NOT_STRICT: &str =
    "sent without `strict`, for which all objects must be closed and all properties required";

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
    let markers = Markers::of(ctx);
    print_messages::print(&request.turns, (ctx.quirks, markers), losses, &mut json)?;
    let fit = Fit::of(request, ctx, losses);
    tools(request, (&fit, markers), losses, &mut json)?;
    if let Some(max) = fit.max_tokens(request, losses) {
        let older = fit.refuses("max_tokens").is_none();
        let usual = ctx.quirks.max_tokens_field.as_str();
        json.member_u64(if older { usual } else { "max_completion_tokens" }, max);
    }
    sampling(&request.sampling, &fit, losses, &mut json);
    stop(request, &fit, ctx.quirks, losses, &mut json);
    if let Some(format) = &request.format {
        response_format(format, request.names.format, losses, &mut json);
    }
    if let Some(effort) = fit.effort {
        json.member_str("reasoning_effort", effort);
    }
    if let Some(user) = &request.user {
        json.member_str("user", user);
    }
    if let Some(tier) = request.tier {
        json.member_str("service_tier", tier_name(tier));
    }
    stream(request, ctx.quirks, &mut json);
    json.close(b'}');
    Ok(())
}

fn tools(
    request: &Request<'_>,
    (fit, markers): (&Fit<'_>, Markers),
    losses: &mut Losses,
    json: &mut Json<'_>,
) -> Result<(), Error> {
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
        let passed = markers == Markers::CacheControl;
        if each.cache.is_some() && !passed {
            lost(format!("{}.cache_control", each.place), losses);
        }
        tool(each, each.cache.filter(|_| passed), losses, json);
    }
    json.close(b']');
    if let Some(choice) = &request.tool_choice {
        json.key("tool_choice");
        tool_choice(choice, json);
    }
    parallel(request.parallel_tools, fit, losses, json);
    Ok(())
}

fn parallel(parallel: Option<bool>, fit: &Fit<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    match (parallel, fit.refuses("parallel_tool_calls")) {
        // Several calls are the default.
        (None, _) | (Some(true), Some(_)) => {}
        (Some(false), Some(note)) => losses.dropped("tool_choice.disable_parallel_tool_use", note),
        (Some(true), None) => json.member_raw("parallel_tool_calls", "true"),
        (Some(false), None) => json.member_raw("parallel_tool_calls", "false"),
    }
}

fn tool(tool: &Tool<'_>, cache: Option<Cache>, losses: &mut Losses, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("type", "function");
    json.key("function");
    json.open(b'{');
    json.member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_text("description", description);
    }
    json.key("parameters");
    schema::parameters(tool.schema, json);
    if tool.strict {
        if tool.schema.is_some_and(|schema| schema::fits_strict_mode(schema.get())) {
            json.member_raw("strict", "true");
        } else {
            losses.approximated(format!("{}.strict", tool.place), NOT_STRICT);
        }
    }
    json.close(b'}');
    if let Some(cache) = cache {
        cache_control(cache, json);
    }
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

fn sampling(sampling: &Sampling<'_>, fit: &Fit<'_>, losses: &mut Losses, json: &mut Json<'_>) {
    for (name, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
        let Some(value) = value else { continue };
        match fit.refuses(name) {
            None => json.member_raw(name, value.get()),
            // What holds anyway.
            Some(_) if matches!(value.get(), "1" | "1.0") => {}
            Some(note) => losses.dropped(name, note),
        }
    }
    if sampling.top_k.is_some() {
        losses.dropped("top_k", "has no counterpart at the upstream");
    }
}

fn stop(
    request: &Request<'_>,
    fit: &Fit<'_>,
    quirks: &Quirks,
    losses: &mut Losses,
    json: &mut Json<'_>,
) {
    if request.stop.is_empty() {
        return;
    }
    if let Some(note) = fit.refuses("stop") {
        return losses.dropped(request.names.stop, note);
    }
    let most = quirks.limits.stops_max.map_or(usize::MAX, |most| most as usize);
    for index in most..request.stop.len() {
        let path = format!("{}[{index}]", request.names.stop);
        losses.dropped(path, &format!("the upstream takes {most} at most"));
    }
    json.key("stop");
    json.open(b'[');
    for text in request.stop.iter().take(most) {
        json.str(text);
    }
    json.close(b']');
}

fn response_format(format: &Format<'_>, name: &str, losses: &mut Losses, json: &mut Json<'_>) {
    json.key("response_format");
    json.open(b'{');
    match format {
        Format::JsonObject => json.member_str("type", "json_object"),
        Format::JsonSchema { name: title, description, schema, strict } => {
            json.member_str("type", "json_schema");
            json.key("json_schema");
            json.open(b'{');
            json.member_str("name", title.as_deref().unwrap_or("answer"));
            if let Some(description) = description {
                json.member_text("description", description);
            }
            json.member_raw("schema", schema.get());
            if let Some(strict) = *strict {
                let fits = !strict || schema::fits_strict_mode(schema.get());
                if !fits {
                    losses.approximated(name, NOT_STRICT);
                }
                json.member_raw("strict", if strict && fits { "true" } else { "false" });
            }
            json.close(b'}');
        }
    }
    json.close(b'}');
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
