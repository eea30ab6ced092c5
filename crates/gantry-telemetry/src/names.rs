//! All metric names, with the help text and the label values that are closed sets.
//!
//! `ai_gateway_*` are spelled as in TrueFoundry's gateway, so that its dashboards work; they keep
//! its units (milliseconds, US dollars). `gantry_*` follow the conventions of Prometheus.

/// What a metric measures, and how.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// Type of a metric in the Prometheus text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// Word after `# TYPE name`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help }
}

pub const REQUESTS: Metric = counter(
    "ai_gateway_requests_total",
    "Requests that have ended, by class of the HTTP status; streams that broke are 5xx.",
);
pub const INPUT_TOKENS: Metric =
    counter("ai_gateway_input_tokens_total", "Tokens of prompts, cached ones included.");
pub const OUTPUT_TOKENS: Metric =
    counter("ai_gateway_output_tokens_total", "Tokens of answers, reasoning included.");
pub const COST: Metric = counter("ai_gateway_request_cost_total", "Cost of requests, US dollars.");
pub const PROCESSING: Metric = histogram(
    "ai_gateway_request_processing_ms",
    "Time from a request's first byte to its answer's last, milliseconds.",
);
pub const FIRST_TOKEN: Metric = histogram(
    "ai_gateway_first_token_latency_ms",
    "Time from a request's first byte to the first token sent, milliseconds.",
);
pub const INTER_TOKEN: Metric = histogram(
    "ai_gateway_inter_token_latency_ms",
    "Mean gap between the events of a stream, milliseconds.",
);
pub const INFERENCE_FAILURES: Metric = counter(
    "ai_gateway_request_model_inference_failure_total",
    "Requests that failed because an upstream did.",
);
pub const CONFIG_FAILURES: Metric = counter(
    "ai_gateway_config_parsing_failures_total",
    "Configurations and snapshots that could not be read.",
);

pub const GATEWAY_TIME: Metric = histogram(
    "gantry_gateway_seconds",
    "Time the gateway itself spent before the first upstream call, seconds.",
);
pub const REFUSALS: Metric =
    counter("gantry_refusals_total", "Requests that the gateway answered itself, by reason.");
pub const ATTEMPTS: Metric =
    counter("gantry_upstream_attempts_total", "Calls to upstreams, by account and outcome.");
pub const OPEN_STREAMS: Metric =
    gauge("gantry_open_streams", "Streams that are being sent to callers.");
pub const GENERATION: Metric =
    gauge("gantry_snapshot_generation", "Generation of the snapshot in use.");
pub const QUEUE_DEPTH: Metric =
    gauge("gantry_record_queue_depth", "Records that wait for the writer thread.");
pub const QUEUE_BYTES: Metric =
    gauge("gantry_record_queue_bytes", "Estimated size of the records that wait, bytes.");
pub const RECORDS_DROPPED: Metric = counter(
    "gantry_records_dropped_total",
    "Records, spans or log lines that were lost, by reason.",
);
pub const RECORDS_WRITTEN: Metric =
    counter("gantry_records_written_total", "Records that are in the journal.");
pub const JOURNAL_BYTES: Metric =
    counter("gantry_journal_bytes_total", "Bytes appended to the journal.");
pub const JOURNAL_ERRORS: Metric =
    counter("gantry_journal_errors_total", "Failed writes, syncs and rotations of the journal.");
pub const JOURNAL_LOST_BYTES: Metric = counter(
    "gantry_journal_lost_bytes_total",
    "Bytes of journal segments that could not be read: damage, and ends of writes cut off.",
);
pub const JOURNAL_DAMAGED: Metric = counter(
    "gantry_journal_damaged_segments_total",
    "Journal segments with damage; they are kept in the journal's folder `damaged`.",
);
pub const SAMPLED_OUT: Metric = counter(
    "gantry_records_sampled_out_total",
    "Refused requests without a caller that left no record, because many of them came.",
);
pub const SPANS_EXPORTED: Metric =
    counter("gantry_spans_exported_total", "Spans that an OTLP receiver accepted.");
pub const LAKE_ROWS: Metric =
    counter("gantry_lake_rows_total", "Records that were moved from the journal to Parquet.");
pub const LAKE_ERRORS: Metric =
    counter("gantry_lake_errors_total", "Failed rounds of ingestion or compaction.");
pub const LAKE_OWNER: Metric = gauge(
    "gantry_lake_owner",
    "1 while this process is the one that merges and deletes the lake's files.",
);
pub const LAKE_EXPIRED: Metric = counter(
    "gantry_lake_expired_files_total",
    "Files of the lake that were deleted because of their age or the lake's size.",
);

pub const TASK_RUNS: Metric =
    counter("gantry_task_runs_total", "Passes of background work that ended, by task.");
pub const TASK_FAILURES: Metric =
    counter("gantry_task_failures_total", "Passes of background work that failed, by task.");
pub const TASK_FAILING: Metric = gauge(
    "gantry_task_failing",
    "1 while the last pass of the task has failed, or nothing runs it any more.",
);
pub const TASK_SUCCESS: Metric = gauge(
    "gantry_task_last_success_timestamp_seconds",
    "When the last good pass of the task ended, seconds since 1970; 0 before the first.",
);

/// Every metric there is.
pub const ALL: [Metric; 33] = [
    REQUESTS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    COST,
    PROCESSING,
    FIRST_TOKEN,
    INTER_TOKEN,
    INFERENCE_FAILURES,
    CONFIG_FAILURES,
    GATEWAY_TIME,
    REFUSALS,
    ATTEMPTS,
    OPEN_STREAMS,
    GENERATION,
    QUEUE_DEPTH,
    QUEUE_BYTES,
    RECORDS_DROPPED,
    RECORDS_WRITTEN,
    JOURNAL_BYTES,
    JOURNAL_ERRORS,
    JOURNAL_LOST_BYTES,
    JOURNAL_DAMAGED,
    SAMPLED_OUT,
    SPANS_EXPORTED,
    LAKE_ROWS,
    LAKE_ERRORS,
    LAKE_OWNER,
    LAKE_EXPIRED,
    RECORDER_ALIVE,
    TASK_RUNS,
    TASK_FAILURES,
    TASK_FAILING,
    TASK_SUCCESS,
];
pub const RECORDER_ALIVE: Metric =
    gauge("gantry_recorder_alive", "1 while the thread that writes records runs.");

/// Why a record or a span was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The recorder's queue held its maximum number of records.
    QueueFull,
    /// The recorder's queue held its maximum number of bytes.
    QueueBytes,
    /// The record is larger than a journal frame may be.
    TooLarge,
    /// The disk refused the write.
    JournalWrite,
    /// The journal's directory has reached its limit.
    JournalFull,
    /// The exporter's queue was full.
    OtlpQueue,
    /// The OTLP receiver refused the spans or stayed away too long.
    OtlpFailed,
    /// The recorder was closed.
    Closed,
    /// The log's queue was full: nobody reads what the process prints. The records are kept.
    LogQueue,
}

impl DropReason {
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::QueueBytes,
        Self::TooLarge,
        Self::JournalWrite,
        Self::JournalFull,
        Self::OtlpQueue,
        Self::OtlpFailed,
        Self::Closed,
        Self::LogQueue,
    ];

    /// Value of the label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::TooLarge => "too_large",
            Self::JournalWrite => "journal_write",
            Self::JournalFull => "journal_full",
            Self::OtlpQueue => "otlp_queue",
            Self::OtlpFailed => "otlp_failed",
            Self::Closed => "closed",
            Self::LogQueue => "log_queue",
        }
    }
}
