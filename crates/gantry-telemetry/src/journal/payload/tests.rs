//! The payload says what serde says of a record, and nothing that is empty.

use super::super::toy::Toy;
use super::*;
use gantry_model::ids::RequestId;
use gantry_model::money::NanoUsd;
use gantry_model::record::{Attempt, Loss, LossKind, RequestRecord, RouteStep};
use gantry_model::usage::TokenUsage;

fn usage() -> TokenUsage {
    TokenUsage {
        input: 65_536,
        cache_read: u32::MAX.into(),
        cache_write: u64::from(u32::MAX) + 1,
        cache_write_1h: u64::MAX,
        output: 5,
        reasoning: 6,
    }
}

fn attempt() -> Attempt {
    Attempt {
        target: "t".into(),
        url: "u".into(),
        status: 65_535,
        outcome: "ok".into(),
        error: "e".into(),
        detail: "d".into(),
        closed: true,
        started_us: 255,
        duration_us: 256,
        retry_after_ms: Some(0),
        input_tokens: 127,
        output_tokens: 128,
        cost: NanoUsd(-1),
    }
}

/// Something in every field. No `..`: a new field has to come here too.
fn full() -> RequestRecord {
    RequestRecord {
        id: Some(RequestId(0x0123_4567_89ab_cdef_0000_0000_0000_00ff)),
        tenant: "acme".into(),
        received_at_ms: 1_772_350_200_000,
        duration_us: 127,
        subject: "user:änn".into(),
        teams: vec!["red".into(), String::new()],
        key_name: "k".into(),
        metadata: [("a\"".into(), "1\n".into()), ("b".into(), String::new())].into(),
        peer: "192.0.2.7".into(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        parent_span_id: "b7ad6b7169203331".into(),
        operation: "chat".into(),
        dialect: "openai".into(),
        stream: true,
        model: "x".repeat(31),
        resolved_model: "x".repeat(32),
        provider: "x".repeat(255),
        upstream_model: "x".repeat(256),
        served_model: "s".into(),
        snapshot_generation: 128,
        route: (0..20)
            .map(|step| RouteStep {
                target: format!("t{step}"),
                verdict: String::new().into(),
                reason: String::new().into(),
                detail: "d".into(),
                closed: true,
            })
            .collect(),
        attempts: vec![Attempt::default(), attempt()],
        status: 200,
        refusal: "r".into(),
        fault: "f".into(),
        error: "\u{1}\\ \u{1f680}".into(),
        finish_reason: "stop".into(),
        usage: usage(),
        usage_estimated: true,
        cost: NanoUsd(i64::MIN),
        price_version: "p".into(),
        first_token_us: Some(0),
        inter_token_us: Some(1),
        stream_events: 9,
        gateway_us: 10,
        fidelity: vec![
            Loss { field: "x".into(), kind: LossKind::Dropped, note: String::new() },
            Loss { field: String::new(), kind: LossKind::Approximated, note: "n".into() },
        ],
        verdicts: vec!["pii=pass".into()],
        request_bytes: 11,
        response_bytes: 12,
        request_body: Some("y".repeat(70_000)),
        response_body: Some(String::new()),
        also_stands_for: 13,
    }
}

fn json(record: &RequestRecord) -> serde_json::Value {
    let mut payload = Vec::new();
    append(&mut payload, record);
    let text = super::json(&payload).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn every_field_has_the_name_and_value_that_serde_gives_it() {
    let record = full();
    let mut expected = serde_json::to_value(&record).unwrap();
    assert_eq!(json(&record)["attempts"][0], serde_json::json!({}));
    // The one value in which something is empty and may be left out.
    expected["attempts"][0] = serde_json::json!({});
    assert_eq!(json(&record), expected);
}

#[test]
fn record_comes_back_and_empty_fields_take_no_space() {
    for record in [full(), RequestRecord::default()] {
        let mut payload = Vec::new();
        append(&mut payload, &record);
        assert_eq!(super::record::<RequestRecord>(&payload).unwrap(), record);
    }
    assert_eq!(json(&RequestRecord::default()), serde_json::json!({}));
}

#[test]
fn what_records_share_stands_in_the_same_bytes() {
    let record = full();
    let other = RequestRecord {
        id: Some(RequestId(7)),
        duration_us: 1,
        metadata: [("a".into(), "other".into())].into(),
        attempts: Vec::new(),
        usage: TokenUsage::default(),
        ..record.clone()
    };
    let shared = [record, other].map(|record| {
        let mut payload = Vec::new();
        append(&mut payload, &record);
        let mut cursor = Cursor::new(&payload);
        let Ok(Token::Map(_)) = cursor.token() else { panic!("no map") };
        while cursor.key().unwrap() != Key::Number(SHARED) {
            cursor.skip().unwrap();
        }
        let Ok(Token::Bytes(bytes)) = cursor.token() else { panic!("no bytes") };
        bytes.to_vec()
    });
    assert_eq!(shared[0], shared[1]);
    assert!(shared[0].len() > 500);
}

#[test]
fn shared_fields_within_shared_ones_are_malformed() {
    let payload = [0x81, SHARED, 0xc4, 5, 0x81, SHARED, 0xc4, 1, 0x80];
    let read = super::record::<RequestRecord>(&payload);
    assert!(matches!(read, Err(Error::Malformed(_))));
    let payload = [0x81, SHARED, 0xc4, 1, 0x80];
    assert_eq!(super::record::<RequestRecord>(&payload).unwrap(), RequestRecord::default());
}

#[test]
fn a_field_that_is_added_to_the_rows_is_in_the_journal() {
    let toy = Toy { model: "fast".into(), colour: "red".into() };
    let mut payload = Vec::new();
    append(&mut payload, &toy);
    assert_eq!(super::record::<Toy>(&payload).unwrap(), toy);
    let older = super::record::<RequestRecord>(&payload).unwrap();
    assert_eq!(older, RequestRecord { model: "fast".into(), ..RequestRecord::default() });
}
