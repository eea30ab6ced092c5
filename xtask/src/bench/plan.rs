//! What is measured: contenders, rows of the table, targets, durations. Data, no action.

use super::spec::{Case, Pace};

/// What stands between the load and the mock upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Contender {
    /// Nothing: the load goes to the mock upstream itself.
    Direct,
    /// The minimal hyper proxy of `bench/src/passthrough.rs`.
    PassThrough,
    Nginx,
    Gantry,
}

impl Contender {
    pub(super) const ALL: [Self; 4] = [Self::Direct, Self::PassThrough, Self::Nginx, Self::Gantry];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::PassThrough => "pass-through",
            Self::Nginx => "nginx",
            Self::Gantry => "Gantry",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    Plain,
    Event,
    ChatToMessages,
    MessagesToChat,
    ChatToMessagesEvent,
    MessagesToChatEvent,
    Upload,
    P50At1000,
    P99At1000,
    P50At5000,
    P99At5000,
    P50Awake,
    P99Awake,
    P50Polling,
    P99Polling,
    Idle,
    Streams,
    Peak,
}

/// What a row must stay at or below.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Gantry's figure divided by the pass-through's.
    Ratio(f64),
    /// Gantry's figure itself.
    Most(f64),
    None,
}

/// How a row reads.
pub(super) struct Line {
    pub(super) row: Row,
    pub(super) label: &'static str,
    pub(super) decimals: usize,
    pub(super) target: Target,
    /// The row whose pass-through figure is the yardstick: a pass-through does not translate.
    pub(super) yardstick: Row,
}

/// The table, top to bottom.
pub(super) const LINES: &[Line] = &[
    ratio(Row::Plain, "CPU per plain request, µs", 1.5, Row::Plain),
    ratio(Row::Event, "CPU per stream event, µs", 1.5, Row::Event),
    ratio(Row::ChatToMessages, "CPU per request, chat to messages, µs", 3.0, Row::Plain),
    ratio(Row::MessagesToChat, "CPU per request, messages to chat, µs", 3.0, Row::Plain),
    ratio(Row::ChatToMessagesEvent, "CPU per event, chat to messages, µs", 3.0, Row::Event),
    ratio(Row::MessagesToChatEvent, "CPU per event, messages to chat, µs", 3.0, Row::Event),
    ratio(Row::Upload, "CPU per 1 MiB prompt, µs", 1.5, Row::Upload),
    latency(Row::P50At1000, "added p50 at 1,000 requests/s, ms", Target::None),
    latency(Row::P99At1000, "added p99 at 1,000 requests/s, ms", Target::None),
    latency(Row::P50At5000, "added p50 at 5,000 requests/s, ms", Target::Most(0.1)),
    latency(Row::P99At5000, "added p99 at 5,000 requests/s, ms", Target::None),
    latency(Row::P50Awake, "the same p50 with cores kept awake, ms", Target::Most(0.1)),
    latency(Row::P99Awake, "the same p99 with cores kept awake, ms", Target::None),
    latency(Row::P50Polling, "the same p50 with `busy_poll_us` set, ms", Target::Most(0.1)),
    latency(Row::P99Polling, "the same p99 with `busy_poll_us` set, ms", Target::None),
    memory(Row::Idle, "memory when idle, MiB", Target::Most(30.0)),
    memory(Row::Streams, "memory with 2,000 open streams, MiB", Target::Most(100.0)),
    memory(Row::Peak, "highest memory in the whole run, MiB", Target::None),
];

const fn ratio(row: Row, label: &'static str, most: f64, yardstick: Row) -> Line {
    Line { row, label, decimals: 1, target: Target::Ratio(most), yardstick }
}

const fn latency(row: Row, label: &'static str, target: Target) -> Line {
    Line { row, label, decimals: 3, target, yardstick: row }
}

const fn memory(row: Row, label: &'static str, target: Target) -> Line {
    Line { row, label, decimals: 1, target, yardstick: row }
}

/// A measurement of CPU time.
pub(super) struct CpuCase {
    pub(super) row: Row,
    pub(super) case: Case,
    pub(super) connections: u32,
    /// The cost is counted per stream event rather than per request.
    pub(super) per_event: bool,
    pub(super) only_gantry: bool,
}

/// Streams of the event cases: at one event each 10 ms, 20,000 events a second.
pub(super) const TICKING_STREAMS: u32 = 200;
/// Milliseconds between two events of a `ticks` stream, and of a `slow` one.
pub(super) const TICK_GAP_MS: u32 = 10;
pub(super) const SLOW_GAP_MS: u32 = 500;
/// Streams held open at once.
pub(super) const OPEN_STREAMS: u32 = 2000;
/// Connections of the load without streams.
pub(super) const CONNECTIONS: u32 = 64;

/// The measurements of CPU time, in order.
pub(super) const CPU_CASES: &[CpuCase] = &[
    per_request(Row::Plain, Case::Plain, CONNECTIONS, false),
    per_request(Row::ChatToMessages, Case::ChatToMessages, CONNECTIONS, true),
    per_request(Row::MessagesToChat, Case::MessagesToChat, CONNECTIONS, true),
    // 8 MiB in flight are enough to fill a core and not the memory.
    per_request(Row::Upload, Case::Upload, 8, false),
    per_event(Row::Event, Case::Ticks, false),
    per_event(Row::ChatToMessagesEvent, Case::ChatToMessagesTicks, true),
    per_event(Row::MessagesToChatEvent, Case::MessagesToChatTicks, true),
];

const fn per_request(row: Row, case: Case, connections: u32, only_gantry: bool) -> CpuCase {
    CpuCase { row, case, connections, per_event: false, only_gantry }
}

const fn per_event(row: Row, case: Case, only_gantry: bool) -> CpuCase {
    CpuCase { row, case, connections: TICKING_STREAMS, per_event: true, only_gantry }
}

/// A measurement of latency: both rows come from the same load.
pub(super) struct LatencyCase {
    pub(super) p50: Row,
    pub(super) p99: Row,
    pub(super) per_second: u32,
    pub(super) wait: Wait,
}

/// How cores wait for work. To wake one that fell asleep costs a virtual machine tens of
/// microseconds, which are not the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// They fall asleep.
    Asleep,
    /// Idle loops keep all of them awake.
    Awake,
    /// They fall asleep, but Gantry's worker looks for work a while longer; only Gantry can.
    Polling,
}

/// `busy_poll_us` of a Gantry that polls.
pub(super) const BUSY_POLL_US: &str = "200";

pub(super) const LATENCY_CASES: &[LatencyCase] = &[
    latencies(Row::P50At1000, Row::P99At1000, 1000, Wait::Asleep),
    latencies(Row::P50At5000, Row::P99At5000, 5000, Wait::Asleep),
    latencies(Row::P50Awake, Row::P99Awake, 5000, Wait::Awake),
    latencies(Row::P50Polling, Row::P99Polling, 5000, Wait::Polling),
];

const fn latencies(p50: Row, p99: Row, per_second: u32, wait: Wait) -> LatencyCase {
    LatencyCase { p50, p99, per_second, wait }
}

impl LatencyCase {
    pub(super) fn pace(&self) -> Pace {
        Pace::Open(self.per_second)
    }

    pub(super) fn measures(&self, contender: Contender) -> bool {
        self.wait != Wait::Polling || matches!(contender, Contender::Direct | Contender::Gantry)
    }
}

/// How long and how often.
pub(super) struct Plan {
    pub(super) rounds: u32,
    pub(super) warm_ms: u64,
    /// The contenders take so many turns in a measurement of CPU time, a short slice each.
    pub(super) slices: u32,
    pub(super) request_slice_ms: u64,
    pub(super) event_slice_ms: u64,
    pub(super) latency_ms: u64,
    pub(super) streams_warm_ms: u64,
    pub(super) streams_ms: u64,
    /// Rest between start and the reading of the idle memory.
    pub(super) idle_ms: u64,
    /// How often measurements of CPU time may be taken again in a round because the host was busy,
    /// and those of latency.
    pub(super) repetitions_most: u32,
}

impl Plan {
    pub(super) fn new(quick: bool, rounds: Option<u32>) -> Self {
        let long = Self {
            rounds: rounds.unwrap_or(3).max(1),
            warm_ms: 500,
            slices: 5,
            request_slice_ms: 800,
            // A whole stream of 200 events at 10 ms.
            event_slice_ms: 2000,
            latency_ms: 4000,
            streams_warm_ms: 4000,
            streams_ms: 4000,
            idle_ms: 2000,
            repetitions_most: 40,
        };
        if !quick {
            return long;
        }
        Self {
            rounds: rounds.unwrap_or(1).max(1),
            warm_ms: 300,
            slices: 2,
            request_slice_ms: 500,
            event_slice_ms: 2000,
            latency_ms: 1500,
            streams_warm_ms: 2000,
            streams_ms: 1500,
            idle_ms: 1000,
            repetitions_most: 10,
        }
    }
}
