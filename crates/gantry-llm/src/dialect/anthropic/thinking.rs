//! Decides how a request's reasoning is asked for at Anthropic.
//!
//! The request printer calls it. Adaptive thinking with an effort is the rule; generations before
//! it take a budget, which must be at least 1024 and below `max_tokens`.

use super::generation;
use crate::neutral::{Body, Effort, Losses, Request, Role, ThinkingMode, ToolChoice};

/// Least budget that Anthropic takes, in tokens.
const BUDGET_MIN: u64 = 1024;

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) mode: Option<ThinkingMode>,
    pub(super) effort: Option<Effort>,
}

impl Plan {
    /// Whether the model will think, which excludes other sampling than the default.
    pub(super) fn thinks(&self) -> bool {
        match self.mode {
            Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)) => true,
            Some(ThinkingMode::BetweenTools | ThinkingMode::Disabled) | None => false,
        }
    }
}

/// The plan for a request. `cap` is the output cap; it is raised above the budget when Gantry
/// itself chose it.
pub(super) fn plan(request: &Request<'_>, model: &str, cap: &mut u64, losses: &mut Losses) -> Plan {
    let names = request.names;
    let (effort, mode) = wanted(request, model, losses);
    let forced = matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_)));
    let asked = if request.reasoning.mode.is_some() { names.thinking } else { names.effort };
    let mode = match mode {
        Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)) if forced => {
            losses.approximated(asked, "without thinking, because a tool call is forced");
            None
        }
        Some(ThinkingMode::Budget(_)) if unsigned_tool_turn(request) => {
            let note = "without thinking, because an earlier tool call lacks its signed thinking";
            losses.approximated(asked, note);
            None
        }
        Some(ThinkingMode::Budget(budget)) => {
            if request.max_tokens.is_none() {
                *cap = (*cap).max(budget.saturating_add(*cap));
            }
            let fitted = fit(budget, *cap);
            if fitted.is_none() {
                losses.approximated(asked, "without thinking, because the output cap is too low");
            } else if fitted != Some(ThinkingMode::Budget(budget)) {
                losses.approximated(asked, "the budget is changed to fit under the output cap");
            }
            fitted
        }
        other => other,
    };
    Plan { mode, effort }
}

fn wanted(
    request: &Request<'_>,
    model: &str,
    losses: &mut Losses,
) -> (Option<Effort>, Option<ThinkingMode>) {
    let names = request.names;
    let by_budget = generation::thinks_by_budget(model);
    let effort = match request.reasoning.effort {
        // Before adaptive thinking, not asking for thinking is the way to have none.
        Some(Effort::None) if by_budget => return (None, request.reasoning.mode),
        Some(Effort::None) => {
            losses.approximated(names.effort, "thinking is left to the model's default");
            return (None, request.reasoning.mode);
        }
        Some(Effort::Minimal) if !by_budget => {
            losses.approximated(names.effort, "sent as `low`, the least there is");
            Some(Effort::Low)
        }
        other => other,
    };
    match (effort, request.reasoning.mode) {
        (Some(effort), None) if by_budget => {
            losses.approximated(names.effort, "sent as a thinking budget");
            (None, Some(ThinkingMode::Budget(budget_of(effort))))
        }
        (Some(_), mode) if by_budget => {
            losses.dropped(names.effort, "the model takes a thinking budget only");
            (None, mode)
        }
        (Some(effort), None) => (Some(effort), Some(ThinkingMode::Adaptive)),
        (effort, mode) => (effort, mode),
    }
}

/// Budgets in tokens that OpenAI-compatible layers commonly give the efforts.
fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 2048,
        Effort::High => 4096,
        Effort::Xhigh => 8192,
        Effort::Max => 16384,
    }
}

/// The budget, made small enough for the cap.
fn fit(budget: u64, cap: u64) -> Option<ThinkingMode> {
    let budget = budget.max(BUDGET_MIN).min(cap.saturating_sub(1));
    (budget >= BUDGET_MIN).then_some(ThinkingMode::Budget(budget))
}

/// Whether the last assistant turn calls tools without the signed thinking that budgeted thinking
/// demands before them. Callers lose it when their client drops unknown fields.
fn unsigned_tool_turn(request: &Request<'_>) -> bool {
    let last = request.turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    last.is_some_and(|turn| {
        let calls = turn.parts.iter().any(|part| matches!(part.body, Body::ToolCall(_)));
        let signed = turn.parts.iter().any(|part| {
            matches!(
                part.body,
                Body::Thinking { signature: Some(_), .. } | Body::RedactedThinking(_)
            )
        });
        calls && !signed
    })
}
