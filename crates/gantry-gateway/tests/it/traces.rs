//! The caller's trace: in the record, and on to the upstream.

use crate::harness::{Harness, Setup, chat, text};
use gantry_model::trace::{TraceParent, span_id};
use gantry_testkit::snapshot::{anthropic, openai, source, virtual_model};
use gantry_testkit::{Fault, MockUpstream, Retry, Step};
use http::Method;
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

async fn gateway(mock: &MockUpstream, traces: bool) -> Harness {
    let untraced = json!({
        "type": "weight-based-routing",
        "load_balance_targets": [{"target": "mock/m", "weight": 100,
            "headers_override": {"remove": ["traceparent"]}}],
    });
    let entries = [
        openai("mock", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
        virtual_model("route", "untraced", untraced).unwrap(),
    ];
    let setup = Setup { traces, ..Setup::default() };
    Harness::set_up(source(&entries).unwrap(), setup).await
}

async fn ask(gateway: &Harness, model: &str, headers: &[(&'static str, &str)]) {
    let path = "/v1/chat/completions";
    let answer = gateway.send(Method::POST, path, &chat(model), headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
}

fn sent(mock: &MockUpstream, at: usize) -> Option<String> {
    mock.requests()[at].header("traceparent").map(str::to_owned)
}

#[tokio::test]
async fn without_a_receiver_of_spans_the_callers_header_goes_on() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, false).await;
    let headers = [("traceparent", &*traceparent()), ("tracestate", "vendor=1")];
    for model in ["mock/m", "claude/m"] {
        ask(&gateway, model, &headers).await;
        let request = mock.last_request().unwrap();
        assert_eq!(request.header("traceparent"), Some(&*traceparent()), "{model}");
        assert_eq!(request.header("tracestate"), Some("vendor=1"), "{model}");
        let record = gateway.records().pop().unwrap();
        assert_eq!((&*record.trace_id, &*record.parent_span_id), (TRACE, SPAN), "{model}");
    }
    ask(&gateway, "mock/m", &[]).await;
    assert_eq!(mock.last_request().unwrap().header("traceparent"), None);
    assert_eq!(gateway.records().pop().unwrap().trace_id, "");
}

#[tokio::test]
async fn each_upstream_call_names_its_own_span_in_the_callers_trace() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, true).await;
    let busy = Fault::Status { code: 503, retry: Retry::Millis(1) };
    mock.script(vec![Step::Fault(busy)]);
    ask(&gateway, "mock/m", &[("traceparent", &traceparent())]).await;
    let id = gateway.record().id.unwrap();
    for number in [1, 2] {
        let span = TraceParent::parse(&sent(&mock, number - 1).unwrap()).unwrap();
        assert_eq!(format!("{:032x}", span.trace_id), TRACE);
        assert_eq!((span.span_id, span.flags), (span_id(id, number as u64), 1));
    }
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_with_its_id() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, true).await;
    let nonsense = format!("00-{TRACE}-{}-01", "0".repeat(16));
    for headers in [&[][..], &[("traceparent", &*nonsense)]] {
        ask(&gateway, "claude/m", headers).await;
        let record = gateway.records().pop().unwrap();
        assert_eq!((&*record.trace_id, &*record.parent_span_id), ("", ""));
        let header = mock.last_request().unwrap().header("traceparent").unwrap().to_owned();
        let span = TraceParent::parse(&header).unwrap();
        assert_eq!(span.trace_id, record.id.unwrap().0);
        assert_eq!(span.span_id, span_id(record.id.unwrap(), 1));
    }
}

#[tokio::test]
async fn a_manifest_can_keep_the_trace_from_an_upstream() {
    let mock = MockUpstream::start().await.unwrap();
    for traces in [true, false] {
        let gateway = gateway(&mock, traces).await;
        ask(&gateway, "route/untraced", &[("traceparent", &traceparent())]).await;
        assert_eq!(mock.last_request().unwrap().header("traceparent"), None, "{traces}");
        assert_eq!(gateway.record().trace_id, TRACE);
    }
}
