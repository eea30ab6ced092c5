//! The orders of a virtual model's targets: by weight, by latency, by priority.
//!
//! Shares are drawn by weighted rendezvous hashing (Thaler and Ravishankar 1998; the weighted form
//! after Schindelhauer and Schomaker 2005): each target scores `-ln(u) / weight` with `u` hashed
//! from key and the target's lot, the lowest wins. One random key gives shares, a caller's key
//! gives stickiness, and neither needs memory, so replicas agree.

use super::hash::Hash;
use super::health::View;
use super::{Choice, Input, mismatch};
use crate::snapshot::{Entry, Strategy, Target};
use gantry_model::record::Name;
use gantry_model::snapshot::{SessionSource, StickyRouting};

/// Callers keep their target of latency-based routing for so long.
const LATENCY_EPOCH_MS: u64 = 10 * 60 * 1000;

pub(super) fn order<'a>(
    strategy: &Strategy,
    targets: &[&'a Target],
    model: &str,
    input: &Input<'_>,
) -> Vec<Choice<'a>> {
    match strategy {
        Strategy::Weight { sticky } => by_weight(targets, sticky.as_ref(), input),
        Strategy::Latency => by_latency(targets, model, input),
        Strategy::Priority => by_priority(targets, input),
    }
}

fn by_weight<'a>(
    targets: &[&'a Target],
    sticky: Option<&StickyRouting>,
    input: &Input<'_>,
) -> Vec<Choice<'a>> {
    if let [target] = targets {
        return vec![choice(target, "the only target".into(), input)];
    }
    let session = sticky.and_then(|sticky| session_key(sticky, input));
    let total: u32 = targets.iter().map(|target| target.weight).sum();
    let reason = |target: &Target| match session {
        Some(_) => format!("sticky session, weight {} of {total}", target.weight).into(),
        None => format!("weight {} of {total}", target.weight).into(),
    };
    let key = session.unwrap_or(input.seed);
    sorted(targets.iter().map(|target| {
        (score(key, target.lot, f64::from(target.weight)), choice(target, reason(target), input))
    }))
}

fn by_latency<'a>(targets: &[&'a Target], model: &str, input: &Input<'_>) -> Vec<Choice<'a>> {
    let speeds: Vec<Option<f64>> =
        targets.iter().map(|target| view(target, input).output_token_us).collect();
    // A target without samples is taken for as fast as the fastest, so that it gets some.
    let fastest = speeds.iter().flatten().copied().reduce(f64::min).unwrap_or(1.0);
    let epoch = input.now_ms / LATENCY_EPOCH_MS;
    let key = Hash::new().text(&input.caller.subject).text(model).number(epoch).finish();
    let scored = targets.iter().zip(&speeds).map(|(target, speed)| {
        let reason = match speed {
            Some(us) => format!("{:.1} ms per output token", us / 1000.0).into(),
            None => "no samples yet".into(),
        };
        let share = fastest / speed.unwrap_or(fastest).max(f64::MIN_POSITIVE);
        (score(key, target.lot, share), choice(target, reason, input))
    });
    sorted(scored)
}

fn by_priority<'a>(targets: &[&'a Target], input: &Input<'_>) -> Vec<Choice<'a>> {
    let scored = targets.iter().map(|target| {
        let choice = choice(target, format!("priority {}", target.priority).into(), input);
        (f64::from(target.priority), choice)
    });
    sorted(scored)
}

/// Lowest score first; equal ones keep the manifest's order.
fn sorted<'a>(scored: impl Iterator<Item = (f64, Choice<'a>)>) -> Vec<Choice<'a>> {
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    scored.into_iter().map(|(_, choice)| choice).collect()
}

fn choice<'a>(target: &'a Target, reason: Name, input: &Input<'_>) -> Choice<'a> {
    Choice { target, reason, unhealthy: unhealthy(target, input) }
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
