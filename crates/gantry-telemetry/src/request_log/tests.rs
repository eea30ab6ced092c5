//! What a line says, in both formats, and that the filter counts.

use super::*;
use crate::journal::{self, Reader};
use crate::metrics::Metrics;
use crate::names::DropReason;
use crate::recorder::{Options, Recorder};
use gantry_model::ids::RequestId;
use gantry_runtime::clock::Clock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

fn record() -> RequestRecord {
    RequestRecord {
        id: Some(RequestId(0xabc)),
        received_at_ms: 1_772_350_200_000,
        subject: "user:ann".into(),
        model: "route/fast".into(),
        resolved_model: "main/gpt".into(),
        status: 200,
        duration_us: 1_234_567,
        request_body: Some("secret question".into()),
        ..RequestRecord::default()
    }
}

fn logged(filter: &str, format: Format, records: &[RequestRecord]) -> String {
    let mut out = Vec::new();
    let mut log = RequestLog::new(format, &mut out);
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).finish();
    tracing::subscriber::with_default(subscriber, || {
        records.iter().for_each(|record| log.take(record));
        log.flush();
    });
    String::from_utf8(out).unwrap()
}

#[test]
fn one_line_says_who_asked_for_what_and_what_came_of_it() {
    let later = RequestRecord { received_at_ms: 1_772_350_201_005, ..record() };
    let expected = "\
        2026-03-01T07:30:01.234Z  INFO request ended id=00000000000000000000000000000abc \
        caller=\"user:ann\" model=\"route/fast\" target=\"main/gpt\" status=200 \
        duration_ms=1234\n\
        2026-03-01T07:30:02.239Z  INFO request ended id=00000000000000000000000000000abc \
        caller=\"user:ann\" model=\"route/fast\" target=\"main/gpt\" status=200 \
        duration_ms=1234\n";
    assert_eq!(logged("info", Format::Text, &[record(), later]), expected);
}

#[test]
fn a_line_of_json_has_the_shape_of_the_other_events() {
    let expected = concat!(
        r#"{"timestamp":"2026-03-01T07:30:01.234Z","level":"INFO","fields":{"#,
        r#""message":"request ended","id":"00000000000000000000000000000abc","#,
        r#""caller":"user:ann","model":"route/fast","target":"main/gpt","status":200,"#,
        r#""duration_ms":1234},"target":"gantry::request"}"#,
        "\n"
    );
    assert_eq!(logged("info", Format::Json, &[record()]), expected);
}

#[test]
fn a_refusal_is_named_and_what_is_unknown_is_left_out() {
    let refusal = "invalid_api_key".into();
    let record = RequestRecord { status: 401, refusal, ..RequestRecord::default() };
    let expected = "1970-01-01T00:00:00.000Z  INFO request ended status=401 \
        refusal=\"invalid_api_key\" duration_ms=0\n";
    assert_eq!(logged("info", Format::Text, &[record]), expected);
}

#[test]
fn what_a_caller_wrote_stays_within_its_quotes() {
    let model = "a\" status=200\n2026 INFO forged".to_owned();
    let line = logged("info", Format::Text, &[RequestRecord { model, ..RequestRecord::default() }]);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains(r#"model="a\" status=200\n2026 INFO forged""#), "{line}");
}

#[test]
fn the_filter_leaves_the_lines_out() {
    for filter in ["info,gantry::request=off", "warn"] {
        assert_eq!(logged(filter, Format::Text, &[record()]), "", "{filter}");
    }
}

/// An output that says when it is written to, and stands still until it is released.
struct Pager {
    written: Arc<Mutex<Vec<u8>>>,
    entered: SyncSender<()>,
    released: Receiver<()>,
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.entered.try_send(());
        let _ = self.released.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_stands_still_holds_up_neither_journal_nor_metrics() {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("info")).finish();
    // The recorder's thread asks the filter too. No other test sets a global one.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::default());
    let (release, released) = sync_channel::<()>(0);
    let (entered, inside) = sync_channel::<()>(1);
    let written = Arc::new(Mutex::new(Vec::new()));
    let pager = Pager { written: written.clone(), entered, released };
    let printer = Printer::start(pager, metrics.clone()).unwrap();
    let mut options = Options::new(metrics.clone(), Clock::system());
    options.journal = Some(journal::Options::new(dir.path().to_owned()));
    options.sinks.push(Box::new(RequestLog::new(Format::Text, printer)));
    let recorder = Recorder::start(options).unwrap();
    let limit = Duration::from_secs(20);
    for number in 1..=200 {
        recorder.record(Box::new(record()));
        assert!(recorder.flush(limit), "the log holds up record {number}");
    }
    inside.recv().unwrap();
    assert!(metrics.dropped_so_far(DropReason::LogQueue) > 0, "the queue is bounded");
    let page = metrics.render();
    assert!(page.contains("gantry_records_written_total 200\n"), "{page}");
    drop(release);
    assert!(recorder.close(limit));
    let kept = Reader::new(dir.path()).segments().unwrap();
    assert_eq!(kept.len(), 1);
    let dropped = usize::try_from(metrics.dropped_so_far(DropReason::LogQueue)).unwrap();
    let printed = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert_eq!(printed.lines().count() + dropped, 200);
}
