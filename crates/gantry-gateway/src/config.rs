//! Boot configuration of the request path: `[gateway]`.

use crate::cors::Origins;
use gantry_runtime::boot::positive;
use serde::Deserialize;
use std::time::Duration;

/// Limits and timeouts of the request path; sizes in bytes, times in milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Largest request body. Default 64 MiB: room for a few images and documents.
    #[serde(deserialize_with = "positive")]
    pub request_bytes_max: usize,
    /// Longest gap between two pieces of a request body. Default 30 s.
    #[serde(deserialize_with = "positive")]
    pub request_idle_timeout_ms: u64,
    /// Longest time for one attempt until its reply begins (streams) or ends. Default 600 s, as
    /// the official clients' own.
    #[serde(deserialize_with = "positive")]
    pub attempt_timeout_ms: u64,
    /// Longest wait for the first token of an attempt. Default 120 s: reasoning models may think
    /// for long before it.
    #[serde(deserialize_with = "positive")]
    pub first_token_timeout_ms: u64,
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
    /// Threads that serve requests; 0 means one per core.
    pub workers: usize,
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
            attempt_timeout_ms: 600_000,
            first_token_timeout_ms: 120_000,
            idle_timeout_ms: 120_000,
            connect_timeout_ms: 5_000,
            reply_bytes_max: 64 * 1024 * 1024,
            event_bytes_max: 16 * 1024 * 1024,
            gate_bytes_max: 256 * 1024,
            logged_body_bytes_max: 64 * 1024,
            retry_after_max_ms: 10_000,
            workers: 0,
            cors_origins: Origins::default(),
        }
    }
}

impl Config {
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    #[must_use]
    pub fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        }
    }
}
