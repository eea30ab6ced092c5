//! What files on disks rely on, and what the rows do to a record.

use super::table::{Field, NUMBERS_MAX, Place, SHARED};
use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// The record's rows, and after each those of what is in it.
fn rows(fields: &'static [Field], path: &str, found: &mut Vec<(String, &'static Field)>) {
    for field in fields {
        let path = format!("{path}{}", field.name);
        found.push((path.clone(), field));
        rows(field.inner, &format!("{path}."), found);
    }
}

fn all() -> Vec<(String, &'static Field)> {
    let mut found = Vec::new();
    rows(RequestRecord::FIELDS, "", &mut found);
    found
}

/// Segments and Parquet files on disks have these: lines are added and none is changed.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn numbers_and_columns_stay_what_they_are() {
    let line = |(path, field): &(String, &Field)| {
        let column = field
            .column
            .map_or("-".to_owned(), |column| format!("{} {}", column.name, column.kind.as_str()));
        format!("{} {path} {column}\n", field.number)
    };
    let lines: String = all().iter().map(line).collect();
    assert_eq!(lines, GOLDEN);
    assert_eq!(SHARED, 55);
}

#[test]
fn a_name_has_one_number_and_a_number_one_name() {
    let pairs: BTreeSet<_> = all().iter().map(|(_, field)| (field.number, field.name)).collect();
    let numbers: BTreeMap<_, _> = pairs.iter().copied().collect();
    let names: BTreeSet<_> = pairs.iter().map(|(_, name)| *name).collect();
    assert_eq!((numbers.len(), names.len()), (pairs.len(), pairs.len()), "{pairs:?}");
    assert!(numbers.keys().all(|number| usize::from(*number) < NUMBERS_MAX && *number != SHARED));
    assert!(!names.contains("shared"));
}

#[test]
fn no_column_has_two_fields() {
    let all = all();
    let columns: Vec<_> = all.iter().filter_map(|(_, field)| field.column).collect();
    let names: BTreeSet<_> = columns.iter().map(|column| column.name).collect();
    assert_eq!(names.len(), columns.len());
    assert!(!names.contains("rest"), "it holds what has no column");
}

#[test]
fn an_emptied_record_equals_a_new_one() {
    let text = "x".to_owned();
    let mut record = RequestRecord {
        tenant: text.clone(),
        model: "y".repeat(1000),
        status: 200,
        cost: NanoUsd(1),
        stream: true,
        first_token_us: Some(0),
        teams: vec![text.clone()],
        metadata: [(text.clone(), text.clone())].into(),
        usage: TokenUsage { input: 1, ..TokenUsage::default() },
        attempts: vec![Attempt { target: text, ..Attempt::default() }],
        request_body: Some("body".to_owned()),
        ..RequestRecord::default()
    };
    record.empty();
    assert_eq!(record, RequestRecord::default());
    assert!(record.tenant.capacity() > 0 && record.model.capacity() == 0);
}

#[test]
fn what_others_wrote_is_cut_wherever_it_stands_and_bodies_are_not() {
    use super::table::{LIST_MAX, TEXT_BYTES_MAX};
    let long = || "x".repeat(3 * TEXT_BYTES_MAX);
    let mut record = RequestRecord {
        model: long(),
        error: long(),
        finish_reason: long(),
        refusal: long().into(),
        teams: vec![long()],
        metadata: [("key".to_owned(), long())].into(),
        verdicts: vec![long(); 3],
        attempts: vec![Attempt { error: long(), ..Attempt::default() }; 2 * LIST_MAX],
        fidelity: vec![Loss { field: long(), note: long(), ..Loss::default() }],
        request_body: Some(long()),
        ..RequestRecord::default()
    };
    record.cut();
    let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
    assert_eq!(record.request_body.take(), Some(long()));
    assert_eq!(record.attempts.len(), LIST_MAX);
    record.attempts.truncate(1);
    let value = serde_json::to_value(&record).unwrap();
    let mut open = vec![&value];
    let mut texts = 0;
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::String(text) => {
                texts += usize::from(text.len() > TEXT_BYTES_MAX / 2);
                assert!(short(text), "{} bytes", text.len());
            }
            serde_json::Value::Array(inner) => open.extend(inner),
            serde_json::Value::Object(inner) => open.extend(inner.values()),
            _ => {}
        }
    }
    assert_eq!(texts, 12, "texts that were long");
}

#[test]
fn what_is_for_the_operator_is_not_shown_to_the_caller() {
    let attempt = Attempt {
        target: "main/gpt".to_owned(),
        url: "http://10.0.0.7:8000/v1".to_owned(),
        detail: "connect to 10.0.0.7: refused".to_owned(),
        status: 502,
        ..Attempt::default()
    };
    let record = RequestRecord {
        subject: "user:ann".to_owned(),
        attempts: vec![attempt.clone()],
        ..RequestRecord::default()
    };
    let shown = record.clone().for_caller();
    let attempt = Attempt { url: String::new(), detail: String::new(), ..attempt };
    assert_eq!(shown, RequestRecord { attempts: vec![attempt], ..record });
}

#[test]
fn what_the_lake_looks_at_first_stands_first() {
    let number =
        |name: &str| all().iter().find(|(path, _)| path == name).map(|found| found.1.number);
    assert_eq!(number("received_at_ms"), Some(RECEIVED_AT_NUMBER));
    let head = all().into_iter().filter(|(_, field)| field.place == Place::Head);
    let head: Vec<_> = head.map(|(path, _)| path).collect();
    assert_eq!(head, ["id", "received_at_ms"]);
}
