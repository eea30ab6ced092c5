//! Fits a Messages request that is not translated to what is known of its model.
//!
//! `Dialect::fit` calls it, for requests of Messages callers and for what a route sets in any. It
//! edits fields in place and reports each; what the model takes stays as it came.

use super::print_request::Limits;
use super::read_request::NAMES;
use super::thinking::{self, Asked, Plan};
use crate::context::RequestContext;
use crate::dialect::fit_ids;
use crate::dialect::json::Json;
use crate::dialect::reader::{Read, Reader};
use crate::dialect::wire::{self, FromJson, Skipped, wire};
use crate::neutral::{Display, Effort, Losses, Number, Reasoning, Str, ThinkingMode};
use crate::scan::{Index, ScanError};
use crate::splice::Draft;
use bytes::Bytes;
use gantry_model::facts::{Claude, Thinking as Takes};
use std::borrow::Cow;

wire! {
    struct Thinking<'a> {
        must kind as "type": Str<'a>,
        may budget_tokens: u64,
        may display: Str<'a>,
    }

    struct Output<'a> {
        may effort: Str<'a>,
    }

    struct Choice<'a> {
        must kind as "type": Str<'a>,
        may disable_parallel_tool_use: bool,
    }

    struct Turn<'a> {
        may role: Str<'a>,
        may content: Blocks,
    }

    struct Block<'a> {
        may kind as "type": Str<'a>,
        may signature: Skipped,
        may data: Skipped,
    }
}

/// What the content of a message holds.
#[derive(Default)]
struct Blocks {
    calls: bool,
    signed: bool,
}

impl<'a> FromJson<'a> for Blocks {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        if reader.peek() != Some(b'[') {
            return reader.skip();
        }
        reader.list(|reader| {
            let mut block = Block::default();
            block.fill(reader)?;
            let kind = block.kind.as_deref().unwrap_or_default();
            self.calls |= kind == "tool_use";
            self.signed |= kind == "thinking" && block.signature.is_some();
            self.signed |= kind == "redacted_thinking";
            Ok(())
        })
    }
}

/// Fits the request that `draft` holds.
pub(super) fn fit(
    draft: &mut Draft<'_>,
    ctx: &RequestContext<'_>,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    let claude = ctx.claude;
    let plan = thinking(draft, claude, losses)?;
    sampling(draft, Limits::of(claude, ctx.version, plan), losses)?;
    tool_choice(draft, claude, losses)?;
    let limits = &ctx.quirks.limits;
    if let Some(limit) = &limits.user {
        fit_ids::user(draft, ("metadata", Some("user_id")), limit, losses)?;
    }
    if let Some(limit) = &limits.call_id {
        fit_ids::calls(draft, r#""tool_use_id""#, limit, losses)?;
    }
    stop(draft, losses)
}

/// The value of a field, if it has this form.
fn read<'d, T: FromJson<'d>>(draft: &'d Draft<'_>, key: &str) -> Option<T> {
    let text = std::str::from_utf8(draft.get(key)?).ok()?;
    wire::parse_text(text).ok()
}

/// Thinking, effort and output cap, which depend on one another.
fn thinking(
    draft: &mut Draft<'_>,
    claude: &Claude,
    losses: &mut Losses,
) -> Result<Plan, ScanError> {
    let (mode, display, known) = match read::<Thinking<'_>>(draft, "thinking") {
        None => (None, None, true),
        Some(thinking) => {
            let mode = mode(&thinking);
            (mode, thinking.display.as_deref().and_then(Display::parse), mode.is_some())
        }
    };
    let said = read::<Output<'_>>(draft, "output_config").and_then(|output| output.effort);
    // A form or an effort that is not known is the upstream's to judge.
    let effort = said.as_deref().and_then(Effort::parse).filter(|_| !claude.budget_and_effort);
    let max_tokens = read::<u64>(draft, "max_tokens");
    let choice = read::<Choice<'_>>(draft, "tool_choice");
    let forced = choice.is_some_and(|choice| matches!(&*choice.kind, "any" | "tool"));
    let converted = !matches!(mode, Some(ThinkingMode::Budget(_)));
    let unsigned = || converted && unsigned(draft);
    let reasoning = Reasoning { effort, mode, display };
    let names = &NAMES;
    let asked = Asked { names, reasoning, max_tokens, forced, unsigned: &unsigned, chat: false };
    let mut plan = thinking::plan(&asked, claude, losses);
    if (mode, plan.mode) == (Some(ThinkingMode::Disabled), None) && takes_disabled(claude) {
        plan.mode = mode;
    }
    if let Some(cap) = max_tokens.filter(|cap| *cap != plan.cap).map(|_| plan.cap) {
        draft.put("max_tokens", Cow::Owned(cap.to_string().into_bytes()))?;
    }
    if known && (plan.mode, plan.display) != (mode, display) {
        match plan.mode {
            None => drop(draft.remove("thinking")?),
            Some(_) => {
                let mut value = Vec::new();
                plan.value(&mut Json::new(&mut value));
                draft.put("thinking", Cow::Owned(value))?;
            }
        }
    }
    if plan.effort != effort {
        set_effort(draft, plan.effort)?;
    }
    Ok(plan)
}

/// The mode that a value of `thinking` asks for. Without a budget, `enabled` is none that Anthropic
/// knows; callers of other servers mean that the model shall think.
fn mode(thinking: &Thinking<'_>) -> Option<ThinkingMode> {
    Some(match (&*thinking.kind, thinking.budget_tokens) {
        ("enabled", Some(budget)) => ThinkingMode::Budget(budget),
        ("adaptive", _) | ("enabled", None) => ThinkingMode::Adaptive,
        ("between_tools", _) => ThinkingMode::BetweenTools,
        ("disabled", _) => ThinkingMode::Disabled,
        _ => return None,
    })
}

/// Whether the model takes it in words that it shall not think.
fn takes_disabled(claude: &Claude) -> bool {
    matches!(claude.thinking, Takes::Adaptive | Takes::Any | Takes::Budget)
}

fn set_effort(draft: &mut Draft<'_>, effort: Option<Effort>) -> Result<(), ScanError> {
    let quoted = effort.map(|effort| format!("\"{}\"", effort.as_str()));
    let old = draft.get("output_config").filter(|old| old.starts_with(b"{"));
    let old = Bytes::copy_from_slice(old.unwrap_or(b"{}"));
    let index = Index::of(&old)?;
    let mut config = Draft::new(&old, &index);
    match &quoted {
        Some(effort) => config.set("effort", effort.as_bytes())?,
        None => drop(config.remove("effort")?),
    }
    let config = config.finish().into_bytes();
    match config.as_ref() {
        b"{}" => drop(draft.remove("output_config")?),
        _ => draft.put("output_config", Cow::Owned(config.to_vec()))?,
    }
    Ok(())
}

/// Whether the last assistant message calls tools without signed thinking.
fn unsigned(draft: &Draft<'_>) -> bool {
    let turns = read::<Vec<Turn<'_>>>(draft, "messages").unwrap_or_default();
    let last = turns.iter().rev().find(|turn| turn.role.as_deref() == Some("assistant"));
    last.and_then(|turn| turn.content.as_ref()).is_some_and(|blocks| blocks.calls && !blocks.signed)
}

fn sampling(draft: &mut Draft<'_>, limits: Limits, losses: &mut Losses) -> Result<(), ScanError> {
    for name in ["temperature", "top_p", "top_k"] {
        let Some(value) = draft.get(name).filter(|value| *value != b"null") else { continue };
        if let Some(note) = limits.none.filter(|_| !limits.holds_anyway(name, value)) {
            losses.dropped(name, note);
            draft.remove(name)?;
        }
    }
    let exceeds = read::<Number<'_>>(draft, "temperature");
    if exceeds.is_some_and(|temperature| temperature.exceeds_one()) {
        losses.approximated("temperature", "sent as 1, the most that the upstream takes");
        draft.set("temperature", b"1")?;
    }
    let there = |name| draft.get(name).is_some_and(|value| value != b"null");
    if limits.one_of_two && there("temperature") && there("top_p") {
        losses.dropped("top_p", "the model takes `temperature` or `top_p`, not both");
        draft.remove("top_p")?;
    }
    Ok(())
}

fn tool_choice(
    draft: &mut Draft<'_>,
    claude: &Claude,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    if claude.forced_tools {
        return Ok(());
    }
    let Some(choice) = read::<Choice<'_>>(draft, "tool_choice") else { return Ok(()) };
    if matches!(&*choice.kind, "any" | "tool") {
        let json: &[u8] = match choice.disable_parallel_tool_use {
            Some(true) => br#"{"type":"auto","disable_parallel_tool_use":true}"#,
            Some(false) | None => br#"{"type":"auto"}"#,
        };
        losses.approximated("tool_choice", "sent as `auto`: the model refuses forced calls");
        draft.set("tool_choice", json)?;
    }
    Ok(())
}

fn stop(draft: &mut Draft<'_>, losses: &mut Losses) -> Result<(), ScanError> {
    let Some(texts) = read::<Vec<Str<'_>>>(draft, "stop_sequences") else { return Ok(()) };
    if !texts.iter().any(Str::is_blank) {
        return Ok(());
    }
    let mut value = Vec::new();
    let mut json = Json::new(&mut value);
    json.open(b'[');
    for (index, text) in texts.iter().enumerate() {
        match text.is_blank() {
            true => {
                let path = format!("stop_sequences[{index}]");
                losses.dropped(path, "the upstream refuses whitespace");
            }
            false => json.str(text),
        }
    }
    json.close(b']');
    draft.put("stop_sequences", Cow::Owned(value))
}
