//! The labelled metrics, filled from records on the writer thread. Used by `Metrics` only.

use super::histogram::{GAP_BOUNDS_US, Histogram, OVERHEAD_BOUNDS_US, REQUEST_BOUNDS_US};
use super::labels::{KEYS_MAX, MetadataLabels, OTHER, Values};
use super::text::{Fixed, Page};
use crate::names::{self, Metric};
use gantry_model::record::RequestRecord;

/// Stands for an absent value: no model answered, no caller was identified.
const NONE: &str = "none";
/// Outcomes of `Attempt::outcome`; anything else is counted as `other`.
const OUTCOMES: [&str; 12] = [
    "ok",
    "connect",
    "timeout",
    "first_token_timeout",
    "status",
    "stream_error",
    "malformed",
    "too_large",
    "reset",
    "idle_timeout",
    "cancelled",
    "untranslatable",
];
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", OTHER];
const MILLISECOND_US: u64 = 1_000;
const SECOND_US: u64 = 1_000_000;
const DOLLAR_NANOS: u64 = 1_000_000_000;

/// Labels of a caller's series, before those of the metadata.
const CALLER: [&str; 3] = ["model_name", "tenant_name", "username"];

/// Label values of the callers beyond the bound.
const OVERFLOW: [&str; CALLER.len() + KEYS_MAX] = [OTHER; CALLER.len() + KEYS_MAX];

/// A map from label values that stops growing: beyond `max` keys everything goes to one more entry.
///
/// Sorted by key, so that a record finds its entry without making a key of its own.
#[derive(Debug)]
struct Bounded<V> {
    labels: Vec<String>,
    max: usize,
    entries: Vec<(Box<[String]>, V)>,
}

impl<V> Bounded<V> {
    fn new(labels: &[&str], max: usize) -> Self {
        let labels = labels.iter().copied().map(str::to_owned).collect();
        Self { labels, max, entries: Vec::new() }
    }

    fn entry(
        &mut self,
        key: &[&str],
        overflow: &[&str],
        empty: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        let mut key = key;
        let mut place = self.place(key);
        if place.is_err() && self.entries.len() >= self.max {
            key = overflow;
            place = self.place(key);
        }
        let at = place.unwrap_or_else(|at| {
            let key = key.iter().copied().map(str::to_owned).collect();
            self.entries.insert(at, (key, empty()));
            at
        });
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    fn place(&self, key: &[&str]) -> Result<usize, usize> {
        self.entries.binary_search_by(|(found, _)| {
            found.iter().map(String::as_str).cmp(key.iter().copied())
        })
    }

    /// Each entry with its labels.
    fn labelled(&self) -> impl Iterator<Item = (Vec<(&str, &str)>, &V)> {
        self.entries.iter().map(|(key, value)| {
            let names = self.labels.iter().map(String::as_str);
            (names.zip(key.iter().map(String::as_str)).collect(), value)
        })
    }
}

#[derive(Debug)]
pub(super) struct Tables {
    callers: Bounded<Series>,
    /// Of the metadata keys that are labels of callers' series, in their order.
    metadata: Vec<Values>,
    /// By account and outcome.
    attempts: Bounded<u64>,
    refusals: Bounded<u64>,
    gateway_time: Histogram,
}

#[derive(Debug)]
struct Series {
    requests: [u64; STATUS_CLASSES.len()],
    input_tokens: u64,
    output_tokens: u64,
    cost_nanos: u64,
    failures: u64,
    processing: Histogram,
    first_token: Histogram,
    inter_token: Histogram,
}

impl Series {
    fn new() -> Self {
        Self {
            requests: [0; STATUS_CLASSES.len()],
            input_tokens: 0,
            output_tokens: 0,
            cost_nanos: 0,
            failures: 0,
            processing: Histogram::new(REQUEST_BOUNDS_US),
            first_token: Histogram::new(REQUEST_BOUNDS_US),
            inter_token: Histogram::new(GAP_BOUNDS_US),
        }
    }

    fn observe(&mut self, record: &RequestRecord) {
        // The status of a stream that broke had gone out before.
        let broke = record.status < 400 && record.failed();
        let class = if broke { 5 } else { usize::from(record.status / 100) }.wrapping_sub(1);
        let class = class.min(STATUS_CLASSES.len() - 1);
        if let Some(count) = self.requests.get_mut(class) {
            *count += 1;
        }
        self.input_tokens = self.input_tokens.saturating_add(record.usage.input);
        self.output_tokens = self.output_tokens.saturating_add(record.usage.output);
        let cost = u64::try_from(record.cost.0).unwrap_or(0);
        self.cost_nanos = self.cost_nanos.saturating_add(cost);
        self.failures += u64::from(record.fault == "upstream");
        self.processing.observe(record.duration_us);
        if let Some(latency) = record.first_token_us {
            self.first_token.observe(latency);
        }
        if let Some(gap) = record.inter_token_us {
            self.inter_token.observe(gap);
        }
    }
}

impl Tables {
    pub(super) fn new(label_sets_max: usize, metadata: &MetadataLabels) -> Self {
        let labels: Vec<&str> = CALLER.into_iter().chain(metadata.names()).collect();
        Self {
            callers: Bounded::new(&labels, label_sets_max),
            metadata: metadata.values(),
            attempts: Bounded::new(&["account", "outcome"], label_sets_max),
            refusals: Bounded::new(&["reason"], 64),
            gateway_time: Histogram::new(OVERHEAD_BOUNDS_US),
        }
    }

    pub(super) fn observe(&mut self, record: &RequestRecord) {
        let caller = [model_name(record), or_none(&record.tenant), or_none(&record.subject)];
        let mut key = Vec::with_capacity(CALLER.len() + self.metadata.len());
        key.extend(caller);
        for values in &mut self.metadata {
            let value = record.metadata.get(values.key()).map_or("", String::as_str);
            key.push(values.bounded(or_none(value)));
        }
        let overflow = OVERFLOW.get(..key.len()).unwrap_or(&OVERFLOW);
        if let Some(series) = self.callers.entry(&key, overflow, Series::new) {
            series.observe(record);
        }
        for attempt in &record.attempts {
            let account = attempt.target.split('/').next().unwrap_or_default();
            let known = OUTCOMES.iter().find(|outcome| **outcome == attempt.outcome);
            let outcome = *known.unwrap_or(&OTHER);
            count(&mut self.attempts, &[or_none(account), outcome], &[OTHER, outcome]);
        }
        if !record.refusal.is_empty() {
            count(&mut self.refusals, &[&record.refusal], &[OTHER]);
        }
        // Only a request with a route was on its way to an upstream.
        if !record.route.is_empty() {
            self.gateway_time.observe(record.gateway_us);
        }
    }

    pub(super) fn render(&self, page: &mut Page) {
        self.counter(page, names::INPUT_TOKENS, |series| Fixed::whole(series.input_tokens));
        self.counter(page, names::OUTPUT_TOKENS, |series| Fixed::whole(series.output_tokens));
        self.counter(page, names::COST, |series| Fixed {
            value: series.cost_nanos,
            unit: DOLLAR_NANOS,
        });
        self.counter(page, names::INFERENCE_FAILURES, |series| Fixed::whole(series.failures));
        self.render_requests(page);
        self.histogram(page, names::PROCESSING, |series| &series.processing);
        self.histogram(page, names::FIRST_TOKEN, |series| &series.first_token);
        self.histogram(page, names::INTER_TOKEN, |series| &series.inter_token);
        page.head(names::ATTEMPTS);
        for (labels, count) in self.attempts.labelled() {
            page.sample(names::ATTEMPTS.name, &labels, count);
        }
        page.head(names::REFUSALS);
        for (labels, count) in self.refusals.labelled() {
            page.sample(names::REFUSALS.name, &labels, count);
        }
        page.head(names::GATEWAY_TIME);
        page.histogram(names::GATEWAY_TIME.name, &[], &self.gateway_time, SECOND_US);
    }

    fn render_requests(&self, page: &mut Page) {
        page.head(names::REQUESTS);
        for (mut labels, series) in self.callers.labelled() {
            for (class, count) in STATUS_CLASSES.iter().zip(series.requests) {
                if count > 0 {
                    labels.push(("status_class", *class));
                    page.sample(names::REQUESTS.name, &labels, count);
                    labels.pop();
                }
            }
        }
    }

    fn counter(&self, page: &mut Page, metric: Metric, value: impl Fn(&Series) -> Fixed) {
        page.head(metric);
        for (labels, series) in self.callers.labelled() {
            page.sample(metric.name, &labels, value(series));
        }
    }

    fn histogram(&self, page: &mut Page, metric: Metric, value: impl Fn(&Series) -> &Histogram) {
        page.head(metric);
        for (labels, series) in self.callers.labelled() {
            if value(series).count() > 0 {
                page.histogram(metric.name, &labels, value(series), MILLISECOND_US);
            }
        }
    }
}

impl Fixed {
    fn whole(value: u64) -> Self {
        Self { value, unit: 1 }
    }
}

fn count(counts: &mut Bounded<u64>, key: &[&str], overflow: &[&str]) {
    if let Some(count) = counts.entry(key, overflow, || 0) {
        *count += 1;
    }
}

/// The model that answered, else the last one tried. The caller's own spelling is not used: it
/// could be anything, and would use up the label sets.
fn model_name(record: &RequestRecord) -> &str {
    if !record.resolved_model.is_empty() {
        return &record.resolved_model;
    }
    record.attempts.last().map_or(NONE, |attempt| or_none(&attempt.target))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}
