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
        // A full record stands for 13 others.
        let expected = [(" main/gpt", 2), ("blue main/gpt", 28), ("red main/gpt", 28)];
        assert_eq!(rows, expected.map(|(keys, count)| (keys.to_owned(), count)));
        assert_eq!(lake.lake.ingest().await.unwrap(), ingested);
    }
}

#[tokio::test]
async fn merged_file_has_large_row_groups_as_they_were_and_small_ones_together() {
    let mut lake = Fixture::new();
    let many: Vec<_> = (0..10_500).map(|number| record(number, 120)).collect();
    // 5000 rows are copied, 300 and 200 read, 5000 copied.
    for records in [&many[..5_000], &many[5_000..5_300], &many[5_300..5_500], &many[5_500..]] {
        lake.seal(records);
        lake.lake.ingest().await.unwrap();
    }
    assert_eq!(lake.lake.compact().await.unwrap(), 4);
    let store = &lake.lake.0.store;
    let [file] = store.list(None).await.unwrap().files.try_into().unwrap();
    let bytes = store.get(&file.meta.location).await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let groups = reader.metadata().row_groups().iter();
    assert_eq!(groups.map(|group| group.num_rows()).collect::<Vec<_>>(), [5_000, 500, 5_000]);
    let records = convert::to_records(&read(bytes.to_vec())).unwrap();
    assert_eq!(records, many);
    for number in [0, 4_999, 5_000, 5_499, 5_500, 10_499] {
        let id = many[number].id.unwrap().to_string();
        let found = lake.lake.request(&id, None).await.unwrap();
        assert_eq!(found.as_ref(), Some(&many[number]));
    }
}

/// Fields as only another version of Gantry may write them.
#[test]
fn shared_fields_count_once_and_none_is_lost() {
    let text = |key: &[u8], value: &str| {
        [
            &[0xa0 | u8::try_from(key.len()).unwrap()],
            key,
            &[0xa0 | u8::try_from(value.len()).unwrap()],
            value.as_bytes(),
        ]
        .concat()
    };
    let map = |fields: &[Vec<u8>]| {
        [vec![0x80 | u8::try_from(fields.len()).unwrap()], fields.concat()].concat()
    };
    let shared = |fields: &[Vec<u8>]| {
        let map = map(fields);
        let head = [gantry_telemetry::journal::names::SHARED, 0xc4];
        [head.as_slice(), &[u8::try_from(map.len()).unwrap()], &map].concat()
    };
    let (model, other) = (text(b"model", "m"), text(b"model", "n"));
    let (news, tenant) = (text(b"news", "x"), text(b"tenant", "t"));
    let rows = |payloads: &[Vec<u8>]| {
        let mut columns = Columns::new(true);
        payloads.iter().for_each(|payload| columns.append(payload).unwrap());
        let batch = columns.finish().unwrap();
        let texts = |name: &str| {
            let column =
                arrow::array::AsArray::as_string::<i32>(batch.column_by_name(name).unwrap());
            column.iter().map(|text| text.unwrap_or("-").to_owned()).collect::<Vec<_>>()
        };
        (texts("model").join(" "), texts("tenant").join(" "), texts("rest").join(" "))
    };
    let check = |payloads: &[Vec<u8>], model: &str, tenant: &str, rest: &str| {
        assert_eq!(rows(payloads), (model.to_owned(), tenant.to_owned(), rest.to_owned()));
    };
    let block = shared(&[model.clone(), tenant.clone()]);
    let plain = map(std::slice::from_ref(&block));
    check(&[plain.clone(), plain.clone()], "m m", "t t", "- -");
    let flat = map(std::slice::from_ref(&other));
    check(&[flat.clone(), plain.clone(), flat, plain.clone()], "n m n m", "- t - t", "- - - -");
    let twice = [map(&[block.clone(), other.clone()]), map(&[other.clone(), block.clone()])];
    check(&twice, "m n", "t t", r#"{"model":"n"} {"model":"m"}"#);
    let doubled = map(&[shared(&[model.clone(), other])]);
    check(&[doubled.clone(), doubled], "m m", "- -", r#"{"model":"n"} {"model":"n"}"#);
    let unknown = map(&[shared(&[model, news])]);
    check(&[plain, unknown.clone(), unknown], "m m m", "t - -", r#"- {"news":"x"} {"news":"x"}"#);
    for bad in [map(&[shared(&[block])]), map(&[vec![0xa1, b'x', 0xc4, 0]])] {
        assert!(Columns::new(true).append(&bad).is_err());
    }
}
