//! Stage 6, route: from a model name to an ordered list of targets, with the reasons.
//!
//! A pure function of snapshot, health, time and seed; it performs no IO and remembers nothing.
//! A virtual model's targets are ordered by its strategy; unhealthy ones move to the end, and
//! nested virtual models are expanded in place.

mod hash;
pub mod health;
mod order;
mod outcomes;
#[cfg(test)]
mod tests;

pub(crate) use order::lot;

use crate::snapshot::{Entry, Model, Policy, Strategy, Target, Virtual};
use gantry_http::http1::Fields;
use gantry_model::record::table::LIST_MAX;
use gantry_model::record::{Name, RouteStep};
use gantry_model::snapshot::Caller;
use order::Ranked;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What planning may depend on.
pub struct Input<'a> {
    pub caller: &'a Caller,
    pub metadata: &'a BTreeMap<String, String>,
    pub headers: &'a Fields,
    pub now_ms: u64,
    pub now_us: u64,
    /// Random; the same seed gives the same plan.
    pub seed: u64,
}

/// One target of the plan.
#[derive(Clone, Debug)]
pub struct Hop {
    pub model: Arc<Model>,
    /// Innermost first; a later one's overrides win.
    pub policies: Vec<Arc<Policy>>,
}

impl Hop {
    #[must_use]
    pub fn strict(&self) -> bool {
        self.policies.iter().any(|policy| policy.strict)
    }

    /// Whether a policy sets or removes this header, in any case of letters.
    #[must_use]
    pub fn rules(&self, name: &[u8]) -> bool {
        self.policies.iter().any(|policy| policy.rules(name))
    }
}

/// Why there is nothing to try.
#[derive(Debug)]
pub enum Error {
    /// There are no targets.
    NoTarget { model: String },
    /// The request's metadata rules out every target; the reasons of some.
    NoMatch { model: String, reasons: Vec<Name> },
    /// Every target lacks a usable upstream.
    Unavailable { model: String },
}

/// Most reasons that a refusal gives.
const REASONS_MAX: usize = 3;

/// The targets in the order in which they are tried, and why: made one after the other, since the
/// first one mostly serves. It is one ahead, so that whether there is another is known.
pub struct Plan<'a> {
    input: &'a Input<'a>,
    model: &'a str,
    /// Virtual models in the midst of their targets, the innermost last.
    open: Vec<Level<'a>>,
    ahead: Option<Hop>,
    /// What was considered since it was asked last.
    steps: Vec<RouteStep>,
    any_broken: bool,
    /// Why the request's metadata ruled targets out.
    unfit: Vec<Name>,
}

/// A virtual model some of whose targets are planned.
struct Level<'a> {
    /// Of the route that leads here.
    outer: Vec<Arc<Policy>>,
    ranked: Ranked<'a>,
    any_healthy: bool,
    /// The unhealthy ones, which keep their order behind the others.
    late: Vec<Choice<'a>>,
    /// Nothing was planned before, so that the next target is no fallback.
    first: bool,
}

impl<'a> Plan<'a> {
    /// Finds the first target for `entry`, or why there is none; the plan has the steps either way.
    pub fn of(entry: &'a Entry, input: &'a Input<'a>) -> (Self, Option<Error>) {
        let (steps, unfit) = (Vec::new(), Vec::new());
        let model = entry.id();
        let mut plan =
            Self { input, model, open: Vec::new(), ahead: None, steps, any_broken: false, unfit };
        plan.ahead = plan.enter(entry, Vec::new(), true).or_else(|| plan.further());
        let failed = plan.ahead.is_none().then(|| plan.error());
        (plan, failed)
    }

    /// The next target to try.
    pub fn take(&mut self) -> Option<Hop> {
        let hop = self.ahead.take();
        if hop.is_some() {
            self.ahead = self.further();
        }
        hop
    }

    /// Whether there is another.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.ahead.is_some()
    }

    /// What was considered since the last call.
    pub fn take_steps(&mut self) -> Vec<RouteStep> {
        std::mem::take(&mut self.steps)
    }

    fn error(&mut self) -> Error {
        let (model, reasons) = (self.model.to_owned(), std::mem::take(&mut self.unfit));
        match self.any_broken {
            true => Error::Unavailable { model },
            false if reasons.is_empty() => Error::NoTarget { model },
            false => Error::NoMatch { model, reasons },
        }
    }

    fn further(&mut self) -> Option<Hop> {
        loop {
            let level = self.open.last_mut()?;
            let Some(choice) = level.next(self.input) else {
                self.open.pop();
                continue;
            };
            let first = level.first;
            let (verdict, reason) = level.judge(&choice);
            let taken = verdict != "skipped";
            let policies = taken.then(|| {
                level.first = false;
                let mut policies = Vec::with_capacity(1 + level.outer.len());
                policies.push(choice.target.policy.clone());
                policies.extend_from_slice(&level.outer);
                policies
            });
            let step = RouteStep { verdict: verdict.into(), reason, ..RouteStep::default() };
            self.step(&choice.target.entry, step);
            let hop = policies.and_then(|own| self.enter(&choice.target.entry, own, first));
            if hop.is_some() {
                return hop;
            }
        }
    }

    /// The target itself, or the way into a virtual model. `first` says that nothing was planned
    /// before, so that this is no fallback.
    fn enter(&mut self, entry: &'a Entry, outer: Vec<Arc<Policy>>, first: bool) -> Option<Hop> {
        match entry {
            Entry::Real(model) => return Some(Hop { model: model.clone(), policies: outer }),
            Entry::Broken(broken) => {
                let (verdict, reason) = ("skipped".into(), "it is not available".into());
                let detail = broken.reason.clone();
                self.step(entry, RouteStep { verdict, reason, detail, ..RouteStep::default() });
                self.any_broken = true;
            }
            Entry::Virtual(model) => {
                let ranked = Ranked::new(model, self.fitting(model), self.input);
                let late = Vec::new();
                self.open.push(Level { outer, ranked, any_healthy: false, late, first });
            }
        }
        None
    }

    /// The targets that the request's metadata does not rule out.
    fn fitting(&mut self, model: &'a Virtual) -> Vec<&'a Target> {
        let mut fitting = Vec::with_capacity(model.targets.len());
        for target in &model.targets {
            let Some(found) = mismatch(target, self.input) else {
                fitting.push(target);
                continue;
            };
            let (reason, detail) = (found.public(), found.detail());
            if self.unfit.len() < REASONS_MAX && !self.unfit.contains(&reason) {
                self.unfit.push(reason.clone());
            }
            // The record has room for no more.
            if self.steps.len() < LIST_MAX {
                let verdict = "skipped".into();
                let step = RouteStep { verdict, reason, detail, ..RouteStep::default() };
                self.step(&target.entry, step);
            }
        }
        fitting
    }

    /// Notes a step to a target of a route, which may be closed to its caller.
    fn step(&mut self, entry: &Entry, step: RouteStep) {
        let closed = !entry.access().allows(self.input.caller);
        self.steps.push(RouteStep { target: entry.id().to_owned(), closed, ..step });
    }
}

impl<'a> Level<'a> {
    /// The best of those that are left, the unhealthy ones last.
    fn next(&mut self, input: &Input<'_>) -> Option<Choice<'a>> {
        while let Some(choice) = self.ranked.take(input) {
            if choice.unhealthy.is_none() {
                self.any_healthy = true;
                return Some(choice);
            }
            self.late.push(choice);
        }
        (!self.late.is_empty()).then(|| self.late.remove(0))
    }

    /// What becomes of a choice, and why.
    fn judge(&self, choice: &Choice<'_>) -> (&'static str, Name) {
        if !self.first && !choice.target.policy.fallback_candidate {
            return ("skipped", "fallback_candidate is false".into());
        }
        let reason = match &choice.unhealthy {
            Some(unhealthy) if self.first && !self.any_healthy => {
                format!("{}; no target is healthy ({unhealthy})", choice.reason).into()
            }
            Some(unhealthy) => format!("moved to the end: {unhealthy}").into(),
            None => choice.reason.clone(),
        };
        (if self.first { "chosen" } else { "fallback" }, reason)
    }
}

/// What of the request's metadata rules a target out: the key, what it wants and what there is.
struct Mismatch<'a> {
    key: &'a str,
    wanted: &'a str,
    found: Option<&'a str>,
}

fn mismatch<'a>(target: &'a Target, input: &'a Input<'_>) -> Option<Mismatch<'a>> {
    target.policy.metadata_match.iter().find_map(|(key, wanted)| {
        let found = input.metadata.get(key);
        let found = found.map(String::as_str);
        (found != Some(wanted)).then_some(Mismatch { key, wanted, found })
    })
}

impl Mismatch<'_> {
    /// For the caller, who may not know what other callers send.
    fn public(&self) -> Name {
        let Self { key, found, .. } = self;
        match found {
            Some(found) => format!("metadata {key} is `{found}`").into(),
            None => format!("metadata {key} is missing").into(),
        }
    }

    /// For whoever runs the gateway.
    fn detail(&self) -> String {
        format!("it wants `{}`", self.wanted)
    }
}

/// A target with its place's reason.
#[derive(Debug)]
struct Choice<'a> {
    target: &'a Target,
    reason: Name,
    /// Why it should be tried last.
    unhealthy: Option<String>,
}

/// Name of a strategy for records and headers.
#[must_use]
pub fn strategy_name(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Weight { .. } => "weight-based-routing",
        Strategy::Latency => "latency-based-routing",
        Strategy::Priority => "priority-based-routing",
    }
}
