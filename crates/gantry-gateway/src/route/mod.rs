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
use gantry_model::record::{Name, RouteStep};
use gantry_model::snapshot::Caller;
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

/// The targets in the order in which they are tried, and why.
#[derive(Debug, Default)]
pub struct Plan {
    pub hops: Vec<Hop>,
    pub steps: Vec<RouteStep>,
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

/// A plan without anything to try: what was considered, and why there is nothing.
#[derive(Debug)]
pub struct Failed {
    pub steps: Vec<RouteStep>,
    pub why: Error,
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

/// Plans the targets for `entry`.
///
/// # Errors
/// When no target is left to try.
pub fn plan(entry: &Entry, input: &Input<'_>) -> Result<Plan, Failed> {
    let mut planner =
        Planner { input, plan: Plan::default(), any_broken: false, unfit: Vec::new() };
    planner.expand(entry, Vec::new(), true);
    let Planner { plan, any_broken, unfit: reasons, .. } = planner;
    if !plan.hops.is_empty() {
        return Ok(plan);
    }
    let model = entry.id().to_owned();
    let why = match any_broken {
        true => Error::Unavailable { model },
        false if reasons.is_empty() => Error::NoTarget { model },
        false => Error::NoMatch { model, reasons },
    };
    Err(Failed { steps: plan.steps, why })
}

/// Most reasons that a refusal gives.
const REASONS_MAX: usize = 3;

struct Planner<'a> {
    input: &'a Input<'a>,
    plan: Plan,
    any_broken: bool,
    /// Why the request's metadata ruled targets out.
    unfit: Vec<Name>,
}

impl Planner<'_> {
    /// `first` says that nothing was planned before, so that this is no fallback.
    fn expand(&mut self, entry: &Entry, outer: Vec<Arc<Policy>>, first: bool) {
        match entry {
            Entry::Real(model) => {
                self.plan.hops.push(Hop { model: model.clone(), policies: outer });
            }
            Entry::Broken(broken) => {
                let (verdict, reason) = ("skipped".into(), "it is not available".into());
                let detail = broken.reason.clone();
                self.step(entry, RouteStep { verdict, reason, detail, ..RouteStep::default() });
                self.any_broken = true;
            }
            Entry::Virtual(model) => self.expand_virtual(model, &outer, first),
        }
    }

    fn expand_virtual(&mut self, model: &Virtual, outer: &[Arc<Policy>], mut first: bool) {
        let mut fitting = Vec::new();
        for target in &model.targets {
            match mismatch(target, self.input) {
                Some(found) => {
                    let (reason, detail) = (found.public(), found.detail());
                    if self.unfit.len() < REASONS_MAX && !self.unfit.contains(&reason) {
                        self.unfit.push(reason.clone());
                    }
                    let verdict = "skipped".into();
                    let step = RouteStep { verdict, reason, detail, ..RouteStep::default() };
                    self.step(&target.entry, step);
                }
                None => fitting.push(target),
            }
        }
        let mut ordered = order::order(&model.strategy, &fitting, &model.id, self.input);
        // Stable: the unhealthy ones keep their order behind the others.
        ordered.sort_by_key(|choice| choice.unhealthy.is_some());
        let none_healthy = ordered.iter().all(|choice| choice.unhealthy.is_some());
        for choice in ordered {
            if !first && !choice.target.policy.fallback_candidate {
                let (verdict, reason) = ("skipped".into(), "fallback_candidate is false".into());
                let step = RouteStep { verdict, reason, ..RouteStep::default() };
                self.step(&choice.target.entry, step);
                continue;
            }
            let reason = match &choice.unhealthy {
                Some(unhealthy) if first && none_healthy => {
                    format!("{}; no target is healthy ({unhealthy})", choice.reason).into()
                }
                Some(unhealthy) => format!("moved to the end: {unhealthy}").into(),
                None => choice.reason,
            };
            let verdict = if first { "chosen" } else { "fallback" }.into();
            let step = RouteStep { verdict, reason, ..RouteStep::default() };
            self.step(&choice.target.entry, step);
            let mut policies = Vec::with_capacity(1 + outer.len());
            policies.push(choice.target.policy.clone());
            policies.extend_from_slice(outer);
            self.expand(&choice.target.entry, policies, first);
            first = false;
        }
    }

    /// Notes a step to a target of a route, which may be closed to its caller.
    fn step(&mut self, entry: &Entry, step: RouteStep) {
        let closed = !entry.access().allows(self.input.caller);
        self.plan.steps.push(RouteStep { target: entry.id().to_owned(), closed, ..step });
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
