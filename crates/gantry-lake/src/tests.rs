//! The lake as its users see it, and at every point where the process may die.

mod crashes;
mod damage;
mod files;
mod owners;
mod queries;
mod retention;

use super::*;
use gantry_model::ids::RequestId;
use gantry_model::money::NanoUsd;
use gantry_model::record::{Attempt, Loss, LossKind, RequestRecord, RouteStep};
use gantry_model::rest::LogQuery;
use gantry_model::usage::TokenUsage;
use gantry_runtime::tasks::Shutdown;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-03-01 07:30 UTC.
const NOW_MS: u64 = 1_772_350_200_000;
const MINUTE_MS: u64 = 60_000;

struct Fixture {
    dir: tempfile::TempDir,
    clock: Clock,
    journal: journal::Writer,
    lake: Lake,
}

impl Fixture {
    /// A lake in a folder whose name has to be escaped in URLs and in paths of object stores.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut LakeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW_MS);
        let metrics = Arc::new(Metrics::default());
        let options = journal::Options::new(dir.path().join("journal"));
        let url = url::Url::from_directory_path(dir.path().join("the lake %20 ~é")).unwrap();
        let mut config = LakeConfig::new(url.to_string(), options.dir.clone());
        change(&mut config);
        let journal = journal::Writer::open(options, clock.clone(), metrics.clone()).unwrap();
        let lake = Lake::open(config, clock.clone(), metrics).unwrap();
        Self { dir, clock, journal, lake }
    }

    fn write(&mut self, records: &[RequestRecord]) {
        for record in records {
            self.journal.append(record);
        }
        assert_eq!(self.journal.commit(), records.len());
    }

    /// Writes the records as a segment of their own.
    fn seal(&mut self, records: &[RequestRecord]) {
        self.write(records);
        self.journal.seal();
    }

    fn segments(&self) -> Vec<String> {
        let segments = self.lake.0.journal.segments().unwrap();
        segments.into_iter().map(|segment| segment.name).collect()
    }

    /// Number of Parquet files, counting or not, and of notes of mergings.
    fn files(&self) -> (usize, usize) {
        fn walk(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(self.dir.path(), &mut found);
        let parquet = found.iter().filter(|path| path.extension().is_some_and(|e| e == "parquet"));
        let note = |path: &&std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let ours = name == "merging.json" || name.ends_with(".merge");
            ours && std::fs::metadata(path).unwrap().len() > 0
        };
        (parquet.count(), found.iter().filter(note).count())
    }

    /// The last digits of the ids of all records, oldest first.
    async fn all(&self) -> Vec<u128> {
        let query = LogQuery { limit: Some(1_000), ..LogQuery::default() };
        let mut found = numbers(&self.lake.requests(&query).await.unwrap());
        found.reverse();
        found
    }
}

fn numbers(records: &[RequestRecord]) -> Vec<u128> {
    records.iter().map(|record| record.id.unwrap().0 & 0xffff).collect()
}

fn id(ms: u64, number: u128) -> RequestId {
    RequestId(u128::from(ms) << 80 | 7 << 76 | number)
}

/// A request received `minutes` before [`NOW_MS`].
fn record(number: u128, minutes: u64) -> RequestRecord {
    let ms = NOW_MS - minutes * MINUTE_MS;
    RequestRecord {
        id: Some(id(ms, number)),
        received_at_ms: ms,
        tenant: "acme".into(),
        subject: "user:ann".into(),
        model: "fast".into(),
        resolved_model: "main/gpt".into(),
        provider: "openai".into(),
        status: 200,
        ..RequestRecord::default()
    }
}

/// A record with something in every field.
fn full(number: u128) -> RequestRecord {
    RequestRecord {
        duration_us: 5,
        teams: vec!["red".into(), "blue".into()],
        key_name: "k".into(),
        metadata: [("a".into(), "1".into()), ("b\"'".into(), String::new())].into(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        parent_span_id: "b7ad6b7169203331".into(),
        operation: "chat".into(),
        dialect: "openai".into(),
        stream: true,
        upstream_model: "gpt-5".into(),
        snapshot_generation: 7,
        route: vec![RouteStep {
            target: "t".into(),
            verdict: "v".into(),
            reason: "ré".into(),
            ..RouteStep::default()
        }],
        attempts: vec![Attempt { target: "t".into(), status: 200, ..Attempt::default() }],
        refusal: "r".into(),
        fault: "f".into(),
        error: "e".into(),
        finish_reason: "stop".into(),
        usage: TokenUsage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            cache_write_1h: 4,
            output: 5,
            reasoning: u64::MAX,
        },
        usage_estimated: true,
        cost: NanoUsd(-3),
        price_version: "p".into(),
        first_token_us: Some(0),
        inter_token_us: None,
        stream_events: 9,
        gateway_us: 10,
        fidelity: vec![Loss { field: "x".into(), kind: LossKind::Dropped, note: "n".into() }],
        verdicts: vec!["pii=pass".into()],
        request_bytes: 11,
        response_bytes: 12,
        request_body: Some("{\"q\":1}".into()),
        response_body: Some(String::new()),
        also_stands_for: 13,
        ..record(number, 0)
    }
}

#[tokio::test]
async fn record_comes_back_whole_from_the_journal_and_from_a_file() {
    let mut lake = Fixture::new();
    let record = full(1);
    let text = record.id.unwrap().to_string();
    lake.write(std::slice::from_ref(&record));
    assert_eq!(lake.lake.request(&text, None).await.unwrap(), Some(record.clone()));
    lake.journal.seal();
    assert_eq!(lake.lake.ingest().await.unwrap(), 1);
    assert_eq!(lake.segments(), Vec::<String>::new());
    assert_eq!(lake.lake.request(&text, None).await.unwrap(), Some(record.clone()));
    let listed = lake.lake.requests(&LogQuery::default()).await.unwrap();
    let bare = RequestRecord { request_body: None, response_body: None, ..record };
    assert_eq!(listed, [bare], "lists leave out the bodies");
}

/// A payload as another version of Gantry may write it: MessagePack in its longest forms.
fn packed(value: &serde_json::Value) -> Vec<u8> {
    use serde_json::Value;
    let head = |marker: u8, count: usize| {
        [vec![marker], u32::try_from(count).unwrap().to_be_bytes().to_vec()].concat()
    };
    let text = |text: &str| [head(0xdb, text.len()), text.as_bytes().to_vec()].concat();
    match value {
        Value::Null => vec![0xc0],
        Value::Bool(flag) => vec![0xc2 + u8::from(*flag)],
        Value::Number(number) => match number.as_u64() {
            Some(number) => [vec![0xcf], number.to_be_bytes().to_vec()].concat(),
            None => [vec![0xd3], number.as_i64().unwrap().to_be_bytes().to_vec()].concat(),
        },
        Value::String(string) => text(string),
        Value::Array(values) => {
            let parts = values.iter().map(packed);
            [head(0xdd, values.len()), parts.collect::<Vec<_>>().concat()].concat()
        }
        Value::Object(fields) => {
            let parts = fields.iter().map(|(name, value)| [text(name), packed(value)].concat());
            [head(0xdf, fields.len()), parts.collect::<Vec<_>>().concat()].concat()
        }
    }
}

/// The row that a record makes, every column that is not null as text.
fn cells(record: &serde_json::Value) -> std::collections::BTreeMap<String, String> {
    let mut columns = columns::Columns::new(true);
    columns.append(&packed(record)).unwrap();
    let batch = columns.finish().unwrap();
    let show = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        let valid = arrow::array::Array::is_valid(column, 0);
        valid.then(|| arrow::util::display::array_value_to_string(column, 0).unwrap())
    };
    let names = schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    names.into_iter().filter_map(|name| Some((show(&name)?, name))).map(|(a, b)| (b, a)).collect()
}

#[test]
fn fields_without_a_column_survive() {
    for (record, rest) in [
        (
            serde_json::json!({
                "id": "00",
                "news": {"x": [1, -2, "\"", null, true]},
                "usage": {"input": 3, "audio": 4},
                "status": "odd",
            }),
            r#"{"news":{"x":[1,-2,"\"",null,true]},"usage":{"audio":4},"status":"odd"}"#,
        ),
        (serde_json::json!({"usage": 5, "rest": 1}), r#"{"usage":5,"rest":1}"#),
        (serde_json::json!({"teams": ["a", 1]}), r#"{"teams":["a",1]}"#),
        (serde_json::json!({"metadata": {"a": {}}}), r#"{"metadata":{"a":{}}}"#),
        (serde_json::json!({"cost": u64::MAX}), r#"{"cost":18446744073709551615}"#),
    ] {
        assert_eq!(cells(&record)["rest"], rest, "{record}");
    }
    assert!(!cells(&serde_json::json!({"cost": u64::MAX})).contains_key("cost_nano_usd"));
}

#[test]
fn fields_that_a_record_lacks_are_null() {
    for record in [serde_json::json!({}), serde_json::json!({"tenant": null, "route": null})] {
        assert_eq!(cells(&record), std::collections::BTreeMap::new());
    }
    let mut lake = columns::Columns::new(true);
    lake.append(&packed(&serde_json::json!({}))).unwrap();
    let records = convert::to_records(&lake.finish().unwrap()).unwrap();
    assert_eq!(records, [RequestRecord::default()]);
}

#[test]
fn malformed_record_leaves_no_row() {
    let good = packed(&serde_json::json!({"tenant": "acme", "attempts": [{"url": "u"}]}));
    let mut columns = columns::Columns::new(true);
    columns.append(&good).unwrap();
    for end in 0..good.len() {
        assert!(columns.append(&good[..end]).is_err(), "{end}");
    }
    assert!(columns.append(&[good.as_slice(), &[0]].concat()).is_err());
    columns.append(&good).unwrap();
    let batch = columns.finish().unwrap();
    let expected = RequestRecord {
        tenant: "acme".into(),
        attempts: vec![Attempt { url: "u".into(), ..Attempt::default() }],
        ..RequestRecord::default()
    };
    assert_eq!(convert::to_records(&batch).unwrap(), [expected.clone(), expected]);
    assert_eq!(columns.finish().unwrap().num_rows(), 0);
}

gantry_model::record_rows! {
    /// A record of a later version, with one field more.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Toy {
        /// As it always was.
        model: String = 13, shared, text;
        /// The one that is added.
        colour: String = 126, text, column("paint");
    }
}

#[test]
fn a_field_that_is_added_to_the_rows_has_a_column() {
    use gantry_model::record::table::Row;
    let layout = Box::leak(Box::new(schema::Layout::of(Toy::FIELDS)));
    let mut columns = columns::Columns::of(layout, true);
    // As the journal has it: numbers for names.
    columns.append(b"\x82\x0d\xa4fast\x7e\xa3red").unwrap();
    let batch = columns.finish().unwrap();
    let text = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        arrow::util::display::array_value_to_string(column, 0).unwrap()
    };
    assert_eq!(
        (text("model"), text("paint"), text("rest")),
        ("fast".into(), "red".into(), "".into())
    );
}

#[test]
fn columns_keep_their_order() {
    let names: Vec<_> = schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names.first().map(String::as_str), Some("id"));
    assert_eq!(
        names[24..27],
        ["finish_reason", "input_tokens", "cache_read_tokens"].map(str::to_owned)
    );
    assert_eq!(names.last().map(String::as_str), Some("rest"));
    assert_eq!(names.len(), 48);
}

#[tokio::test]
async fn segment_of_many_batches_and_row_groups_is_moved_whole() {
    let mut lake = Fixture::new();
    let records: Vec<_> =
        (0..40_000).map(|number| record(number, u64::from(number % 2 == 0) * 60)).collect();
    records.chunks(1_000).for_each(|records| lake.write(records));
    lake.journal.seal();
    let by = vec![gantry_model::rest::UsageKey::Caller];
    let query = gantry_model::rest::UsageQuery { by, ..Default::default() };
    for place in ["journal", "files"] {
        let rows = lake.lake.usage(&query).await.unwrap();
        assert_eq!((rows.len(), rows[0].requests), (1, 40_000), "{place}");
        lake.lake.ingest().await.unwrap();
    }
    assert_eq!(lake.files(), (2, 0));
}

#[tokio::test]
async fn segment_of_a_newer_gantry_waits_and_holds_nothing_up() {
    let mut lake = Fixture::new();
    let newer = lake.dir.path().join("journal").join("0000000000000-a-000000.seg");
    std::fs::write(&newer, b"GJRNL\0\0\xff?").unwrap();
    lake.seal(&[record(1, 0)]);
    assert_eq!(lake.all().await, [1]);
    let error = lake.lake.ingest().await.unwrap_err();
    assert!(matches!(error, Error::Journal { source: journal::Error::Newer { .. } }), "{error}");
    assert_eq!((lake.segments().len(), lake.files()), (1, (1, 0)));
    assert_eq!(lake.all().await, [1]);
}

/// As a release wrote it that did not know of traces.
fn without_traces(file: bytes::Bytes) -> Vec<u8> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut batch = reader.collect::<Result<Vec<_>, _>>().unwrap().remove(0);
    batch.remove_column(batch.schema().index_of("trace_id").unwrap());
    batch.remove_column(batch.schema().index_of("parent_span_id").unwrap());
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn files_of_an_older_schema_are_read_and_merged() {
    let mut fixture = Fixture::new();
    for records in [[record(1, 120)], [record(2, 119)]] {
        fixture.seal(&records);
        fixture.lake.ingest().await.unwrap();
    }
    let store = &fixture.lake.0.store;
    for file in store.list(None).await.unwrap().files {
        let old = without_traces(store.get(&file.meta.location).await.unwrap());
        store.put(&file.meta.location, old).await.unwrap();
    }
    let own = id(NOW_MS - 120 * MINUTE_MS, 1).to_string();
    let query = LogQuery { trace: Some(own), ..LogQuery::default() };
    for merged in [2, 0] {
        assert_eq!(fixture.all().await, [1, 2]);
        assert_eq!(numbers(&fixture.lake.requests(&query).await.unwrap()), [1]);
        assert_eq!(fixture.lake.compact().await.unwrap(), merged);
    }
}

#[tokio::test]
async fn round_of_the_background_task_moves_what_is_sealed() {
    let mut lake = Fixture::with(|config| config.ingest_every = Duration::ZERO);
    lake.seal(&[record(1, 0), record(2, 70)]);
    lake.write(&[record(3, 0)]);
    let shutdown = Shutdown::default();
    let kit = Kit::new(Clock::manual(0), shutdown.clone(), 1);
    let task = gantry_runtime::tasks::spawn("lake", lake.lake.clone().run(kit));
    while lake.segments().len() > 1 {
        tokio::task::yield_now().await;
    }
    shutdown.begin();
    task.await.unwrap();
    assert_eq!(lake.files(), (2, 0), "one file per hour");
    assert_eq!(lake.all().await, [2, 1, 3]);
    let page = lake.lake.0.metrics.render();
    assert!(page.contains("gantry_lake_rows_total 2\n"), "{page}");
}
