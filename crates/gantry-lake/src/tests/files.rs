//! What a file gives back is what the columns had, however it was written.

use super::*;
use crate::columns::Columns;
use crate::parquet_file::ParquetFile;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde_json::{Value, json};

/// Columns with these records, as the journal has them.
fn columns(records: &[Value]) -> Columns {
    let mut columns = Columns::new(true);
    records.iter().for_each(|record| columns.append(&packed(record)).unwrap());
    columns
}

/// All rows of a file as one batch.
fn read(file: Vec<u8>) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let batches: Vec<_> = reader.build().unwrap().collect::<Result<_, _>>().unwrap();
    arrow::compute::concat_batches(&schema(), &batches).unwrap()
}

/// A file of three row groups: of the columns, of the same rows as a batch, of the columns again.
fn check(records: &[Value]) {
    let expected = columns(records).finish().unwrap();
    let mut file = ParquetFile::new().unwrap();
    file.write_columns(&mut columns(records)).unwrap();
    file.write(&expected).unwrap();
    file.write_columns(&mut columns(records)).unwrap();
    let expected = [expected.clone(), expected.clone(), expected];
    let expected = arrow::compute::concat_batches(&schema(), &expected).unwrap();
    assert_eq!(read(file.finish().unwrap()), expected);
}

fn number(at: u64) -> Value {
    json!({"id": format!("{at:032x}"), "duration_us": at})
}

/// The fields of one in the other.
fn with(mut record: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    record.as_object_mut().unwrap().extend(more);
    record
}

#[test]
fn rows_without_any_value_come_back() {
    check(&[json!({})]);
    check(&vec![json!({}); 1_000]);
    assert_eq!(read(ParquetFile::new().unwrap().finish().unwrap()).num_rows(), 0);
}

#[test]
fn shared_texts_come_back_in_their_rows() {
    for distinct in [1, 2, 3, 9, 300] {
        let record = |at: u64| {
            let text = format!("é{}", at * at % distinct);
            let fields = json!({"model": text, "route": [{"target": text}], "tenant": "acme"});
            if at % 7 < 2 { number(at) } else { with(number(at), fields) }
        };
        check(&(0..1_000).map(record).collect::<Vec<_>>());
        // Long runs of the same, begun and ended within a group of eight.
        check(&(0..1_000).map(|at| record(at / 101)).collect::<Vec<_>>());
    }
}

#[test]
fn lists_and_maps_come_back_with_their_elements() {
    let lists = [json!([]), json!(["a"]), json!(["a", "b", "a"]), json!(["", "c"]), Value::Null];
    let maps = [json!({}), json!({"k": "1"}), json!({"k": "2", "l": "1"}), Value::Null];
    let record = |at: u64| {
        let at = usize::try_from(at * at / 3).unwrap();
        json!({"teams": lists[at % lists.len()], "metadata": maps[at % maps.len()]})
    };
    check(&(0..500).map(record).collect::<Vec<_>>());
    check(&(0..500).map(|at| record(at / 50)).collect::<Vec<_>>());
}

#[test]
fn columns_of_many_long_values_come_back() {
    let record = |at: u64| {
        let text = format!("{at}").repeat(20);
        let fields = json!({
            "subject": text, "teams": [text, "t"], "metadata": {text.clone(): text.clone()},
            "fidelity": [{"note": text}], "error": text, "news": at, "request_body": text,
        });
        with(number(at), fields)
    };
    check(&(0..2_000).map(record).collect::<Vec<_>>());
}

#[test]
fn rows_of_malformed_records_are_in_no_file() {
    let records = [json!({"model": "a"}), json!({"model": "b", "stream": true})];
    let mut columns = Columns::new(true);
    for record in &records {
        columns.append(&packed(record)).unwrap();
        assert!(columns.append(&packed(record)[..12]).is_err());
    }
    let mut file = ParquetFile::new().unwrap();
    file.write_columns(&mut columns).unwrap();
    let expected = self::columns(&records).finish().unwrap();
    assert_eq!(read(file.finish().unwrap()), expected);
}

/// A segment as releases wrote it that kept names in the journal.
fn named(records: &[RequestRecord]) -> Vec<u8> {
    let mut bytes = b"GJRNL\0\0\x02".to_vec();
    for record in records {
        let payload = packed(&serde_json::to_value(record).unwrap());
        bytes.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend(crc32fast::hash(&payload).to_le_bytes());
        bytes.extend(payload);
    }
    bytes
}

#[tokio::test]
async fn segments_of_an_earlier_release_are_asked_and_moved_beside_new_ones() {
    let mut lake = Fixture::new();
    let older = lake.dir.path().join("journal").join("0000000000000-a-000000.seg");
    std::fs::write(&older, named(&[full(1), record(2, 70)])).unwrap();
    lake.seal(&[full(3), record(4, 70)]);
    for (ingested, files) in [(4, 0), (0, 4)] {
        assert_eq!(lake.files(), (files, 0));
        let query = LogQuery { model: Some("fast".into()), ..LogQuery::default() };
        let mut found = numbers(&lake.lake.requests(&query).await.unwrap());
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, 4]);
        for number in [1, 3] {
            let text = id(NOW_MS, number).to_string();
            assert_eq!(lake.lake.request(&text, None).await.unwrap(), Some(full(number)));
        }
        let by = vec![gantry_model::rest::UsageKey::Team, gantry_model::rest::UsageKey::Model];
        let query = gantry_model::rest::UsageQuery { by, ..Default::default() };
        let rows = lake.lake.usage(&query).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.keys.join(" "), row.requests)).collect();
        let expected = [(" main/gpt", 2), ("blue main/gpt", 2), ("red main/gpt", 2)];
        assert_eq!(rows, expected.map(|(keys, count)| (keys.to_owned(), count)));
        assert_eq!(lake.lake.ingest().await.unwrap(), ingested);
    }
}
