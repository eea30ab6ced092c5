//! The page for Prometheus: its numbers, its bounds and its form.

use super::*;
use gantry_model::money::NanoUsd;
use gantry_model::record::{Attempt, RouteStep};
use gantry_model::usage::TokenUsage;
use std::collections::BTreeSet;

fn record(model: &str, user: &str, status: u16) -> RequestRecord {
    RequestRecord {
        tenant: "acme".into(),
        subject: user.into(),
        resolved_model: model.into(),
        status,
        duration_us: 1_234_567,
        gateway_us: 80,
        route: vec![RouteStep {
            target: model.into(),
            verdict: "chosen".into(),
            reason: "named by the request".into(),
            ..RouteStep::default()
        }],
        cost: NanoUsd(1_250_000),
        usage: TokenUsage { input: 10, output: 3, ..TokenUsage::default() },
        ..RequestRecord::default()
    }
}

#[track_caller]
fn check(metrics: &Metrics, lines: &[&str]) {
    let page = metrics.render();
    for line in lines {
        assert!(page.lines().any(|found| found == *line), "no line {line} in\n{page}");
    }
}

#[test]
fn sums_tokens_cost_and_requests_by_caller() {
    let metrics = Metrics::default();
    metrics.observe(&record("openai/gpt", "user:ann", 200));
    metrics.observe(&record("openai/gpt", "user:ann", 200));
    metrics.observe(&record("openai/gpt", "user:ann", 429));
    let fault = "upstream".into();
    metrics.observe(&RequestRecord { fault, ..record("openai/gpt", "user:bob", 200) });
    // Refused before it had a route.
    metrics.observe(&RequestRecord { status: 401, ..RequestRecord::default() });
    let broken = r#"model_name="openai/gpt",tenant_name="acme",username="user:bob""#;
    let labels = r#"model_name="openai/gpt",tenant_name="acme",username="user:ann""#;
    check(
        &metrics,
        &[
            &format!(r#"ai_gateway_requests_total{{{labels},status_class="2xx"}} 2"#),
            &format!(r#"ai_gateway_requests_total{{{labels},status_class="4xx"}} 1"#),
            &format!(r#"ai_gateway_requests_total{{{broken},status_class="5xx"}} 1"#),
            &format!("ai_gateway_input_tokens_total{{{labels}}} 30"),
            &format!("ai_gateway_output_tokens_total{{{labels}}} 9"),
            &format!("ai_gateway_request_cost_total{{{labels}}} 0.00375"),
            &format!(r#"ai_gateway_request_processing_ms_bucket{{{labels},le="1000"}} 0"#),
            &format!(r#"ai_gateway_request_processing_ms_bucket{{{labels},le="2500"}} 3"#),
            &format!("ai_gateway_request_processing_ms_sum{{{labels}}} 3703.701"),
            r#"gantry_gateway_seconds_bucket{le="0.00005"} 0"#,
            r#"gantry_gateway_seconds_bucket{le="0.0001"} 4"#,
            "gantry_gateway_seconds_sum 0.00032",
        ],
    );
}

#[test]
fn names_the_last_target_tried_when_no_model_answered() {
    let metrics = Metrics::default();
    let attempt = |target: &str, outcome: &'static str| Attempt {
        target: target.into(),
        outcome: outcome.into(),
        ..Attempt::default()
    };
    let mut failed = record("", "user:ann", 502);
    failed.model = "whatever the caller wrote".into();
    failed.fault = "upstream".into();
    failed.attempts = vec![attempt("a/x", "timeout"), attempt("b/y", "never heard of")];
    metrics.observe(&failed);
    let labels = r#"model_name="b/y",tenant_name="acme",username="user:ann""#;
    check(
        &metrics,
        &[
            &format!("ai_gateway_request_model_inference_failure_total{{{labels}}} 1"),
            r#"gantry_upstream_attempts_total{account="a",outcome="timeout"} 1"#,
            r#"gantry_upstream_attempts_total{account="b",outcome="other"} 1"#,
        ],
    );
}

#[test]
fn counts_callers_beyond_the_limit_as_other() {
    let metrics = Metrics::new(2, &MetadataLabels::default());
    for number in 0..5 {
        metrics.observe(&record("m", &format!("user:{number}"), 200));
    }
    metrics.observe(&record("m", "user:0", 200));
    let other = r#"model_name="other",tenant_name="other",username="other",status_class="2xx""#;
    let first = r#"model_name="m",tenant_name="acme",username="user:0",status_class="2xx""#;
    check(
        &metrics,
        &[
            &format!("ai_gateway_requests_total{{{other}}} 3"),
            &format!("ai_gateway_requests_total{{{first}}} 2"),
        ],
    );
}

fn labels(keys: &[&str]) -> Result<MetadataLabels, BadLabels> {
    keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>().try_into()
}

#[test]
fn chosen_metadata_keys_are_labels_of_every_series_of_a_caller() {
    let metrics = Metrics::new(10, &labels(&["customer-id", "team"]).unwrap());
    let mut tagged = record("m", "user:ann", 200);
    tagged.metadata = [("team", "search"), ("secret", "x")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    metrics.observe(&tagged);
    let caller = r#"model_name="m",tenant_name="acme",username="user:ann""#;
    let tags = r#"llm_gateway_metadata_customer_id="none",llm_gateway_metadata_team="search""#;
    let labels = format!("{caller},{tags}");
    check(
        &metrics,
        &[
            &format!(r#"ai_gateway_requests_total{{{labels},status_class="2xx"}} 1"#),
            &format!("ai_gateway_input_tokens_total{{{labels}}} 10"),
            &format!("ai_gateway_request_processing_ms_count{{{labels}}} 1"),
        ],
    );
    assert!(!metrics.render().contains("secret"));
}

#[test]
fn values_of_metadata_beyond_the_limit_are_other_and_the_caller_is_still_told() {
    let metrics = Metrics::new(500, &labels(&["session"]).unwrap());
    for number in 0..150 {
        let mut tagged = record("m", "user:ann", 200);
        tagged.metadata.insert("session".to_owned(), format!("{number:03}"));
        metrics.observe(&tagged);
    }
    let caller = r#"model_name="m",tenant_name="acme",username="user:ann""#;
    let labels =
        |session: &str| format!(r#"{{{caller},llm_gateway_metadata_session="{session}"}}"#);
    check(
        &metrics,
        &[
            &format!("ai_gateway_output_tokens_total{} 3", labels("099")),
            &format!("ai_gateway_output_tokens_total{} 150", labels("other")),
        ],
    );
    assert!(!metrics.render().contains(&labels("100")));
}

#[test]
fn keys_that_cannot_be_labels_are_refused() {
    let cases = [
        (labels(&["a", ""]), "an empty text is no metadata key"),
        (labels(&["a-b", "a.b"]), "`a-b` and `a.b` would both be the label"),
        (labels(&["a", "a"]), "`a` and `a` would both be the label"),
        (labels(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]), "expected at most 8"),
    ];
    for (made, expected) in cases {
        let error = made.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn open_streams_close_when_their_guard_is_dropped() {
    let metrics = Arc::new(Metrics::default());
    let one = metrics.stream_opened();
    let two = metrics.stream_opened();
    drop(one);
    check(&metrics, &["gantry_open_streams 1"]);
    drop(two);
    check(&metrics, &["gantry_open_streams 0"]);
}

#[test]
fn status_outside_the_classes_does_not_get_lost() {
    let metrics = Metrics::default();
    for status in [0, 99, 600, u16::MAX] {
        metrics.observe(&record("m", "u", status));
    }
    let labels = r#"model_name="m",tenant_name="acme",username="u",status_class="other""#;
    check(&metrics, &[&format!("ai_gateway_requests_total{{{labels}}} 4")]);
}

/// The rules of the text format: each metric has one HELP and one TYPE before its samples, its
/// samples stand together, names and labels are well formed, no sample appears twice.
#[test]
fn page_follows_the_text_format() {
    let metrics = Metrics::default();
    let mut odd = record("m\"o\\d\nel", "user:ann", 200);
    odd.refusal = "over_budget".into();
    odd.first_token_us = Some(3);
    odd.inter_token_us = Some(9_000_000);
    odd.attempts = vec![Attempt::default()];
    metrics.observe(&odd);
    let page = metrics.render();
    assert!(page.ends_with('\n'));
    let mut heads = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut current = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap().to_owned();
            assert!(heads.insert(current.clone()), "two heads for {current}");
            let kind = lines.next().unwrap();
            assert!(kind.starts_with(&format!("# TYPE {current} ")), "{kind}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let stem = name.strip_prefix(&current).unwrap_or_else(|| panic!("{name} in {current}"));
        assert!(["", "_bucket", "_sum", "_count"].contains(&stem), "{name}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(samples.insert(series.to_owned()), "twice: {series}");
    }
    let listed: BTreeSet<_> = names::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(heads, listed);
    assert!(page.contains(r#"model_name="m\"o\\d\nel""#));
    for metric in names::ALL {
        let counter = metric.kind == names::Kind::Counter;
        assert_eq!(counter, metric.name.ends_with("_total"), "{}", metric.name);
    }
}
