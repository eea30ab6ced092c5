//! One log line for each request that has ended, made on the recorder's thread.
//!
//! The binary puts a [`RequestLog`] among the recorder's sinks, with a [`Printer`] as its output.
//! The lines look like those of `tracing`, and its filter counts, but they are made here and
//! written many at a time: at thousands of requests a second an event each would cost more than
//! forwarding the request. A line holds no bodies and no messages of upstreams: who wants more
//! looks the record up by its id.

mod printer;
#[cfg(test)]
mod tests;

pub use printer::Printer;

use crate::recorder::Sink;
use gantry_model::record::RequestRecord;
use gantry_runtime::logging::Format;
use serde::Serialize;
use std::io::Write;
use time::OffsetDateTime;

/// What a log filter calls these lines: `info,gantry::request=off` leaves them out, and then a
/// request costs one comparison here.
pub const TARGET: &str = "gantry::request";

const MESSAGE: &str = "request ended";

/// Lines that are kept in memory until they are written, in bytes.
const LINES_BYTES: usize = 64 * 1024;

/// Prints requests to `out`, which must not wait: its writes hold up the records.
pub struct RequestLog<W> {
    format: Format,
    out: W,
    lines: Vec<u8>,
    /// The last second that was printed, since neighbouring lines share it.
    second: (i64, String),
}

impl<W: Write + Send> RequestLog<W> {
    #[must_use]
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out, lines: Vec::new(), second: (i64::MIN, String::new()) }
    }

    fn stamp(&mut self, record: &RequestRecord) -> u64 {
        let ended_ms = record.received_at_ms.saturating_add(record.duration_us / 1000);
        let second = i64::try_from(ended_ms / 1000).unwrap_or_default();
        if self.second.0 != second {
            let at = OffsetDateTime::from_unix_timestamp(second);
            let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (year, month, day) = at.to_calendar_date();
            let (month, (hour, minute, second_of_minute)) = (u8::from(month), at.to_hms());
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second_of_minute:02}"
            );
            self.second = (second, text);
        }
        ended_ms % 1000
    }

    fn text(&mut self, record: &RequestRecord, ms: u64) {
        let lines = &mut self.lines;
        lines.extend_from_slice(self.second.1.as_bytes());
        let digit = |of: u64| b'0' + (ms / of % 10) as u8;
        lines.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
        lines.extend_from_slice(b"Z  INFO ");
        lines.extend_from_slice(MESSAGE.as_bytes());
        if let Some(id) = record.id {
            lines.extend_from_slice(b" id=");
            lines.extend_from_slice(&id.digits());
        }
        field(lines, " caller=", &record.subject);
        field(lines, " model=", &record.model);
        field(lines, " target=", &record.resolved_model);
        number(lines, " status=", record.status.into());
        field(lines, " refusal=", &record.refusal);
        number(lines, " duration_ms=", record.duration_us / 1000);
        lines.push(b'\n');
    }

    fn json(&mut self, record: &RequestRecord, ms: u64) {
        let id = record.id.map(|id| id.to_string());
        let line = Line {
            timestamp: format!("{}.{ms:03}Z", self.second.1),
            level: "INFO",
            fields: Fields {
                message: MESSAGE,
                id: id.as_deref().unwrap_or_default(),
                caller: &record.subject,
                model: &record.model,
                target: &record.resolved_model,
                status: record.status,
                refusal: &record.refusal,
                duration_ms: record.duration_us / 1000,
            },
            target: TARGET,
        };
        // Texts and numbers always print.
        let _ = serde_json::to_writer(&mut self.lines, &line);
        self.lines.push(b'\n');
    }
}

impl<W: Write + Send> Sink for RequestLog<W> {
    fn take(&mut self, record: &RequestRecord) {
        if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            return;
        }
        let ms = self.stamp(record);
        match self.format {
            Format::Text => self.text(record, ms),
            Format::Json => self.json(record, ms),
        }
        if self.lines.len() >= LINES_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.lines.is_empty() {
            // A log that nobody can read any more is no reason to stop serving.
            let _ = self.out.write_all(&self.lines);
            self.lines.clear();
        }
    }
}

/// Spelled as `tracing` spells its JSON lines. Fields without a value are left out.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    fields: Fields<'a>,
    target: &'static str,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    caller: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    target: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    refusal: &'a str,
    duration_ms: u64,
}

/// A text in quotes, unless it is empty. What a caller wrote cannot break out of its line.
fn field(lines: &mut Vec<u8>, name: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    lines.extend_from_slice(name.as_bytes());
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    // To the end, whatever it finds: the compiler then looks at many bytes at once.
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        lines.push(b'"');
        lines.extend_from_slice(text.as_bytes());
        lines.push(b'"');
    } else {
        // Writing to memory does not fail.
        let _ = write!(lines, "{text:?}");
    }
}

/// A number. Formatting machinery would cost more than the rest of the line.
fn number(lines: &mut Vec<u8>, name: &str, number: u64) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
