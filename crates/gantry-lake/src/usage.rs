//! Sums of tokens and cost by caller, model, team and so on. Integers all the way.

use crate::filter;
use crate::query::row_count;
use crate::store::day_name;
use crate::table::metadata;
use crate::{Error, Lake};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{Expr, cast, when};
use datafusion::prelude::{col, lit};
use gantry_model::money::NanoUsd;
use gantry_model::rest::{UsageKey, UsageQuery, UsageRow};
use gantry_model::usage::TokenUsage;
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;
/// More groups than this are an error: nobody reads them, and they would fill the memory.
const GROUPS_MAX: usize = 100_000;
/// More keys than this are an error: each one is a column of the aggregate, for every record.
const KEYS_MAX: usize = 8;
/// So much of a key is repeated in a refusal.
const SHOWN_CHARS: usize = 64;
/// Summed columns, in the order of [`UsageRow`]'s numbers.
const SUMS: [&str; 7] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nano_usd",
];

impl Lake {
    /// Sums of the requests that meet all conditions, by the values of `by`, sorted by them.
    ///
    /// A request of several teams counts for each of them, so lines by team may add up to more
    /// than the total. A missing value is an empty key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 8 keys, for a key that stands twice, and when there are
    /// more than 100 000 lines; else what failed.
    pub async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, Error> {
        check_keys(&query.by)?;
        let batches = self.bounded(|| self.sums(query)).await?;
        if row_count(&batches) > GROUPS_MAX {
            return Err(too_many_lines(&query.by));
        }
        let mut rows = BTreeMap::new();
        for batch in &batches {
            collect(batch, &query.by, &mut rows)?;
        }
        let line = |(keys, row): (Vec<String>, UsageRow)| UsageRow { keys, ..row };
        Ok(rows.into_iter().map(line).collect())
    }

    async fn sums(&self, query: &UsageQuery) -> Result<Vec<RecordBatch>, Error> {
        let filter = filter::usage(query);
        let frame = self.frame(self.scope(&filter).await?)?.filter(filter.condition)?;
        let keys = query.by.iter().enumerate();
        let keys = keys.map(|(at, key)| key_column(key).alias(format!("key{at}"))).collect();
        // A refusal may stand for others, which left no record.
        let others = col("also_stands_for");
        let others = when(others.clone().is_null(), lit(0i64)).otherwise(others)?;
        let all = lit(1i64) + others;
        let all_if = |condition: Expr| when(condition, all.clone()).otherwise(lit(0i64));
        let tokens = col("input_tokens").gt(lit(0i64)).or(col("output_tokens").gt(lit(0i64)));
        let price = col("price_version");
        let unpriced = tokens.and(price.clone().is_null().or(price.eq(lit(""))));
        let mut totals = vec![
            sum(all.clone()).alias("requests"),
            sum(all_if(filter::failed())?).alias("errors"),
            sum(all_if(unpriced)?).alias("unpriced"),
        ];
        // Decimals, because a sum of 64-bit integers would wrap around silently.
        let wide = |name: &str| cast(col(name), DataType::Decimal128(19, 0));
        totals.extend(SUMS.iter().map(|name| sum(wide(name)).alias(*name)));
        let frame = frame.aggregate(keys, totals)?.limit(0, Some(GROUPS_MAX + 1))?;
        Ok(frame.collect().await?)
    }
}

/// Keys stand once and are few: a repeated key adds nothing but columns, and a repeated team
/// would double the lines of a record each time.
fn check_keys(by: &[UsageKey]) -> Result<(), Error> {
    let refused = |found: String, why| Err(Error::Invalid { field: "by", found, why });
    if by.len() > KEYS_MAX {
        return refused(format!("{} keys", by.len()), "has more than 8 keys");
    }
    let mut rest = by.iter();
    while let Some(key) = rest.next() {
        if rest.clone().any(|other| column_of(other) == column_of(key)) {
            return refused(shown(std::slice::from_ref(key)), "names a key twice");
        }
    }
    Ok(())
}

/// The metadata that a key reads, or the key itself: a workspace is metadata by another name.
fn column_of(key: &UsageKey) -> Result<&str, &UsageKey> {
    match key {
        UsageKey::Workspace => Ok(UsageKey::WORKSPACE),
        UsageKey::Metadata(name) => Ok(name.as_str()),
        other => Err(other),
    }
}

/// Keys for a message, cut, because callers choose how long they are.
fn shown(by: &[UsageKey]) -> String {
    let keys = by.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(",");
    keys.chars().take(SHOWN_CHARS).collect()
}

fn too_many_lines(by: &[UsageKey]) -> Error {
    Error::Invalid { field: "by", found: shown(by), why: "makes more than 100000 lines" }
}

fn key_column(key: &UsageKey) -> Expr {
    match key {
        UsageKey::Model => {
            let answered = col("resolved_model").not_eq(lit(""));
            // `when` fails only without a condition.
            when(answered, col("resolved_model"))
                .otherwise(col("model"))
                .unwrap_or_else(|_| col("model"))
        }
        UsageKey::Caller => col("subject"),
        UsageKey::Team => col("teams"),
        UsageKey::Provider => col("provider"),
        UsageKey::Day => cast(col("received_at"), DataType::Int64) / lit(DAY_MS),
        UsageKey::Workspace => metadata(UsageKey::WORKSPACE),
        UsageKey::Metadata(name) => metadata(name),
    }
}

/// Adds the lines of a batch to `rows`.
fn collect(
    batch: &RecordBatch,
    by: &[UsageKey],
    rows: &mut BTreeMap<Vec<String>, UsageRow>,
) -> Result<(), Error> {
    for at in 0..batch.num_rows() {
        let mut keys = vec![Vec::new()];
        for (key, column) in by.iter().zip(batch.columns()) {
            keys = combine(keys, &key_values(key, column, at));
        }
        let line = line(batch, at)?;
        for keys in keys {
            add(rows.entry(keys).or_default(), &line);
            // One group becomes a line per team, so the engine's own limit does not hold here.
            if rows.len() > GROUPS_MAX {
                return Err(too_many_lines(by));
            }
        }
    }
    Ok(())
}

/// Each beginning with each of the values.
fn combine(beginnings: Vec<Vec<String>>, values: &[String]) -> Vec<Vec<String>> {
    let with = |beginning: Vec<String>| {
        values.iter().map(move |value| [beginning.as_slice(), std::slice::from_ref(value)].concat())
    };
    beginnings.into_iter().flat_map(with).collect()
}

/// The key's values in one line: one, or one per team.
fn key_values(key: &UsageKey, column: &dyn Array, at: usize) -> Vec<String> {
    let none = || vec![String::new()];
    if column.is_null(at) {
        return none();
    }
    match key {
        UsageKey::Team => {
            let teams = column.as_list::<i32>().value(at);
            let teams = teams.as_string::<i32>();
            let teams: Vec<String> = teams.iter().flatten().map(str::to_owned).collect();
            if teams.is_empty() { none() } else { teams }
        }
        UsageKey::Day => {
            let day = column.as_primitive::<Int64Type>().value(at);
            vec![day_name(u64::try_from(day).unwrap_or(0))]
        }
        UsageKey::Model
        | UsageKey::Caller
        | UsageKey::Provider
        | UsageKey::Workspace
        | UsageKey::Metadata(_) => {
            vec![column.as_string::<i32>().value(at).to_owned()]
        }
    }
}

fn line(batch: &RecordBatch, at: usize) -> Result<UsageRow, Error> {
    let column = |name: &str| {
        let missing = || arrow::error::ArrowError::SchemaError(format!("no column {name}"));
        batch.column_by_name(name).ok_or_else(missing)
    };
    let int = |name: &str| -> Result<u64, Error> {
        let column = column(name)?.as_primitive::<Int64Type>();
        let value = if column.is_null(at) { 0 } else { column.value(at) };
        Ok(u64::try_from(value).unwrap_or(0))
    };
    let wide = |name: &str| -> Result<i128, Error> {
        let column = column(name)?.as_primitive::<Decimal128Type>();
        Ok(if column.is_null(at) { 0 } else { column.value(at) })
    };
    let tokens = |name: &str| wide(name).map(|sum| u64::try_from(sum.max(0)).unwrap_or(u64::MAX));
    let cost = wide("cost_nano_usd")?;
    let cost = i64::try_from(cost).unwrap_or(if cost < 0 { i64::MIN } else { i64::MAX });
    Ok(UsageRow {
        keys: Vec::new(),
        requests: int("requests")?,
        errors: int("errors")?,
        usage: TokenUsage {
            input: tokens("input_tokens")?,
            cache_read: tokens("cache_read_tokens")?,
            cache_write: tokens("cache_write_tokens")?,
            cache_write_1h: tokens("cache_write_1h_tokens")?,
            output: tokens("output_tokens")?,
            reasoning: tokens("reasoning_tokens")?,
        },
        cost: NanoUsd(cost),
        unpriced: int("unpriced")?,
    })
}

fn add(total: &mut UsageRow, line: &UsageRow) {
    total.requests += line.requests;
    total.errors += line.errors;
    total.unpriced += line.unpriced;
    total.cost += line.cost;
    let (sum, part) = (&mut total.usage, &line.usage);
    for (sum, part) in [
        (&mut sum.input, part.input),
        (&mut sum.cache_read, part.cache_read),
        (&mut sum.cache_write, part.cache_write),
        (&mut sum.cache_write_1h, part.cache_write_1h),
        (&mut sum.output, part.output),
        (&mut sum.reasoning, part.reasoning),
    ] {
        *sum = sum.saturating_add(part);
    }
}
