//! `gantry usage`: requests, tokens and cost, summed by what is asked for.

use super::connection::{Connection, Flags};
use super::{block_on, text};
use crate::out;
use anyhow::bail;
use gantry_model::rest::{UsageKey, UsageQuery, UsageRow};
use gantry_runtime::clock::Clock;
use http::Method;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// By what: model, caller, team, provider, workspace, day, metadata.KEY; several with commas.
    #[arg(long, value_delimiter = ',', default_value = "model")]
    by: Vec<String>,
    /// Only requests since then: 15m, 2h, 7d, 2026-03-01, 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only requests before then.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this model.
    #[arg(long)]
    model: Option<String>,
    /// Only this caller.
    #[arg(long, value_name = "SUBJECT")]
    caller: Option<String>,
    /// Only requests with this metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Flags,
}

/// Said below sums that lack something.
const UNPRICED: &str = "requests without a price count as 0; `gantry usage --by model` shows whose \
    they are, and `cost` in the model's manifest gives one";

/// Shows sums.
///
/// # Errors
/// When a condition is unreadable or the control plane refuses.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let now_ms = Clock::system().unix_ms();
    let (since, until) = (arguments.since.as_deref(), arguments.until.as_deref());
    let (from_ms, to_ms) = text::span(since, until, now_ms)?;
    let query = UsageQuery {
        from_ms,
        to_ms,
        by: arguments.by.iter().map(|name| key(name)).collect::<anyhow::Result<_>>()?,
        model: arguments.model.clone(),
        subject: arguments.caller.clone(),
        metadata: text::pairs(&arguments.metadata)?,
    };
    let connection = Connection::open(&arguments.connection)?;
    let rows: Vec<UsageRow> =
        block_on(connection.send(Method::POST, "gateway/usage", Some(&query)))?;
    match arguments.json {
        true => out::json(&rows),
        false => {
            shown(&arguments.by, &rows).print()?;
            if rows.iter().any(|row| row.unpriced > 0) {
                out::note(UNPRICED);
            }
            Ok(())
        }
    }
}

fn key(name: &str) -> anyhow::Result<UsageKey> {
    Ok(match name {
        "model" => UsageKey::Model,
        "caller" => UsageKey::Caller,
        "team" => UsageKey::Team,
        "provider" => UsageKey::Provider,
        "workspace" => UsageKey::Workspace,
        "day" => UsageKey::Day,
        other => match other.strip_prefix("metadata.") {
            Some(key) if !key.is_empty() => UsageKey::Metadata(key.to_owned()),
            _ => bail!(
                "--by {other}: there are model, caller, team, provider, workspace, day and \
                 metadata.KEY"
            ),
        },
    })
}

fn shown(by: &[String], rows: &[UsageRow]) -> text::Table {
    let numbers = ["requests", "errors", "input", "cached", "output", "reasoning", "cost"];
    let titles: Vec<&str> = by.iter().map(String::as_str).chain(numbers).collect();
    let mut table = text::table(&titles);
    for row in rows {
        let mut cells = row.keys.clone();
        cells.extend([
            row.requests.to_string(),
            row.errors.to_string(),
            row.usage.input.to_string(),
            row.usage.cache_read.to_string(),
            row.usage.output.to_string(),
            row.usage.reasoning.to_string(),
            match row.unpriced {
                0 => row.cost.to_string(),
                unpriced => format!("{} ({unpriced} without a price)", row.cost),
            },
        ]);
        table.add_row(cells);
    }
    table
}
