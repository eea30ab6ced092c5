//! From the REST API's queries to expressions and time spans. Pure.
//!
//! Expressions are built, never parsed: no text of a caller can become a part of a program.

use crate::Error;
use crate::schema::UTC;
use crate::table::metadata;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, not, when};
use datafusion::prelude::{col, lit};
use gantry_model::rest::{LOGS_MAX, LogQuery, StatusFilter, UsageQuery};

/// Times in an id and in its record may differ by this much; a clock may have been set between.
const SLACK_MS: u64 = 300_000;
/// Fewest digits of an id's beginning: 8 are a span of 65 seconds.
const PREFIX_DIGITS: usize = 8;
const LIMIT_DEFAULT: u32 = 100;

/// A condition and the times at which rows that meet it were received.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) condition: Expr,
    /// Inclusive, in milliseconds.
    pub(crate) from_ms: Option<u64>,
    /// Exclusive, in milliseconds.
    pub(crate) to_ms: Option<u64>,
    /// Whether the rows' bodies are asked for.
    pub(crate) bodies: bool,
}

impl Filter {
    fn all() -> Self {
        Self { condition: lit(true), from_ms: None, to_ms: None, bodies: false }
    }

    /// Whether rows received at this time may meet the condition.
    pub(crate) fn includes(&self, ms: u64) -> bool {
        self.from_ms.is_none_or(|from| ms >= from) && self.to_ms.is_none_or(|to| ms < to)
    }

    fn and(mut self, condition: Expr) -> Self {
        self.condition = self.condition.and(condition);
        self
    }

    fn within(mut self, from_ms: Option<u64>, to_ms: Option<u64>) -> Self {
        self.from_ms = self.from_ms.max(from_ms);
        self.to_ms = [self.to_ms, to_ms].into_iter().flatten().min();
        self
    }

    fn times(self, from_ms: Option<u64>, to_ms: Option<u64>) -> Self {
        let mut filter = self.within(from_ms, to_ms);
        if let Some(from) = from_ms {
            filter = filter.and(col("received_at").gt_eq(time(from)));
        }
        if let Some(to) = to_ms {
            filter = filter.and(col("received_at").lt(time(to)));
        }
        filter
    }

    fn model(self, model: Option<&String>) -> Self {
        match model {
            Some(model) => {
                let named = col("model").eq(lit(model));
                self.and(named.or(col("resolved_model").eq(lit(model))))
            }
            None => self,
        }
    }

    fn subject(self, subject: Option<&String>) -> Self {
        match subject {
            Some(subject) => self.and(col("subject").eq(lit(subject))),
            None => self,
        }
    }

    fn status(self, status: Option<StatusFilter>) -> Self {
        match status {
            Some(StatusFilter::Ok) => self.and(not(failed())),
            Some(StatusFilter::Error) => self.and(failed()),
            Some(StatusFilter::Exactly(code)) => self.and(col("status").eq(lit(i64::from(code)))),
            None => self,
        }
    }

    /// Rows whose id begins so.
    fn prefix(self, prefix: &str) -> Result<Self, Error> {
        let (low, high) = id_range(prefix, "id")?;
        let (from, to) = (id_ms(low), id_ms(high).saturating_add(1));
        let filter =
            self.within(Some(from.saturating_sub(SLACK_MS)), Some(to.saturating_add(SLACK_MS)));
        let low = col("id").gt_eq(lit(format!("{low:032x}")));
        Ok(filter.and(low.and(col("id").lt_eq(lit(format!("{high:032x}"))))))
    }
}

/// Which records, in which order, how many.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    pub(crate) filter: Filter,
    pub(crate) ascending: bool,
    pub(crate) limit: usize,
}

pub(crate) fn logs(query: &LogQuery) -> Result<Logs, Error> {
    let mut filter = Filter::all()
        .times(query.from_ms, query.to_ms)
        .model(query.model.as_ref())
        .subject(query.subject.as_ref())
        .status(query.status);
    for (key, value) in &query.metadata {
        filter = filter.and(metadata(key).eq(lit(value)));
    }
    if let Some(trace) = &query.trace {
        // A request without a caller's trace is a trace of its own, named by its id.
        filter = filter.and(col("trace_id").eq(lit(trace)).or(col("id").eq(lit(trace))));
    }
    if let Some(ms) = query.ended_from_ms {
        filter = filter.and(ended_ms()?.gt_eq(lit(i64::try_from(ms).unwrap_or(i64::MAX))));
    }
    if let Some(after) = &query.after_id {
        let (_, high) = id_range(after, "after_id")?;
        filter = filter.within(Some(id_ms(high).saturating_sub(SLACK_MS)), None);
        filter = filter.and(col("id").gt(lit(format!("{high:032x}"))));
    }
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if limit > LOGS_MAX {
        let why = "is too large: expected at most 1000";
        return Err(Error::Invalid { field: "limit", found: limit.to_string(), why });
    }
    Ok(Logs { filter, ascending: query.after_id.is_some(), limit: limit as usize })
}

/// Rows whose id begins so and, with a subject, that are of this caller.
pub(crate) fn begins(prefix: &str, subject: Option<&String>) -> Result<Filter, Error> {
    Filter::all().subject(subject).prefix(prefix)
}

pub(crate) fn usage(query: &UsageQuery) -> Filter {
    let filter = Filter::all()
        .times(query.from_ms, query.to_ms)
        .model(query.model.as_ref())
        .subject(query.subject.as_ref());
    let conditions = query.metadata.iter().map(|(key, value)| metadata(key).eq(lit(value)));
    conditions.fold(filter, Filter::and)
}

/// Whether a request ended badly, as `RequestRecord::failed` has it; never NULL.
pub(crate) fn failed() -> Expr {
    let faulty = col("fault").is_not_null().and(col("fault").not_eq(lit("")));
    let refused = col("status").is_not_null().and(col("status").gt_eq(lit(400i64)));
    refused.or(faulty)
}

/// When a request ended, in milliseconds; a duration of 0 is NULL in its column.
fn ended_ms() -> Result<Expr, Error> {
    let took_us = col("duration_us");
    let took_us = when(took_us.clone().is_null(), lit(0i64)).otherwise(took_us)?;
    Ok(cast(col("received_at"), DataType::Int64) + took_us / lit(1_000i64))
}

fn time(unix_ms: u64) -> Expr {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    lit(ScalarValue::TimestampMillisecond(Some(ms), Some(UTC.into())))
}

/// The lowest and the highest id that begin with `prefix`.
fn id_range(prefix: &str, field: &'static str) -> Result<(u128, u128), Error> {
    let why = "is no request's id: expected 8 to 32 hex digits";
    let invalid = || Error::Invalid { field, found: prefix.to_owned(), why };
    let digits = prefix.len();
    let hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(PREFIX_DIGITS..=32).contains(&digits) {
        return Err(invalid());
    }
    let value = u128::from_str_radix(prefix, 16).map_err(|_| invalid())?;
    // At least 8 digits are given, so the shift is at most 96 bits.
    let open_bits = 4 * (32 - digits);
    let low = value << open_bits;
    Ok((low, low | ((1u128 << open_bits) - 1)))
}

/// The time in an id, in milliseconds since the epoch.
fn id_ms(id: u128) -> u64 {
    u64::try_from(id >> 80).unwrap_or(u64::MAX)
}
