//! The orders of a virtual model's targets: by weight, by latency, by priority.
//!
//! Shares are drawn by weighted rendezvous hashing (Thaler and Ravishankar 1998; the weighted form
//! after Schindelhauer and Schomaker 2005): each target scores `-ln(u) / weight` with `u` hashed
//! from key and the target's lot, the lowest wins. One random key gives shares, a caller's key
//! gives stickiness, and neither needs memory, so replicas agree.

use super::hash::Hash;
use super::health::View;
use super::{Choice, Input, mismatch};
use crate::snapshot::{Entry, Strategy, Target, Virtual};
use gantry_model::snapshot::{SessionSource, StickyRouting};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Callers keep their target of latency-based routing for so long.
const LATENCY_EPOCH_MS: u64 = 10 * 60 * 1000;

/// A virtual model's targets, of which the best is taken time after time. Until then one has its
/// score, and nothing else was asked of it.
pub(super) struct Ranked<'a> {
    targets: Vec<&'a Target>,
    places: BinaryHeap<Place>,
    why: Why,
}

/// What the reason of a place is made of.
enum Why {
    Only,
    Weight {
        total: u32,
        sticky: bool,
    },
    /// Microseconds for an output token of each target.
    Latency(Vec<Option<f64>>),
    Priority,
}

/// A target's score and its place in the manifest. The greatest has the lowest score; equal ones
/// keep the manifest's order.
#[derive(PartialEq)]
struct Place(f64, usize);

impl Eq for Place {}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Ranked<'a> {
    /// Of the `targets` that fit, in the manifest's order.
    pub(super) fn new(model: &Virtual, targets: Vec<&'a Target>, input: &Input<'_>) -> Self {
        let (scores, why): (Vec<f64>, Why) = match &model.strategy {
            Strategy::Weight { sticky } => by_weight(&targets, sticky.as_ref(), input),
            Strategy::Latency => by_latency(&targets, &model.id, input),
            Strategy::Priority => {
                let priorities = targets.iter().map(|target| f64::from(target.priority));
                (priorities.collect(), Why::Priority)
            }
        };
        let places = scores.into_iter().enumerate().map(|(at, score)| Place(score, at)).collect();
        Self { targets, places, why }
    }

    /// The best of those that are left.
    pub(super) fn take(&mut self, input: &Input<'_>) -> Option<Choice<'a>> {
        let Place(_, at) = self.places.pop()?;
        let target = *self.targets.get(at)?;
        let reason = match &self.why {
            Why::Only => "the only target".into(),
            Why::Weight { total, sticky: true } => {
                format!("sticky session, weight {} of {total}", target.weight).into()
            }
            Why::Weight { total, sticky: false } => {
                format!("weight {} of {total}", target.weight).into()
            }
            Why::Latency(speeds) => match speeds.get(at).copied().flatten() {
                Some(us) => format!("{:.1} ms per output token", us / 1000.0).into(),
                None => "no samples yet".into(),
            },
            Why::Priority => format!("priority {}", target.priority).into(),
        };
        Some(Choice { target, reason, unhealthy: unhealthy(target, input) })
    }
}

fn by_weight(
    targets: &[&Target],
    sticky: Option<&StickyRouting>,
    input: &Input<'_>,
) -> (Vec<f64>, Why) {
    if let [_] = targets {
        return (vec![0.0], Why::Only);
    }
    let session = sticky.and_then(|sticky| session_key(sticky, input));
    let total = targets.iter().map(|target| target.weight).sum();
    let key = session.unwrap_or(input.seed);
    let scores = targets.iter().map(|target| score(key, target.lot, f64::from(target.weight)));
    (scores.collect(), Why::Weight { total, sticky: session.is_some() })
}

fn by_latency(targets: &[&Target], model: &str, input: &Input<'_>) -> (Vec<f64>, Why) {
    let speeds: Vec<Option<f64>> =
        targets.iter().map(|target| view(target, input).output_token_us).collect();
    // A target without samples is taken for as fast as the fastest, so that it gets some.
    let fastest = speeds.iter().flatten().copied().reduce(f64::min).unwrap_or(1.0);
    let epoch = input.now_ms / LATENCY_EPOCH_MS;
    let key = Hash::new().text(&input.caller.subject).text(model).number(epoch).finish();
    let scores = targets.iter().zip(&speeds).map(|(target, speed)| {
        let share = fastest / speed.unwrap_or(fastest).max(f64::MIN_POSITIVE);
        score(key, target.lot, share)
    });
    (scores.collect(), Why::Latency(speeds))
}

/// Why a target should be tried last: it fails, it is slow, or all targets of a nested model that
/// fit the request are so.
fn unhealthy(target: &Target, input: &Input<'_>) -> Option<String> {
    match &target.entry {
        Entry::Real(model) => {
            let failing = model.health.failing(input.now_us);
            let failing = failing.map(|failing| format!("unhealthy: {failing}"));
            let cutoff = target.policy.sla.as_ref();
            failing.or_else(|| cutoff.and_then(|cutoff| view(target, input).misses(cutoff)))
        }
        Entry::Virtual(model) => {
            let mut inner = model.targets.iter().filter(|inner| mismatch(inner, input).is_none());
            let mut any = false;
            let all = inner.all(|inner| {
                any = true;
                unhealthy(inner, input).is_some()
            });
            (all && any).then(|| "unhealthy: all its targets are".to_owned())
        }
        Entry::Broken(_) => None,
    }
}

fn view(target: &Target, input: &Input<'_>) -> View {
    match &target.entry {
        Entry::Real(model) => model.health.view(input.now_us),
        Entry::Virtual(_) | Entry::Broken(_) => View::default(),
    }
}

/// The lot of a choice: of its virtual model, its target, and how many choices before it have the
/// same target. Its place among the others does not count, so that one more choice takes its share
/// of the sessions and moves no other.
pub(crate) fn lot(model: &str, target: &str, earlier: usize) -> u64 {
    Hash::new().text(model).text(target).number(earlier as u64).finish()
}

fn score(key: u64, lot: u64, weight: f64) -> f64 {
    if weight <= 0.0 {
        return f64::INFINITY;
    }
    // 53 bits make a number within (0, 1).
    let drawn = Hash::new().number(key).number(lot).finish();
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let unit = ((drawn >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -unit.ln() / weight
}

/// The session's key with its time slot: slots of a session begin at a moment of its own, so that
/// sessions do not all move together.
fn session_key(sticky: &StickyRouting, input: &Input<'_>) -> Option<u64> {
    let mut any = false;
    let mut hash = Hash::new();
    for identifier in &sticky.session_identifiers {
        let found = match identifier.source {
            SessionSource::Headers => input.headers.text(&identifier.key),
            SessionSource::Metadata => input.metadata.get(&identifier.key).map(String::as_str),
        };
        if let Some(found) = found {
            any = true;
            hash = hash.text(found);
        }
    }
    let session = any.then(|| hash.finish())?;
    let ttl_ms = u64::from(sticky.ttl_seconds).max(1).saturating_mul(1000);
    let slot = input.now_ms.saturating_add(session % ttl_ms) / ttl_ms;
    Some(Hash::new().number(session).number(slot).finish())
}
