//! What `cargo xtask bench` asks of the load driver and what the driver answers, as JSON.
//!
//! Both sides include this file; it uses nothing but serde. It never holds a measured constant.

use serde::{Deserialize, Serialize};

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    /// `address:port` of the proxy, or of the mock upstream itself.
    pub(crate) target: String,
    pub(crate) case: Case,
    pub(crate) connections: u32,
    pub(crate) pace: Pace,
    /// Load before the measurement, in milliseconds.
    pub(crate) warm_ms: u64,
    /// Length of the measurement, in milliseconds.
    pub(crate) measure_ms: u64,
    /// The process whose CPU time and memory are read.
    pub(crate) watch_pid: Option<u32>,
}

/// What is sent, and so what must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Case {
    /// A chat completion, not streamed.
    Plain,
    /// A chat completion with a prompt of 1 MiB.
    Upload,
    /// A streamed chat completion: 200 events, one each 10 ms.
    Ticks,
    /// A slow streamed chat completion: 40 events, one each 500 ms.
    Slow,
    /// Chat in, Anthropic Messages upstream.
    ChatToMessages,
    /// The same, streamed as `Ticks`.
    ChatToMessagesTicks,
    /// Anthropic Messages in, chat upstream.
    MessagesToChat,
    /// The same, streamed as `Ticks`.
    MessagesToChatTicks,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pace {
    /// Each connection sends its next request when the last one is answered.
    Closed,
    /// As `Closed`, but this many requests in all; the times of the spec do not count.
    Count(u64),
    /// At this many requests a second, whether or not earlier ones are answered. Latency counts
    /// from the moment at which a request was due.
    Open(u32),
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// Whole, checked answers within the measurement.
    pub(crate) requests: u64,
    /// Stream events within the measurement.
    pub(crate) events: u64,
    /// The same from the first request on, what came before the measurement included.
    pub(crate) all_requests: u64,
    pub(crate) all_events: u64,
    /// Answers that were wrong and connections that broke, from the first request on.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
    /// CPU time of the watched process within the measurement, user and system, in microseconds.
    pub(crate) cpu_us: Option<u64>,
    /// Resident memory of the watched process at the end, and its highest so far, in KiB.
    pub(crate) rss_kib: Option<u64>,
    pub(crate) peak_kib: Option<u64>,
    /// Latencies in microseconds; only with `Pace::Open`.
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) max_us: Option<u64>,
}
