//! What a recorder promises to request threads and at the end of the process.

use super::*;
use crate::journal::Reader;
use gantry_model::ids::RequestId;
use std::sync::mpsc::{Receiver, sync_channel};

const LIMIT: Duration = Duration::from_secs(20);

fn record(id: u128) -> Box<RequestRecord> {
    Box::new(RequestRecord { id: Some(RequestId(id)), status: 200, ..RequestRecord::default() })
}

fn options() -> Options {
    Options::new(Arc::new(Metrics::default()), Clock::system())
}

/// A recorder whose writer thread stands still in its sink until the sender is dropped.
fn stopped(mut options: Options) -> (Recorder, SyncSender<()>, Receiver<()>) {
    let (release, released) = sync_channel::<()>(0);
    let (entered, inside) = sync_channel::<()>(1);
    options.sinks.push(Box::new(move |_: &RequestRecord| {
        let _ = entered.try_send(());
        let _ = released.recv();
    }));
    (Recorder::start(options).unwrap(), release, inside)
}

fn ids(dir: &std::path::Path) -> Vec<u128> {
    let reader = Reader::new(dir);
    let mut ids = Vec::new();
    for segment in reader.segments().unwrap() {
        let frames = reader.read(&segment.name).unwrap().unwrap();
        ids.extend(frames.records().map(|record| record.id.unwrap().0));
    }
    ids
}

#[test]
fn full_queue_drops_and_counts_and_does_not_wait() {
    let (recorder, release, inside) = stopped(Options { queue_records: 4, ..options() });
    recorder.record(record(0));
    inside.recv().unwrap();
    for id in 1..=7 {
        recorder.record(record(id));
    }
    let metrics = recorder.metrics().clone();
    assert_eq!(metrics.dropped_so_far(DropReason::QueueFull), 3);
    drop(release);
    assert!(recorder.close(LIMIT));
    let page = metrics.render();
    assert!(page.contains("gantry_records_dropped_total{reason=\"queue_full\"} 3\n"), "{page}");
    assert!(page.contains("status_class=\"2xx\"} 5\n"), "{page}");
}

#[test]
fn queue_is_bounded_by_bytes_too() {
    let (recorder, release, inside) = stopped(Options { queue_bytes: 10_000, ..options() });
    recorder.record(record(0));
    inside.recv().unwrap();
    let large = |bytes| {
        Box::new(RequestRecord {
            request_body: Some("x".repeat(bytes)),
            ..RequestRecord::default()
        })
    };
    recorder.record(large(20_000));
    recorder.record(large(5_000));
    recorder.record(large(5_000));
    recorder.record(record(1));
    assert_eq!(recorder.metrics().dropped_so_far(DropReason::QueueBytes), 2);
    drop(release);
    assert!(recorder.flush(LIMIT));
    recorder.record(large(8_000));
    assert_eq!(recorder.metrics().dropped_so_far(DropReason::QueueBytes), 2);
}

#[test]
fn flush_returns_when_all_earlier_records_are_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Some(journal::Options::new(dir.path().to_owned()));
    let recorder = Recorder::start(Options { journal, ..options() }).unwrap();
    for round in 1..=20 {
        for id in 0..100 {
            recorder.record(record(id));
        }
        assert!(recorder.flush(LIMIT));
        assert_eq!(ids(dir.path()).len(), round * 100);
    }
}

#[test]
fn close_seals_the_journal_and_later_records_are_counted_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Some(journal::Options::new(dir.path().to_owned()));
    let recorder = Recorder::start(Options { journal: journal.clone(), ..options() }).unwrap();
    recorder.record(record(1));
    let other = recorder.clone();
    assert!(recorder.close(LIMIT));
    let segments = Reader::new(dir.path()).segments().unwrap();
    assert!(segments.iter().all(|segment| segment.sealed) && segments.len() == 1);
    // The lock is free again, though a clone of the recorder lives on.
    let next = Recorder::start(Options { journal, ..options() }).unwrap();
    next.record(record(2));
    assert!(next.close(LIMIT));
    assert_eq!(ids(dir.path()), [1, 2]);
    assert!(other.close(LIMIT), "closing twice is fine");
}

#[test]
fn many_threads_lose_nothing_below_the_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Some(journal::Options::new(dir.path().to_owned()));
    let recorder = Recorder::start(Options { journal, ..options() }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u128 {
            let recorder = recorder.clone();
            scope.spawn(move || {
                for number in 0..1_000 {
                    recorder.record(record(thread * 1_000 + number));
                }
            });
        }
    });
    assert!(recorder.close(LIMIT));
    let mut found = ids(dir.path());
    found.sort_unstable();
    assert_eq!(found, (0..4_000).collect::<Vec<_>>());
}

#[test]
fn panicking_sink_does_not_make_flush_hang() {
    let mut options = options();
    options.sinks.push(Box::new(|_: &RequestRecord| panic!("a sink with a defect")));
    let recorder = Recorder::start(options).unwrap();
    recorder.record(record(1));
    assert!(!recorder.flush(LIMIT));
    assert!(recorder.metrics().render().contains("gantry_recorder_alive 0\n"));
}
