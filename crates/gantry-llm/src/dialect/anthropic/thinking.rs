//! Decides how a request's reasoning is asked for at Anthropic, and how much room the answer has.
//!
//! The request printer calls it. Adaptive thinking with an effort is the rule; generations before
//! it take a budget, which must be at least 1024 and below `max_tokens`.

use crate::dialect::json::Json;
use crate::neutral::{
    Body, Display, Effort, Losses, Names, Reasoning, Request, Role, ThinkingMode, ToolChoice,
};
use gantry_model::facts::{Claude, Thinking};

/// Least budget that Anthropic takes, in tokens.
const BUDGET_MIN: u64 = 1024;

/// What a request says about thinking, however it came.
pub(super) struct Asked<'r> {
    pub(super) names: &'static Names,
    pub(super) reasoning: Reasoning,
    /// Output cap in tokens.
    pub(super) max_tokens: Option<u64>,
    /// A tool call is forced.
    pub(super) forced: bool,
    /// Whether the last assistant turn calls tools without the signed thinking that budgeted
    /// thinking demands before them; looked up only where it matters.
    pub(super) unsigned: &'r dyn Fn() -> bool,
    /// Translated from a chat: an effort alone asks for thinking, and the answer shows it unless
    /// the caller says otherwise.
    pub(super) chat: bool,
}

impl<'r> Asked<'r> {
    /// A translated request.
    pub(super) fn of(request: &Request<'_>, unsigned: &'r dyn Fn() -> bool) -> Self {
        Self {
            names: request.names,
            reasoning: request.reasoning,
            max_tokens: request.max_tokens,
            forced: matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_))),
            unsigned,
            chat: true,
        }
    }
}

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) mode: Option<ThinkingMode>,
    pub(super) effort: Option<Effort>,
    pub(super) display: Option<Display>,
    /// Output cap in tokens.
    pub(super) cap: u64,
}

impl Plan {
    /// Whether the model will think, which excludes other sampling than the default.
    pub(super) fn thinks(&self) -> bool {
        match self.mode {
            Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)) => true,
            Some(ThinkingMode::BetweenTools | ThinkingMode::Disabled) | None => false,
        }
    }

    /// Prints the member `thinking`, if there is something to say.
    pub(super) fn print(&self, json: &mut Json<'_>) {
        if self.mode.is_some() {
            json.key("thinking");
            self.value(json);
        }
    }

    /// Prints the value of the member.
    pub(super) fn value(&self, json: &mut Json<'_>) {
        let Some(mode) = self.mode else { return };
        json.open(b'{');
        match mode {
            ThinkingMode::Adaptive => json.member_str("type", "adaptive"),
            ThinkingMode::BetweenTools => json.member_str("type", "between_tools"),
            ThinkingMode::Disabled => json.member_str("type", "disabled"),
            ThinkingMode::Budget(tokens) => {
                json.member_str("type", "enabled");
                json.member_u64("budget_tokens", tokens);
            }
        }
        match self.display {
            Some(Display::Summarized) => json.member_str("display", "summarized"),
            Some(Display::Omitted) => json.member_str("display", "omitted"),
            None => {}
        }
        json.close(b'}');
    }
}

/// The plan for a request to a model of which `claude` is known. The output cap is the caller's,
/// as far as the model takes it; one that Gantry has to choose leaves room for the thinking, which
/// counts toward it.
pub(super) fn plan(request: &Asked<'_>, claude: &Claude, losses: &mut Losses) -> Plan {
    let names = request.names;
    let (effort, mode) = wanted(request, claude, losses);
    let asked = if request.reasoning.mode.is_some() { names.thinking } else { names.effort };
    let mode = match mode {
        Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_))
            if request.forced && claude.forced_tools =>
        {
            losses.approximated(asked, "without thinking, because a tool call is forced");
            None
        }
        Some(ThinkingMode::Budget(_)) if (request.unsigned)() => {
            let note = "without thinking, because an earlier tool call lacks its signed thinking";
            losses.approximated(asked, note);
            None
        }
        other => other,
    };
    let cap = match request.max_tokens {
        Some(asked) => clamped(asked, names, claude, losses),
        None => default_cap(mode, claude),
    };
    let mode = match mode {
        Some(ThinkingMode::Budget(budget)) => {
            let fitted = fit(budget, cap);
            if fitted.is_none() {
                losses.approximated(asked, "without thinking, because the output cap is too low");
            } else if fitted != Some(ThinkingMode::Budget(budget)) {
                losses.approximated(asked, "the budget is changed to fit under the output cap");
            }
            fitted
        }
        other => other,
    };
    let display = display(request, mode, claude, losses);
    Plan { mode, effort, display, cap }
}

/// The caller's output cap, as far as the model takes it.
fn clamped(asked: u64, names: &Names, claude: &Claude, losses: &mut Losses) -> u64 {
    let most = claude.output_tokens_max.map(u64::from).filter(|most| asked > *most);
    if let Some(most) = most {
        let note = format!("sent as {most}, the most that the model takes");
        losses.approximated(names.max_tokens, &note);
    }
    most.unwrap_or(asked)
}

/// The output cap of a request that has none.
fn default_cap(mode: Option<ThinkingMode>, claude: &Claude) -> u64 {
    let plain = u64::from(claude.output_tokens);
    let cap = match mode {
        Some(ThinkingMode::Budget(budget)) => plain.saturating_add(budget),
        Some(ThinkingMode::Adaptive) => u64::from(claude.output_tokens_thinking),
        Some(ThinkingMode::BetweenTools | ThinkingMode::Disabled) | None => plain,
    };
    claude.output_tokens_max.map_or(cap, |max| cap.min(u64::from(max)))
}

/// Where a model would leave the text of its reasoning out by itself, a summary is asked for in
/// the name of callers who are shown it, unless they say otherwise.
fn display(
    request: &Asked<'_>,
    mode: Option<ThinkingMode>,
    claude: &Claude,
    losses: &mut Losses,
) -> Option<Display> {
    let wanted = request.reasoning.display;
    match mode {
        Some(ThinkingMode::Adaptive | ThinkingMode::Budget(_)) => {
            let hidden = claude.hides_thinking && request.chat;
            wanted.or(hidden.then_some(Display::Summarized))
        }
        Some(ThinkingMode::BetweenTools | ThinkingMode::Disabled) | None => {
            if wanted == Some(Display::Summarized) {
                let path = format!("{}.display", request.names.thinking);
                losses.dropped(path, "the model is not asked to think");
            }
            None
        }
    }
}

type Wanted = (Option<Effort>, Option<ThinkingMode>);

fn wanted(request: &Asked<'_>, claude: &Claude, losses: &mut Losses) -> Wanted {
    let names = request.names;
    let mode = match request.reasoning.mode {
        Some(ThinkingMode::BetweenTools) if refuses_between_tools(claude) => {
            let note = "the model does not take `between_tools`: sent as the least that it thinks";
            losses.approximated(names.thinking, note);
            return off(names.thinking, claude, &mut Losses::default());
        }
        mode => mode,
    };
    let by_budget = claude.thinking == Thinking::Budget;
    let effort = match request.reasoning.effort {
        Some(Effort::None) if mode.is_none() => return off(names.effort, claude, losses),
        Some(Effort::None) => {
            if mode != Some(ThinkingMode::Disabled) {
                losses.dropped(names.effort, "the thinking that is asked for is sent");
            }
            None
        }
        Some(Effort::Minimal) if !by_budget => {
            losses.approximated(names.effort, "sent as `low`, the least there is");
            Some(Effort::Low)
        }
        Some(Effort::Xhigh) if !claude.xhigh => {
            losses.approximated(names.effort, "sent as `high`, the next that the model takes");
            Some(Effort::High)
        }
        other => other,
    };
    let only_adaptive = !matches!(claude.thinking, Thinking::Budget | Thinking::Any);
    match (effort, mode) {
        (Some(effort), None) if by_budget && request.chat => {
            losses.approximated(names.effort, "sent as a thinking budget");
            (None, Some(ThinkingMode::Budget(budget_of(effort))))
        }
        (effort, Some(ThinkingMode::Adaptive)) if by_budget => {
            let note = "sent as a thinking budget, which is all the model takes";
            losses.approximated(names.thinking, note);
            // Adaptive thinking without an effort thinks with a high one.
            (None, Some(ThinkingMode::Budget(budget_of(effort.unwrap_or(Effort::High)))))
        }
        (Some(_), mode) if by_budget => {
            losses.dropped(names.effort, "the model takes a thinking budget only");
            (None, mode)
        }
        (effort, Some(ThinkingMode::Disabled)) if only_adaptive => {
            let (least, mode) = off(names.thinking, claude, losses);
            (effort.or(least), mode)
        }
        (Some(effort), Some(ThinkingMode::Budget(_))) if only_adaptive => {
            losses.approximated(names.thinking, "the effort is sent in place of the budget");
            (Some(effort), Some(ThinkingMode::Adaptive))
        }
        (None, Some(ThinkingMode::Budget(tokens))) if only_adaptive => {
            let note = "sent as adaptive thinking with an effort, which is all the model takes";
            losses.approximated(names.thinking, note);
            (Some(Effort::of_budget(tokens)), Some(ThinkingMode::Adaptive))
        }
        (Some(effort), None) if request.chat => (Some(effort), Some(ThinkingMode::Adaptive)),
        (effort, mode) => (effort, mode),
    }
}

/// Whether it is known that the model does not think between tool calls alone.
fn refuses_between_tools(claude: &Claude) -> bool {
    match claude.thinking {
        Thinking::BetweenTools => false,
        // Of names that say no version nothing is known.
        Thinking::Any => !claude.thinks_unasked,
        Thinking::Budget | Thinking::Adaptive | Thinking::Always => true,
    }
}

/// No thinking, which the field `asked` stands for, or the least that the model can do.
fn off(asked: &str, claude: &Claude, losses: &mut Losses) -> Wanted {
    match claude.thinking {
        Thinking::Always => {
            losses.approximated(asked, "the model always thinks, so only its effort is limited");
            (Some(Effort::Low), None)
        }
        Thinking::BetweenTools => {
            losses.approximated(asked, "sent as `between_tools`, the least that the model thinks");
            (None, Some(ThinkingMode::BetweenTools))
        }
        Thinking::Adaptive if claude.thinks_unasked => (None, Some(ThinkingMode::Disabled)),
        Thinking::Any if claude.thinks_unasked => {
            losses.approximated(asked, "thinking is left to the model's default");
            (None, None)
        }
        // Not asking for thinking is the way to have none.
        Thinking::Adaptive | Thinking::Any | Thinking::Budget => (None, None),
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
pub(super) fn unsigned_tool_turn(request: &Request<'_>) -> bool {
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
