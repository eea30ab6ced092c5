//! Fits a chat request that is not translated to what is known of its model and its upstream.
//!
//! `Dialect::fit` calls it, for requests of chat callers and for what a route sets in any. It edits
//! fields in place and reports each; what the model takes stays as it came.

use super::fit::{Asked, Fit};
use super::read_request::{HARMLESS, NAMES};
use crate::context::RequestContext;
use crate::dialect::fit_ids;
use crate::dialect::wire::{self, FromJson};
use crate::neutral::{Effort, Losses, Raw, Reasoning, Str, fitted};
use crate::scan::ScanError;
use crate::scan::cursor::Cursor;
use crate::splice::{Draft, Patch};
use gantry_model::facts::{Limit, Limits, ModelTraits};
use memchr::memmem;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Both names of the output cap, the newer one first.
const CAPS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// Fits the request that `draft` holds.
pub(super) fn fit(
    draft: &mut Draft<'_>,
    ctx: &RequestContext<'_>,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    if let Some(traits) = ctx.traits {
        let fit = effort(draft, ctx, losses)?;
        cap_name(draft, traits, losses)?;
        refused(draft, &fit, traits, losses)?;
        for name in CAPS {
            cap(draft, name, &fit, losses)?;
        }
    }
    let limits = &ctx.quirks.limits;
    if let Some(limit) = &limits.user {
        fit_ids::user(draft, ("user", None), limit, losses)?;
    }
    if let Some(limit) = &limits.call_id {
        fit_ids::calls(draft, r#""tool_call_id""#, limit, losses)?;
    }
    metadata(draft, limits, losses)?;
    if let Some(most) = ctx.quirks.limits.stops_max {
        stops(draft, most as usize, losses)?;
    }
    if !ctx.quirks.developer_role {
        developers(draft, losses)?;
    }
    Ok(())
}

/// The value of a field, if it has this form.
fn read<'d, T: FromJson<'d>>(draft: &'d Draft<'_>, key: &str) -> Option<T> {
    let text = std::str::from_utf8(draft.get(key)?).ok()?;
    wire::parse_text(text).ok()
}

fn effort<'q>(
    draft: &mut Draft<'_>,
    ctx: &RequestContext<'q>,
    losses: &mut Losses,
) -> Result<Fit<'q>, ScanError> {
    let said = read::<Str<'_>>(draft, NAMES.effort);
    let effort = said.as_deref().and_then(Effort::parse);
    let there = said.is_some();
    let some = |json: &[u8]| json.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii() != b"]");
    let tools = ["tools", "functions"].iter().any(|name| draft.get(name).is_some_and(some));
    let reasoning = Reasoning { effort, mode: None, display: None };
    let fit = Fit::new(&Asked { names: &NAMES, reasoning, tools }, ctx, losses);
    let usual = ctx.traits.and_then(|traits| traits.default_effort.as_deref());
    match (fit.effort, effort) {
        // An effort that is not known is the upstream's to judge.
        (None, None) => {}
        (None, Some(_)) => drop(draft.remove(NAMES.effort)?),
        (Some(sent), Some(effort)) if sent == effort.as_str() => {}
        (Some(sent), None) if !there && usual == Some(sent) => {}
        (Some(sent), _) => {
            draft.put(NAMES.effort, Cow::Owned(format!("\"{sent}\"").into_bytes()))?;
        }
    }
    Ok(fit)
}

/// Models that refuse `max_tokens` are told the cap by its newer name.
fn cap_name(
    draft: &mut Draft<'_>,
    traits: &ModelTraits,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    let [newer, older] = CAPS;
    if !traits.refuses.iter().any(|name| name == older) {
        return Ok(());
    }
    match draft.get(newer).is_some_and(|value| value != b"null") {
        true => drop(draft.remove(older)?),
        false if draft.rename(older, newer)? => {
            losses.added(older, "sent as `max_completion_tokens`");
        }
        false => {}
    }
    Ok(())
}

/// Takes fields out that the model refuses, unless their value says nothing, which it takes.
fn refused(
    draft: &mut Draft<'_>,
    fit: &Fit<'_>,
    traits: &ModelTraits,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    for name in FIELDS.iter().filter(|name| !CAPS.contains(name)) {
        let listed = |list: &[String]| list.iter().any(|each| each == name);
        if !listed(&traits.refuses) && !listed(&traits.refuses_reasoning) {
            continue;
        }
        let Some(value) = draft.get(name).filter(|value| *value != b"null") else { continue };
        let Some(note) = fit.refuses(name) else { continue };
        if says_nothing(name, value) {
            continue;
        }
        // Refused with any value, and several calls are the default.
        if (*name, value) != ("parallel_tool_calls", b"true") {
            losses.dropped(name, note);
        }
        draft.remove(name)?;
    }
    Ok(())
}

/// Fields that the catalogue may list as refused.
const FIELDS: [&str; 10] = [
    "temperature",
    "top_p",
    "stop",
    "parallel_tool_calls",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "max_tokens",
];

fn says_nothing(name: &str, value: &[u8]) -> bool {
    let usual = matches!((name, value), ("temperature" | "top_p", b"1" | b"1.0"));
    usual || HARMLESS.iter().any(|(known, json)| *known == name && json.as_bytes() == value)
}

fn cap(
    draft: &mut Draft<'_>,
    name: &'static str,
    fit: &Fit<'_>,
    losses: &mut Losses,
) -> Result<(), ScanError> {
    let Some(most) = read::<u64>(draft, name).and_then(|asked| fit.below(asked)) else {
        return Ok(());
    };
    losses.approximated(name, &format!("sent as {most}, the most that the model takes"));
    draft.put(name, Cow::Owned(most.to_string().into_bytes()))
}

fn stops(draft: &mut Draft<'_>, most: usize, losses: &mut Losses) -> Result<(), ScanError> {
    let texts = read::<Vec<Raw<'_>>>(draft, "stop").unwrap_or_default();
    if texts.len() <= most {
        return Ok(());
    }
    let kept: Vec<&str> = texts.iter().take(most).map(Raw::get).collect();
    let kept = format!("[{}]", kept.join(","));
    for index in most..texts.len() {
        losses.dropped(format!("stop[{index}]"), &format!("the upstream takes {most} at most"));
    }
    draft.put("stop", Cow::Owned(kept.into_bytes()))
}

/// Cuts what is too long in `metadata`, and leaves out what is too much.
fn metadata(draft: &mut Draft<'_>, limits: &Limits, losses: &mut Losses) -> Result<(), ScanError> {
    let most = limits.metadata_max.map_or(usize::MAX, |most| most as usize);
    let Some(value) = draft.get("metadata").filter(|value| value.starts_with(b"{")) else {
        return Ok(());
    };
    let Ok(mut known) = serde_json::from_slice::<BTreeMap<String, String>>(value) else {
        return Ok(());
    };
    let takes = |limit: &Option<Limit>, text: &str| limit.as_ref().is_none_or(|l| l.takes(text));
    let fits = known.len() <= most
        && known.iter().all(|(key, value)| {
            takes(&limits.metadata_key, key) && takes(&limits.metadata_value, value)
        });
    if fits {
        return Ok(());
    }
    let made = |limit: &Option<Limit>, text: String| {
        limit.as_ref().and_then(|limit| fitted(&text, limit)).unwrap_or(text)
    };
    known = known.into_iter().take(most).collect();
    let known: BTreeMap<String, String> = known
        .into_iter()
        .map(|(key, value)| (made(&limits.metadata_key, key), made(&limits.metadata_value, value)))
        .collect();
    losses.approximated("metadata", "cut to what the upstream takes");
    draft.put("metadata", Cow::Owned(serde_json::to_vec(&known).unwrap_or_default()))
}

/// Names the role `developer` as upstreams do that know `system` only.
fn developers(draft: &mut Draft<'_>, losses: &mut Losses) -> Result<(), ScanError> {
    let Some(messages) = draft.get("messages") else { return Ok(()) };
    if memmem::find(messages, br#""developer""#).is_none() {
        return Ok(());
    }
    let patches = roles(messages);
    if !patches.is_empty() {
        losses.added("messages", "role `developer` is sent as `system`, which the upstream knows");
    }
    draft.patch("messages", patches)
}

fn roles(messages: &[u8]) -> Vec<Patch> {
    let mut patches = Vec::new();
    let mut cursor = Cursor::new(messages);
    // What is no list of objects is the upstream's to refuse.
    let _ = cursor.array(|cursor| {
        if cursor.peek_value() != Some(b'{') {
            return cursor.ignore();
        }
        cursor.object(|cursor, key| {
            let is_role = cursor.slice(&key.inner()) == b"role";
            let value = cursor.skip()?;
            if is_role && cursor.slice(&value) == br#""developer""# {
                patches.push((value, br#""system""#.to_vec()));
            }
            Ok(())
        })
    });
    patches
}
