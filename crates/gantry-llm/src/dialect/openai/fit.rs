//! Fits a request to what the catalogue knows of the model that it goes to.
//!
//! The printer of requests asks it before it writes a field that models differ in. Of a model that
//! is not known everything is taken as it came.

use crate::context::RequestContext;
use crate::neutral::{Effort, Losses, Names, Reasoning, Request, ThinkingMode};
use gantry_model::facts::ModelTraits;

/// What a request says of reasoning, however it came.
pub(super) struct Asked {
    pub(super) names: &'static Names,
    pub(super) reasoning: Reasoning,
    /// Whether it holds functions.
    pub(super) tools: bool,
}

/// What one model takes of one request.
pub(super) struct Fit<'q> {
    traits: Option<&'q ModelTraits>,
    /// `reasoning_effort`, if it is sent.
    pub(super) effort: Option<&'q str>,
}

impl<'q> Fit<'q> {
    pub(super) fn of(request: &Request<'_>, ctx: &RequestContext<'q>, losses: &mut Losses) -> Self {
        let (names, reasoning) = (request.names, request.reasoning);
        let asked = Asked { names, reasoning, tools: !request.tools.is_empty() };
        Self::new(&asked, ctx, losses)
    }

    pub(super) fn new(request: &Asked, ctx: &RequestContext<'q>, losses: &mut Losses) -> Self {
        let traits = ctx.traits;
        let tools_effort = traits.and_then(|traits| traits.tools_effort.as_deref());
        let effort = match tools_effort.filter(|_| request.tools) {
            Some(only) => with_tools(request, only, traits, losses),
            None => asked(request, traits, losses),
        };
        Self { traits, effort }
    }

    /// The output cap that is sent for the one that was asked for.
    pub(super) fn max_tokens(&self, request: &Request<'_>, losses: &mut Losses) -> Option<u64> {
        let asked = request.max_tokens?;
        if asked == 0 {
            losses.approximated(request.names.max_tokens, "the least that can be asked for is 1");
            return Some(1);
        }
        if let Some(most) = self.below(asked) {
            let note = format!("sent as {most}, the most that the model takes");
            losses.approximated(request.names.max_tokens, &note);
            return Some(most);
        }
        Some(asked)
    }

    /// The highest output cap that the model takes, where `asked` is above it.
    pub(super) fn below(&self, asked: u64) -> Option<u64> {
        let most = self.traits?.output_tokens_max.map(u64::from)?;
        Some(most).filter(|most| asked > *most)
    }

    /// Why the model refuses a field of the upstream's request, if it does.
    pub(super) fn refuses(&self, field: &str) -> Option<&'static str> {
        let traits = self.traits?;
        let lists = |fields: &[String]| fields.iter().any(|each| each == field);
        let effort = self.effort.or(traits.default_effort.as_deref());
        if lists(&traits.refuses) {
            Some("the model refuses it")
        } else if effort != Some(Effort::None.as_str()) && lists(&traits.refuses_reasoning) {
            Some("the model refuses it while it reasons")
        } else {
            None
        }
    }
}

/// The effort for a model that takes functions with one effort only.
fn with_tools<'q>(
    request: &Asked,
    only: &'q str,
    traits: Option<&ModelTraits>,
    losses: &mut Losses,
) -> Option<&'q str> {
    let Reasoning { effort, mode, .. } = request.reasoning;
    let names = request.names;
    let note = format!("sent as `{only}`, the one effort with which the model takes functions");
    let usual = traits.and_then(|traits| traits.default_effort.as_deref());
    match (effort, mode) {
        (None, None) if usual == Some(only) => return None,
        (None, None) => losses.added("reasoning_effort", &note),
        (Some(effort), _) if effort.as_str() != only => losses.approximated(names.effort, &note),
        (None, Some(ThinkingMode::Disabled)) if only == Effort::None.as_str() => {}
        (None, Some(_)) => losses.approximated(names.thinking, &note),
        (Some(_), _) => {}
    }
    Some(only)
}

/// The effort that was asked for, as far as the model takes it.
fn asked(
    request: &Asked,
    traits: Option<&ModelTraits>,
    losses: &mut Losses,
) -> Option<&'static str> {
    let efforts = traits.and_then(|traits| traits.efforts.as_deref());
    if efforts.is_some_and(<[String]>::is_empty) {
        takes_none(request, losses);
        return None;
    }
    let wanted = wanted(request, efforts.unwrap_or_default(), losses)?;
    let Some(efforts) = efforts else { return Some(wanted.as_str()) };
    let known = || efforts.iter().filter_map(|name| Effort::parse(name));
    let sent = known().find(|effort| *effort >= wanted).or_else(|| known().next_back())?;
    // A budget is reported as approximated already.
    if sent != wanted && request.reasoning.effort.is_some() {
        let note = format!("sent as `{}`, the nearest that the model takes", sent.as_str());
        losses.approximated(request.names.effort, &note);
    }
    Some(sent.as_str())
}

/// Reports what is lost with a model that has no effort to set.
fn takes_none(request: &Asked, losses: &mut Losses) {
    let Reasoning { effort, mode, .. } = request.reasoning;
    let note = "the model takes no `reasoning_effort`";
    if !matches!(effort, None | Some(Effort::None)) {
        losses.dropped(request.names.effort, note);
    }
    if !matches!(mode, None | Some(ThinkingMode::Disabled)) {
        losses.dropped(request.names.thinking, note);
    }
}

/// The effort that the request means. `efforts`: what the model takes; empty: not known.
fn wanted(request: &Asked, efforts: &[String], losses: &mut Losses) -> Option<Effort> {
    let Reasoning { effort, mode, .. } = request.reasoning;
    let names = request.names;
    match (effort, mode) {
        (effort, Some(ThinkingMode::Disabled)) => {
            let off = efforts.iter().any(|each| each == Effort::None.as_str());
            if !off {
                let note = "left out, so that the upstream's default holds";
                losses.approximated(names.thinking, note);
            }
            if !matches!(effort, None | Some(Effort::None)) {
                losses.dropped(names.effort, "would switch the upstream's thinking on");
            }
            off.then_some(Effort::None)
        }
        (Some(effort), Some(ThinkingMode::Budget(_))) => {
            losses.approximated(names.thinking, "the effort is sent in place of the budget");
            Some(effort)
        }
        (Some(effort), _) => Some(effort),
        (None, Some(ThinkingMode::Budget(tokens))) => {
            losses.approximated(names.thinking, "the budget is sent as an effort");
            Some(Effort::of_budget(tokens))
        }
        (None, Some(ThinkingMode::Adaptive | ThinkingMode::BetweenTools)) => {
            losses.approximated(names.thinking, "left to the upstream's default");
            None
        }
        (None, None) => None,
    }
}
