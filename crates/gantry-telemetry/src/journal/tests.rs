//! Behaviour of the journal on disk, in one process and across deaths of one.

use super::frame::{FILE_HEADER_BYTES, MAGIC, Mark};
use super::frames::Frames;
use super::*;
use crate::metrics::Metrics;
use crate::names::DropReason;
use gantry_model::ids::RequestId;
use gantry_model::record::{Attempt, RequestRecord};
use gantry_runtime::clock::Clock;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const MARK: Mark = Mark([0xc1, 1, 2, 3]);

fn record(id: u128) -> RequestRecord {
    RequestRecord { id: Some(RequestId(id)), model: "m".into(), ..RequestRecord::default() }
}

fn options(dir: &Path) -> Options {
    Options::new(dir.to_owned())
}

fn writer(options: Options, clock: &Clock) -> (Writer, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (Writer::open(options, clock.clone(), metrics.clone()).unwrap(), metrics)
}

/// Ids in all segments, oldest first, with the number of sealed and open segments.
fn content(dir: &Path) -> (Vec<u128>, usize, usize) {
    let reader = Reader::new(dir);
    let segments = reader.segments().unwrap();
    let sealed = segments.iter().filter(|segment| segment.sealed).count();
    let frames = segments.iter().map(|segment| reader.read(&segment.name).unwrap().unwrap());
    let ids = frames
        .flat_map(|frames| frames.records().map(|record| record.id.unwrap().0).collect::<Vec<_>>());
    (ids.collect(), sealed, segments.len() - sealed)
}

#[test]
fn committed_records_are_readable_at_once_and_after_sealing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = writer(options(dir.path()), &Clock::manual(1_000));
    journal.append(&record(1));
    assert_eq!(content(dir.path()), (vec![], 0, 0));
    assert_eq!(journal.commit(), 1);
    assert_eq!(content(dir.path()), (vec![1], 0, 1));
    journal.append(&record(2));
    journal.append(&record(3));
    assert_eq!(journal.commit(), 2);
    assert_eq!(content(dir.path()), (vec![1, 2, 3], 0, 1));
    journal.seal();
    assert_eq!(content(dir.path()), (vec![1, 2, 3], 1, 0));
    journal.append(&record(4));
    drop(journal);
    assert_eq!(content(dir.path()), (vec![1, 2, 3, 4], 2, 0));
}

#[test]
fn seals_by_age_only_when_there_is_something_to_seal() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_000);
    let settings = Options { segment_age_ms: 10_000, ..options(dir.path()) };
    let (mut journal, _) = writer(settings, &clock);
    clock.advance(Duration::from_secs(60));
    journal.tick();
    assert_eq!(content(dir.path()), (vec![], 0, 0));
    journal.append(&record(1));
    journal.commit();
    clock.advance(Duration::from_millis(9_999));
    journal.tick();
    assert_eq!(content(dir.path()), (vec![1], 0, 1));
    clock.advance(Duration::from_millis(1));
    journal.tick();
    assert_eq!(content(dir.path()), (vec![1], 1, 0));
}

#[test]
fn seals_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Options { segment_bytes: 170, ..options(dir.path()) };
    let (mut journal, _) = writer(settings, &Clock::manual(0));
    for id in 0..10 {
        journal.append(&record(id));
        journal.commit();
    }
    let (ids, sealed, _) = content(dir.path());
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    assert!(sealed >= 3, "{sealed} sealed segments");
}

#[test]
fn names_sort_by_time_and_never_come_back() {
    let dir = tempfile::tempdir().unwrap();
    for start in [5_000, 5_000, 9_000] {
        let (mut journal, _) = writer(options(dir.path()), &Clock::manual(start));
        for id in 0..2 {
            journal.append(&record(id));
            journal.seal();
        }
    }
    let names: Vec<_> = Reader::new(dir.path()).segments().unwrap();
    assert_eq!(names.len(), 6);
    assert!(names.last().unwrap().name.starts_with("0000000009000-"));
}

#[test]
fn second_writer_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let (first, metrics) = writer(options(dir.path()), &Clock::manual(0));
    let second = Writer::open(options(dir.path()), Clock::manual(0), metrics.clone());
    assert!(matches!(second, Err(Error::Locked { .. })));
    drop(first);
    assert!(Writer::open(options(dir.path()), Clock::manual(0), metrics).is_ok());
}

#[test]
fn full_directory_drops_until_segments_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Options { dir_bytes_max: 50, ..options(dir.path()) };
    let (mut journal, metrics) = writer(settings, &Clock::manual(0));
    journal.append(&record(1));
    journal.seal();
    journal.append(&record(2));
    assert_eq!(journal.commit(), 0);
    assert_eq!(metrics.dropped_so_far(DropReason::JournalFull), 1);
    let reader = Reader::new(dir.path());
    for segment in reader.segments().unwrap() {
        reader.delete(&segment.name).unwrap();
    }
    journal.append(&record(3));
    assert_eq!(journal.commit(), 1);
    assert_eq!(content(dir.path()).0, vec![3]);
}

/// Three records as the writer leaves them, and where each frame ends.
fn three_records() -> (Vec<u8>, Vec<usize>) {
    let mut bytes = MARK.file_header().to_vec();
    let mut ends = Vec::new();
    for id in 1..=3 {
        frame::append(&mut bytes, &record(id), MARK).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[test]
fn tail_torn_at_any_byte_costs_only_the_torn_record() {
    let (bytes, ends) = three_records();
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let dir = tempfile::tempdir().unwrap();
        let torn = bytes.get(..cut).unwrap();
        std::fs::write(dir.path().join("0000000000000-a-000000.open"), torn).unwrap();
        let expected: Vec<u128> = (1..=whole as u128).collect();
        assert_eq!(content(dir.path()).0, expected, "read while torn, cut at {cut}");
        let (mut journal, _) = writer(options(dir.path()), &Clock::manual(9));
        let after = content(dir.path());
        assert_eq!(after, (expected.clone(), usize::from(whole > 0), 0), "cut at {cut}");
        if let Some(end) = whole.checked_sub(1).and_then(|last| ends.get(last)) {
            let kept =
                std::fs::metadata(dir.path().join("0000000000000-a-000000.seg")).unwrap().len();
            assert_eq!(kept, *end as u64);
        }
        journal.append(&record(9));
        journal.commit();
        assert_eq!(content(dir.path()).0.last(), Some(&9));
    }
}

/// The payloads of a segment, and the frames after the last.
fn scan(bytes: &[u8]) -> (Vec<Vec<u8>>, Frames<&[u8]>) {
    let mut frames = Frames::new(bytes).unwrap();
    let mut payloads = Vec::new();
    while let Some(payload) = frames.next().unwrap() {
        payloads.push(payload.to_vec());
    }
    (payloads, frames)
}

#[test]
fn zeros_after_the_last_record_are_a_torn_tail() {
    let (mut bytes, ends) = three_records();
    bytes.extend([0; 4096]);
    let (payloads, frames) = scan(&bytes);
    assert_eq!((payloads.len(), frames.whole()), (3, *ends.last().unwrap() as u64));
    assert_eq!((frames.damage(false), frames.torn()), (None, true));
    assert_eq!(frames.damage(true), Some(Damage { bytes: 4096, places: 1 }));
}

/// A segment of the version before marks.
fn three_plain_records() -> (Vec<u8>, Vec<usize>) {
    let (marked, _) = three_records();
    let payloads = scan(&marked).0;
    let mut ends = Vec::new();
    for count in 1..=payloads.len() {
        let payloads: Vec<_> = payloads[..count].iter().map(Vec::as_slice).collect();
        ends.push(segment(3, &payloads).len());
    }
    (segment(3, &payloads.iter().map(Vec::as_slice).collect::<Vec<_>>()), ends)
}

#[test]
fn a_flipped_bit_costs_at_most_one_record_and_what_is_lost_is_counted() {
    for ((bytes, ends), header) in
        [(three_records(), FILE_HEADER_BYTES), (three_plain_records(), MAGIC.len())]
    {
        let texts = scan(&bytes).0;
        assert_eq!(texts.len(), 3);
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (payloads, frames) = scan(&flipped);
            let case = format!("bit {bit} of byte {at}, header of {header}");
            let hit = ends.iter().position(|end| at < *end).filter(|_| at >= header);
            let left = texts.iter().enumerate().filter(|(place, _)| Some(*place) != hit);
            let left: Vec<_> = left.map(|(_, text)| text.clone()).collect();
            assert_eq!(payloads, left, "{case}");
            let Some(hit) = hit else { continue };
            let start = hit.checked_sub(1).map_or(header, |before| ends[before]);
            let lost = (ends[hit] - start) as u64;
            assert_eq!(frames.damage(true), Some(Damage { bytes: lost, places: 1 }), "{case}");
            let behind = hit < 2;
            assert_eq!(frames.damage(false).is_some(), behind, "{case}");
            assert!(!behind || !frames.torn(), "{case}");
        }
    }
}

#[test]
fn a_damaged_beginning_costs_no_record_but_is_told() {
    let (bytes, _) = three_records();
    for at in 0..FILE_HEADER_BYTES {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let (payloads, frames) = scan(&flipped);
        assert_eq!((payloads.len(), frames.format()), (3, Format::Readable), "byte {at}");
        let expected = Some(Damage { bytes: 0, places: 1 });
        assert_eq!((frames.damage(false), frames.torn()), (expected, false), "byte {at}");
    }
}

#[test]
fn what_a_caller_put_into_a_body_is_no_frame() {
    let (inner, _) = three_records();
    let text = String::from_utf8_lossy(&inner).into_owned();
    let mut bytes = MARK.file_header().to_vec();
    let start = bytes.len();
    for id in 1..=2 {
        let body = Some(text.clone());
        frame::append(&mut bytes, &RequestRecord { request_body: body, ..record(id) }, MARK)
            .unwrap();
    }
    let whole = scan(&bytes).0;
    bytes[start + 9] ^= 1;
    assert_eq!(scan(&bytes).0, whole[1..]);
}

#[test]
fn segments_are_read_around_long_stretches_of_damage() {
    let (bytes, ends) = three_records();
    for garbage in [vec![0; 1 << 20], vec![0xc1; 1 << 20], vec![b'{'; 600_000]] {
        let (before, after) = bytes.split_at(ends[0]);
        let damaged = [before, &garbage, after].concat();
        let (payloads, frames) = scan(&damaged);
        assert_eq!(payloads.len(), 3);
        let expected = Damage { bytes: garbage.len() as u64, places: 1 };
        assert_eq!(frames.damage(false), Some(expected));
    }
}

fn aside(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir.join(DAMAGED)) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_open_segment_whose_first_frame_is_damaged_keeps_the_others() {
    let (bytes, ends) = three_records();
    for at in [0, 9, 13, 17, FILE_HEADER_BYTES + 4, FILE_HEADER_BYTES + 8, ends[0] - 1] {
        let dir = tempfile::tempdir().unwrap();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(dir.path().join("0000000000000-a-000000.open"), &flipped).unwrap();
        let (_journal, _) = writer(options(dir.path()), &Clock::manual(9));
        let ids = if at < FILE_HEADER_BYTES { vec![1, 2, 3] } else { vec![2, 3] };
        assert_eq!(content(dir.path()), (ids, 1, 0), "byte {at}");
        let sealed = std::fs::read(dir.path().join("0000000000000-a-000000.seg")).unwrap();
        assert_eq!(sealed, flipped, "nothing is cut from a damaged segment, byte {at}");
    }
}

#[test]
fn an_open_segment_without_a_readable_record_is_kept_aside_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = MARK.file_header().to_vec();
    frame::append(&mut bytes, &record(1), MARK).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(dir.path().join("0000000000000-a-000000.open"), &bytes).unwrap();
    let (_journal, metrics) = writer(options(dir.path()), &Clock::manual(9));
    assert_eq!(content(dir.path()), (vec![], 0, 0));
    assert_eq!(aside(dir.path()), ["0000000000000-a-000000.seg"]);
    let page = metrics.render();
    assert!(page.contains("gantry_journal_damaged_segments_total 1\n"), "{page}");
    let lost = format!("gantry_journal_lost_bytes_total {}\n", bytes.len());
    assert!(page.contains(&lost), "{page}");
}

#[test]
fn the_folder_of_damaged_segments_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let reader = Reader::new(dir.path());
    let huge = |name: &str| {
        let file = std::fs::File::create(dir.path().join(format!("{name}.seg"))).unwrap();
        file.set_len(200 << 20).unwrap();
        reader.keep_damaged(name).unwrap();
    };
    huge("0000000000001-a-000000");
    assert_eq!(aside(dir.path()), ["0000000000001-a-000000.seg"]);
    huge("0000000000002-a-000000");
    assert_eq!(aside(dir.path()), ["0000000000002-a-000000.seg"]);
    assert_eq!(content(dir.path()), (vec![], 0, 0));
}

#[test]
fn what_was_set_aside_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let reader = Reader::new(dir.path());
    let clock = Clock::manual(100_000);
    let (mut journal, _) = writer(Options { aside_age_ms: 50_000, ..options(dir.path()) }, &clock);
    for (name, damaged) in [("0000000060000-a-000000", true), ("0000000060000-a-000001", false)] {
        std::fs::write(dir.path().join(format!("{name}.seg")), b"x").unwrap();
        if damaged { reader.keep_damaged(name) } else { reader.set_aside(name) }.unwrap();
    }
    let refused = dir.path().join("0000000060000-a-000001.refused");
    journal.tick();
    assert!(refused.exists() && aside(dir.path()).len() == 1);
    clock.advance(Duration::from_secs(3_600));
    journal.tick();
    assert!(!refused.exists() && aside(dir.path()).is_empty());
}

#[test]
fn segment_longer_than_a_piece_is_read_whole() {
    let mut bytes = MARK.file_header().to_vec();
    let long = |id| RequestRecord {
        request_body: Some("x".repeat(if id == 500 { 1 << 20 } else { 1_000 })),
        ..record(id)
    };
    for id in 0..1_000 {
        frame::append(&mut bytes, &long(id), MARK).unwrap();
    }
    let (payloads, frames) = scan(&bytes);
    assert_eq!((frames.whole(), frames.damage(true)), (bytes.len() as u64, None));
    let found: Vec<RequestRecord> =
        payloads.iter().map(|payload| payload::record(payload).unwrap()).collect();
    assert_eq!(found, (0..1_000).map(long).collect::<Vec<_>>());
}

/// A segment with any payloads and any version.
fn segment(version: u8, payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    *bytes.last_mut().unwrap() = version;
    for payload in payloads {
        bytes.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend(crc32fast::hash(payload).to_le_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

#[test]
fn segment_of_the_first_format_is_read_and_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [record(1), record(2)].map(|record| serde_json::to_vec(&record).unwrap());
    let mut bytes = segment(1, &[&texts[0], b"no record", &texts[1]]);
    bytes.extend_from_slice(b"torn");
    std::fs::write(dir.path().join("0000000000000-a-000000.open"), bytes).unwrap();
    assert_eq!(content(dir.path()), (vec![1, 2], 0, 1));
    let (_journal, _) = writer(options(dir.path()), &Clock::manual(9));
    assert_eq!(content(dir.path()), (vec![1, 2], 1, 0));
}

#[test]
fn segment_of_the_second_format_is_read_and_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let named = |id: u128| {
        let mut payload = b"\x83\xa2id\xd9\x20".to_vec();
        payload.extend_from_slice(format!("{id:032x}").as_bytes());
        payload.extend_from_slice(b"\xa5model\xa1m\xa8attempts\x91\x82\xa3url\xa1u");
        payload.extend_from_slice(b"\xa6status\xcc\xc8");
        payload
    };
    let name = "0000000000000-a-000000";
    let bytes = [segment(2, &[&named(1), &named(2)]), b"torn".to_vec()].concat();
    std::fs::write(dir.path().join(format!("{name}.open")), bytes).unwrap();
    let (mut journal, _) = writer(options(dir.path()), &Clock::manual(9));
    let found = Reader::new(dir.path()).read(name).unwrap().unwrap().records();
    let attempt = Attempt { url: "u".into(), status: 200, ..Attempt::default() };
    let expected = |id| RequestRecord { attempts: vec![attempt.clone()], ..record(id) };
    assert_eq!(found.collect::<Vec<_>>(), [expected(1), expected(2)]);
    journal.append(&record(3));
    journal.seal();
    assert_eq!(content(dir.path()), (vec![1, 2, 3], 2, 0));
}

#[test]
fn segment_of_a_newer_format_stays_and_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["0000000000000-a-000000.open", "0000000000000-a-000001.seg"] {
        std::fs::write(dir.path().join(name), segment(5, &[])).unwrap();
    }
    let (_journal, _) = writer(options(dir.path()), &Clock::manual(9));
    let reader = Reader::new(dir.path());
    let segments = reader.segments().unwrap();
    assert_eq!(segments.len(), 2);
    for segment in segments {
        let error = reader.read(&segment.name).unwrap_err();
        assert!(matches!(error, Error::Newer { .. }), "{error}");
    }
}

#[test]
fn first_bytes_tell_a_segment_from_other_files() {
    for (bytes, expected) in [
        (MAGIC.as_slice(), Format::Readable),
        (b"GJRNL\0\0\x01{", Format::Readable),
        (b"GJRNL\0\0\x02\x80", Format::Readable),
        (b"GJRNL\0\0\x04", Format::Readable),
        (b"GJRNL\0\0\x05", Format::Newer),
        (b"GJRNL\0\0\x05, which no later version begins with", Format::Foreign),
        (b"GJRNL\0\0\0", Format::Foreign),
        (b"GJRNL\0\0", Format::Foreign),
        (b"PAR1 and more", Format::Foreign),
        (b"", Format::Foreign),
    ] {
        assert_eq!(Format::of(bytes), expected, "{bytes:?}");
    }
}

/// Runs `body_of_child` of this test binary in another process, after `setup` in a shell.
fn child(name: &str, dir: &Path, setup: &str) -> Command {
    let mut command = Command::new("sh");
    let exe = std::env::current_exe().unwrap();
    let script =
        format!("{setup} exec \"$0\" --ignored --exact --nocapture journal::tests::{name}");
    command.arg("-c").arg(script).arg(exe).env("GANTRY_TEST_DIR", dir).stdout(Stdio::piped());
    command
}

/// Not a test: the process that the next one kills. Prints each id after it is acknowledged.
#[test]
#[ignore = "runs only as the child of kill_minus_nine_loses_nothing_acknowledged"]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os("GANTRY_TEST_DIR") else { return };
    let settings =
        Options { segment_bytes: 5_000, sync_every_ms: 3_600_000, ..options(Path::new(&dir)) };
    let (mut journal, _) = writer(settings, &Clock::system());
    for id in 0.. {
        journal.append(&record(id));
        if id % 3 == 2 {
            journal.commit();
            println!("\nACK {id}");
        }
    }
}

#[test]
fn kill_minus_nine_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = child("child_writes_until_killed", dir.path(), "").spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    while acknowledged < 500 {
        let line = lines.next().unwrap().unwrap();
        if let Some(id) = line.strip_prefix("ACK ") {
            acknowledged = id.parse::<u128>().unwrap();
        }
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // What the child said between the last line read and its death counts too.
    for line in lines.map_while(Result::ok) {
        if let Some(Ok(id)) = line.strip_prefix("ACK ").map(str::parse::<u128>) {
            acknowledged = id;
        }
    }
    let (_journal, _) = writer(options(dir.path()), &Clock::system());
    let (ids, sealed, open) = content(dir.path());
    assert!(ids.len() as u128 > acknowledged, "{} of {acknowledged}", ids.len());
    assert_eq!(ids, (0..ids.len() as u128).collect::<Vec<_>>(), "in order, none twice");
    assert!(sealed > 1 && open == 0);
}

/// Not a test: a process that may not write more than 8 KiB into a file.
#[test]
#[ignore = "runs only as the child of full_disk_drops_records_and_recovers"]
fn child_meets_a_full_disk() {
    let Some(dir) = std::env::var_os("GANTRY_TEST_DIR") else { return };
    let (mut journal, metrics) = writer(options(Path::new(&dir)), &Clock::system());
    let mut written = 0;
    for id in 0..1_000 {
        journal.append(&record(id));
        if id % 10 == 9 {
            written += journal.commit();
        }
    }
    let dropped = metrics.dropped_so_far(DropReason::JournalWrite);
    println!("\nFULL {written} {dropped}");
    // A new file may grow again: this is what space on the disk looks like.
    journal.seal();
    journal.append(&record(1_000_000));
    println!("\nAGAIN {}", journal.commit());
}

#[test]
fn full_disk_drops_records_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    // `ulimit -f` counts blocks of 512 or 1024 bytes; with SIGXFSZ ignored, write returns EFBIG.
    let setup = "trap '' XFSZ; ulimit -f 8;";
    let output = child("child_meets_a_full_disk", dir.path(), setup).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let full = text.lines().find_map(|line| line.strip_prefix("FULL ")).unwrap();
    let (written, dropped) = full.split_once(' ').unwrap();
    let (written, dropped): (usize, usize) = (written.parse().unwrap(), dropped.parse().unwrap());
    assert!(written > 0 && dropped > 0, "{full}");
    assert_eq!(written + dropped, 1_000);
    assert!(text.contains("\nAGAIN 1\n"), "{text}");
    let mut expected: Vec<u128> = (0..written as u128).collect();
    expected.push(1_000_000);
    assert_eq!(content(dir.path()).0, expected);
}
