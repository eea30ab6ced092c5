//! What a line says, in both formats, and that the filter counts.

use super::*;
use gantry_model::ids::RequestId;
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
