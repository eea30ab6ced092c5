//! Records, metrics and traces of a process.

use super::process::Process;
use crate::boot::{Boot, variable};
use anyhow::Context;
use gantry_http::client::{Call, call};
use gantry_runtime::reconcile::Kit;
use gantry_runtime::tasks::{Shutdown, spawn};
use gantry_telemetry::journal::{self, Error::Locked};
use gantry_telemetry::metrics::Metrics;
use gantry_telemetry::otlp::{self, Transport};
use gantry_telemetry::recorder::{self, Recorder};
use gantry_telemetry::request_log::{Printer, RequestLog};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Distinct label sets per metric; further ones are counted as `other`.
const LABEL_SETS_MAX: usize = 2_000;

/// OpenTelemetry's resource attribute for a process's name.
const SERVICE_NAME: &str = "service.name";

/// Where a process's records go.
pub(super) struct Records {
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    /// Whether traces go to a receiver.
    pub traces: bool,
    pub journal_dir: PathBuf,
    /// The end of what takes records away. It begins when the last record is written, long after
    /// the process's own shutdown has begun.
    pub outlets: Shutdown,
    /// Starts what ends with it.
    pub outlets_kit: Kit,
}

/// Whether records are kept on disk for whoever takes them away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    Kept,
    /// Nobody would take them away, and the disk would fill: records are counted, logged and
    /// traced, and gone.
    None,
}

/// Opens the journal and starts what feeds on it.
///
/// # Errors
/// When the journal's directory cannot be used, as when another process has it.
pub(super) fn start(
    boot: &Boot,
    data_dir: &Path,
    process: &Process,
    journal: Journal,
) -> anyhow::Result<Records> {
    let metrics = Arc::new(Metrics::new(LABEL_SETS_MAX, &boot.telemetry.metadata_labels));
    metrics.show_tasks(process.kit.board().clone());
    let (outlets, journal_dir) = (Shutdown::default(), data_dir.join("journal"));
    let mut options = recorder::Options::new(metrics.clone(), process.clock.clone());
    options.anonymous_per_minute = boot.records.anonymous_per_minute;
    if journal == Journal::Kept {
        let aside_age_ms = u64::try_from(boot.records.retention().as_millis()).unwrap_or(u64::MAX);
        let journal = journal::Options::new(journal_dir.clone());
        options.journal = Some(journal::Options { aside_age_ms, ..journal });
    }
    let printer = Printer::start(std::io::stderr(), metrics.clone())
        .context("start the thread that prints the log")?;
    let log = RequestLog::new(boot.log.format, printer);
    options.sinks.push(Box::new(log));
    let otlp = otlp_config(boot);
    let traces = otlp.is_some();
    if let Some(config) = otlp {
        tracing::info!(url = config.url, "traces go to an OTLP receiver");
        let (queue, exporter) = otlp::pair(config, transport(), metrics.clone());
        options.sinks.push(queue.sink());
        spawn("otlp exporter", exporter.run(outlets.clone()));
    }
    let recorder = Recorder::start(options).map_err(|error| {
        let taken = matches!(error, recorder::Error::Journal { source: Locked { .. } });
        anyhow::Error::new(error).context(match taken {
            true => {
                "start the record of requests; each process needs a data directory of its own, by \
                 --data-dir"
            }
            false => "start the record of requests",
        })
    })?;
    let outlets_kit = process.kit.until(&outlets);
    Ok(Records { recorder, metrics, traces, journal_dir, outlets, outlets_kit })
}

/// Where traces go, by the boot configuration; headers and name by OpenTelemetry's own variables.
fn otlp_config(boot: &Boot) -> Option<otlp::Config> {
    let general = boot.telemetry.otlp_endpoint.as_deref().map(otlp::Config::traces_url);
    let url = boot.telemetry.traces_url.clone().or(general)?;
    let mut config = otlp::Config::new(url);
    let headers = variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
    config.headers = headers
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        config.resource.retain(|(key, _)| key != SERVICE_NAME);
        config.resource.push((SERVICE_NAME.to_owned(), name));
    }
    Some(config)
}

fn transport() -> Transport {
    Arc::new(|request| {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let url = head.uri.to_string();
            let timeout = std::time::Duration::from_secs(10);
            let (method, headers) = (head.method, head.headers);
            let answer = call(Call { method, url: &url, headers, body, timeout }).await?;
            let mut response = http::Response::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    })
}
