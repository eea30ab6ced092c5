//! Boot configuration of the request path: `[gateway]`.

use crate::cors::Origins;
use gantry_http::server::Workers;
use gantry_runtime::boot::positive;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Limits and timeouts of the request path; sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Largest request body. Default 64 MiB: room for a few images and documents.
    #[serde(deserialize_with = "positive")]
    pub request_bytes_max: usize,
    /// Longest gap between two pieces of a request body. Default 30 s. As a whole a body may take
    /// as long once, and a second more for each 4 KiB that have come.
    #[serde(deserialize_with = "positive")]
    pub request_idle_timeout_ms: u64,
    /// Most bytes of all request bodies that the process holds at a time, from the first byte until
    /// the reply begins. Default 1 GiB: sixteen of the largest bodies, or a thousand of 1 MiB. What
    /// does not fit is refused with 503 at once. Less than `request_bytes_max` counts as that.
    #[serde(deserialize_with = "positive")]
    pub bodies_bytes_max: usize,
    /// Longest time for a request as a whole, over all tries and pauses, from the moment when its
    /// body is there until its reply begins (streams: their first token) or ends. Default 600 s. No
    /// header lengthens it.
    #[serde(deserialize_with = "positive")]
    pub request_timeout_ms: u64,
    /// Longest time of a stream from its first token to its end. Default 1 h: the longest that
    /// vendors let one request run. The official clients read a stream without a limit.
    #[serde(deserialize_with = "positive")]
    pub stream_timeout_ms: u64,
    /// Longest time for one attempt until its reply begins (streams) or ends. Default 600 s, as
    /// the official clients' own.
    #[serde(deserialize_with = "positive")]
    pub attempt_timeout_ms: u64,
    /// Longest wait for the first token of an attempt. Default 120 s: reasoning models may think
    /// for long before it.
    #[serde(deserialize_with = "positive")]
    pub first_token_timeout_ms: u64,
    /// Longest silence towards a caller who waits for a stream, from the moment when the request's
    /// body is there: then the head goes out and a comment, which comes again each time so long
    /// after. Targets are tried on behind it, and a failure comes as an error event. Default 15 s:
    /// load balancers cut silent connections after 30 to 60 s. 0: never before the first token.
    pub stream_head_wait_ms: u64,
    /// Longest gap between two pieces of a reply that has begun. Default 120 s.
    #[serde(deserialize_with = "positive")]
    pub idle_timeout_ms: u64,
    /// Longest wait for a connection to an upstream, TLS included. Default 5 s.
    #[serde(deserialize_with = "positive")]
    pub connect_timeout_ms: u64,
    /// Largest reply that is not a stream. Default 64 MiB.
    #[serde(deserialize_with = "positive")]
    pub reply_bytes_max: usize,
    /// Largest event of a stream. Default 16 MiB: an image in base64 travels in one event.
    #[serde(deserialize_with = "positive")]
    pub event_bytes_max: usize,
    /// Most bytes held back while a stream has not shown its first token. Default 256 KiB.
    #[serde(deserialize_with = "positive")]
    pub gate_bytes_max: usize,
    /// Largest part of a body that goes into a record. Default 64 KiB.
    pub logged_body_bytes_max: usize,
    /// A `Retry-After` longer than this is not waited for. Default 10 s.
    pub retry_after_max_ms: u64,
    /// Whether a request that needs no translation is fitted to what the catalogue knows of its
    /// model and provider: an output cap above the model's, parameters that it refuses, forms of
    /// thinking, roles, names and ids. Default true; `x-gantry-fit: false` asks for none of it in
    /// one request. What was changed is in `x-gantry-fidelity` and in the record.
    pub fit_requests: bool,
    /// Threads that serve requests, at most 1024; 0 means one per core.
    #[serde(deserialize_with = "workers")]
    pub workers: usize,
    /// Microseconds, at most 10 000, for which a worker that has run out of work looks for more
    /// before it sleeps. Default 0. A worker with traffic then keeps a core busy and spares each
    /// request two wake-ups of that core; not for a process whose CPU time is limited.
    #[serde(deserialize_with = "busy_poll")]
    pub busy_poll_us: u64,
    /// Origins of web pages that may call from a browser, or `["*"]`. Default: none.
    pub cors_origins: Origins,
}

/// A length of time for people: `30 s`, `800 ms`.
pub(crate) fn shown(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            request_bytes_max: 64 * 1024 * 1024,
            request_idle_timeout_ms: 30_000,
            bodies_bytes_max: 1024 * 1024 * 1024,
            request_timeout_ms: 600_000,
            stream_timeout_ms: 3_600_000,
            attempt_timeout_ms: 600_000,
            first_token_timeout_ms: 120_000,
            stream_head_wait_ms: 15_000,
            idle_timeout_ms: 120_000,
            connect_timeout_ms: 5_000,
            reply_bytes_max: 64 * 1024 * 1024,
            event_bytes_max: 16 * 1024 * 1024,
            gate_bytes_max: 256 * 1024,
            logged_body_bytes_max: 64 * 1024,
            retry_after_max_ms: 10_000,
            fit_requests: true,
            workers: 0,
            busy_poll_us: 0,
            cors_origins: Origins::default(),
        }
    }
}

impl Config {
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// Longest silence before a stream's head; `None`: as long as it takes.
    #[must_use]
    pub fn stream_head_wait(&self) -> Option<Duration> {
        (self.stream_head_wait_ms > 0).then(|| Duration::from_millis(self.stream_head_wait_ms))
    }

    #[must_use]
    pub fn workers(&self) -> Workers {
        let count = match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        Workers { count, busy_poll: Duration::from_micros(self.busy_poll_us) }
    }
}

/// Longer polling would only find what comes so seldom that it need not be found at once.
const BUSY_POLL_US_MAX: u64 = 10_000;

/// More threads than this are more than any machine has cores.
const WORKERS_MAX: u64 = 1024;

fn busy_poll<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    at_most(from, BUSY_POLL_US_MAX, " (10 ms)")
}

fn workers<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    // Below the limit it fits.
    at_most(from, WORKERS_MAX, "; 0 means one per core").map(|count| count as usize)
}

fn at_most<'de, D: Deserializer<'de>>(from: D, most: u64, hint: &str) -> Result<u64, D::Error> {
    let found = u64::deserialize(from)?;
    if found > most {
        let text = format!("{found} is too large: expected at most {most}{hint}");
        return Err(D::Error::custom(text));
    }
    Ok(found)
}
