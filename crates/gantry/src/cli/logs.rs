//! `gantry logs`: requests one a line, one request whole, and why it went where it went.

use super::connection::{Connection, Flags, encoded, may_pass};
use super::follow::{Known, Reach};
use super::{block_on, text};
use crate::out;
use anyhow::{Context, ensure};
use clap::builder::NonEmptyStringValueParser;
use clap::value_parser;
use gantry_model::record::{LossKind, RequestRecord};
use gantry_model::rest::{LOGS_MAX, LogQuery, StatusFilter};
use gantry_runtime::clock::Clock;
use gantry_runtime::errors::sentence;
use http::Method;
use std::time::Duration;

/// How often `--follow` asks.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(700);

/// One question in so many reaches back to what remote gateways have shipped: one in about 14 s.
const FAR_ROUNDS: u64 = 20;

/// Said when the control plane answers again.
const FOUND_AGAIN: &str = "the control plane answers again; `gantry logs --since` shows what may \
    be missing here: requests that began over 15 minutes ago, and records that gateways send late";

/// Digits of an id that a list shows: 12 are the millisecond, one is the version, and the rest
/// hold 26 random bits, so that one in millions of requests of the same millisecond has a twin.
const ID_DIGITS: usize = 20;

/// The conditions of a list, which one request by its id does not take.
const CONDITIONS: [&str; 9] =
    ["follow", "since", "until", "model", "caller", "status", "metadata", "trace", "limit"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One request whole, bodies included: its id, or at least 8 digits that only it begins with.
    #[arg(conflicts_with_all = CONDITIONS, value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// Show the decisions on the way to the target.
    #[arg(long)]
    why: bool,
    /// Go on showing requests as they end.
    #[arg(long, short, conflicts_with = "until")]
    follow: bool,
    /// Only requests since then: 15m, 2h, 7d, 2026-03-01, 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only requests before then.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this model, as named or as resolved.
    #[arg(long)]
    model: Option<String>,
    /// Only this caller, such as user:ann@example.com.
    #[arg(long, value_name = "SUBJECT")]
    caller: Option<String>,
    /// Only this status: a number, `ok` or `error`.
    #[arg(long)]
    status: Option<String>,
    /// Only requests with this metadata.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Only requests of this trace (W3C trace id).
    #[arg(long, value_name = "TRACE-ID")]
    trace: Option<String>,
    /// At most so many of the newest, 1000 at most; the newest is printed last.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=LOGS_MAX.into()))]
    limit: u32,
    /// Print records as JSON, one a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Flags,
}

/// Shows requests.
///
/// # Errors
/// When a condition is unreadable or the control plane refuses.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let connection = Connection::open(&arguments.connection)?;
    let query = query(arguments)?;
    block_on(show(arguments, &connection, query))
}

fn query(arguments: &Arguments) -> anyhow::Result<LogQuery> {
    let now_ms = Clock::system().unix_ms();
    let (since, until) = (arguments.since.as_deref(), arguments.until.as_deref());
    let (from_ms, to_ms) = text::span(since, until, now_ms)?;
    Ok(LogQuery {
        from_ms,
        to_ms,
        after_id: None,
        ended_from_ms: None,
        trace: arguments.trace.as_deref().map(trace).transpose()?,
        model: arguments.model.clone(),
        subject: arguments.caller.clone(),
        status: arguments.status.as_deref().map(status).transpose()?,
        metadata: text::pairs(&arguments.metadata)?,
        limit: Some(arguments.limit),
    })
}

fn status(text: &str) -> anyhow::Result<StatusFilter> {
    match text {
        "ok" => return Ok(StatusFilter::Ok),
        "error" => return Ok(StatusFilter::Error),
        _ => {}
    }
    let number = text.parse().ok().filter(|number| (100..=599).contains(number));
    number.map(StatusFilter::Exactly).with_context(|| {
        format!("--status {text}: expected a number from 100 to 599, `ok` or `error`")
    })
}

fn trace(text: &str) -> anyhow::Result<String> {
    ensure!(
        text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "--trace {text}: a trace id has 32 hexadecimal digits"
    );
    Ok(text.to_ascii_lowercase())
}

async fn show(
    arguments: &Arguments,
    connection: &Connection,
    query: LogQuery,
) -> anyhow::Result<()> {
    let fetch = async |query: &LogQuery| -> anyhow::Result<Vec<RequestRecord>> {
        connection.send(Method::POST, "gateway/logs", Some(query)).await
    };
    if let Some(id) = &arguments.id {
        let path = format!("gateway/logs/{}", encoded(id));
        let record = connection.send(Method::GET, &path, None::<&()>).await?;
        return whole(arguments, &record);
    }
    let lately = async |known: &Known, reach: Reach| -> anyhow::Result<Vec<RequestRecord>> {
        let mut found = Vec::new();
        let mut question = Some(known.question(&query, Clock::system().unix_ms(), reach));
        while let Some(asked) = question {
            let page = fetch(&asked).await?;
            question = Known::next(asked, &page);
            found.extend(page);
        }
        Ok(found)
    };
    let mut known = Known::default();
    // Asked before the list, so that what ends between the two is shown.
    let before = match arguments.follow {
        true => {
            known.look(&fetch(&LogQuery { limit: Some(1), ..query.clone() }).await?);
            lately(&known, Reach::Far).await?
        }
        false => Vec::new(),
    };
    let mut records = fetch(&query).await?;
    records.reverse();
    if !arguments.json {
        out::line(title())?;
    }
    print_all(arguments, &records)?;
    if !arguments.follow {
        return Ok(());
    }
    known.news(before);
    known.news(records);
    let mut lost = false;
    for round in 1_u64.. {
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let far = lost || round.is_multiple_of(FAR_ROUNDS);
        match lately(&known, if far { Reach::Far } else { Reach::Near }).await {
            Ok(found) => {
                if std::mem::replace(&mut lost, false) {
                    out::note(FOUND_AGAIN);
                }
                print_all(arguments, &known.news(found))?;
            }
            Err(error) if may_pass(&error) => {
                if !std::mem::replace(&mut lost, true) {
                    out::note(format_args!("{}; asking on", sentence(error.as_ref())));
                }
            }
            Err(error) => return Err(error),
        }
        known.forget(Clock::system().unix_ms());
    }
    Ok(())
}

fn print_all(arguments: &Arguments, records: &[RequestRecord]) -> anyhow::Result<()> {
    records.iter().try_for_each(|record| print_one(arguments, record))
}

fn print_one(arguments: &Arguments, record: &RequestRecord) -> anyhow::Result<()> {
    if arguments.json {
        return out::line(serde_json::to_string(record)?);
    }
    let mut rows = vec![line(record)];
    if arguments.why {
        rows.extend(why(record));
    }
    out::rows(&rows)
}

fn whole(arguments: &Arguments, record: &RequestRecord) -> anyhow::Result<()> {
    match (arguments.json, arguments.why) {
        (false, true) => {
            let mut rows = vec![title(), line(record)];
            rows.extend(why(record));
            out::rows(&rows)
        }
        (true, _) | (false, false) => out::json(record),
    }
}

fn title() -> String {
    format!(
        "{:<20}  {:<ID_DIGITS$}  {:>6}  {:<36}  {:>13}  {:>12}  {:>8}  {}",
        "TIME", "ID", "STATUS", "MODEL", "TOKENS IN+OUT", "COST", "TOOK", "CALLER"
    )
}

fn line(record: &RequestRecord) -> String {
    let id = record.id.map(|id| id.to_string()).unwrap_or_default();
    let model = match record.resolved_model.is_empty() || record.resolved_model == record.model {
        true => record.model.clone(),
        false => format!("{} > {}", record.model, record.resolved_model),
    };
    let about = if record.usage_estimated { "~" } else { "" };
    let tokens = format!("{about}{}+{}", record.usage.input, record.usage.output);
    let mut line = format!(
        "{:<20}  {:<ID_DIGITS$}  {:>6}  {:<36}  {:>13}  {:>12}  {:>8}  {}",
        text::time(record.received_at_ms),
        id.get(..ID_DIGITS).unwrap_or(&id),
        record.status,
        model,
        tokens,
        record.cost.to_string(),
        text::duration(record.duration_us),
        if record.subject.is_empty() { "-" } else { &record.subject },
    );
    if !record.error.is_empty() {
        line.push_str("  ");
        line.push_str(&record.error);
    }
    line
}

/// The decisions, in order, for people.
fn why(record: &RequestRecord) -> Vec<String> {
    let mut out = Vec::new();
    for step in &record.route {
        out.push(format!("    {:<9} {}: {}", step.verdict, step.target, step.reason));
    }
    for (index, attempt) in record.attempts.iter().enumerate() {
        let status =
            if attempt.status == 0 { String::new() } else { format!(" {}", attempt.status) };
        let error =
            if attempt.error.is_empty() { String::new() } else { format!(": {}", attempt.error) };
        let wait = attempt.retry_after_ms.map(|ms| format!(", asked to wait {ms} ms"));
        out.push(format!(
            "    try {:<5} {}{status} {} in {}{}{error}",
            index + 1,
            attempt.target,
            attempt.outcome,
            text::duration(attempt.duration_us),
            wait.unwrap_or_default(),
        ));
    }
    for loss in &record.fidelity {
        let verb = match loss.kind {
            LossKind::Dropped => "dropped",
            LossKind::Approximated => "approximated",
        };
        out.push(format!("    {verb} {}: {}", loss.field, loss.note));
    }
    if !record.trace_id.is_empty() {
        let (trace, span) = (&record.trace_id, &record.parent_span_id);
        out.push(format!("    trace     {trace}, below span {span}"));
    }
    if !record.price_version.is_empty() {
        out.push(format!("    price     {}", record.price_version));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_runtime::ids::request_id;

    #[test]
    fn ids_in_a_list_differ_within_a_millisecond() {
        let clock = Clock::manual(1_800_000_000_000);
        let shown = |_| {
            let record = RequestRecord { id: Some(request_id(&clock)), ..Default::default() };
            let line = line(&record);
            line.split_whitespace().nth(1).unwrap_or_default().to_owned()
        };
        let ids: std::collections::HashSet<String> = (0..100).map(shown).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == ID_DIGITS));
    }
}
