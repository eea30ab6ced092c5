//! A dialect and an operation that only this test knows, added to the tables of a gateway: they
//! work from end to end, and nothing else had to learn of them.

use crate::harness::{Harness, Setup, json, text};
use crate::toy_dialect::{SAY, Toy};
use gantry_llm::operation::{
    Address, Apis, Elsewhere, Exchange, Framer, Handler, Method as OwnMethod, OPENAI, Operation,
    Path,
};
use gantry_testkit::snapshot::{anthropic, openai, source};
use gantry_testkit::{Fault, MockUpstream, Retry, Step};
use http::Method;
use serde_json::{Value, json};

static RECITALS: &[Path] = &[Path { api: &OPENAI, pattern: "v1/recitals/{model}", stream: None }];

/// `POST /v1/recitals/{model}`: a completion under another name, with the model in the path.
fn recital() -> &'static Operation {
    let apis = Apis::standard();
    let row = apis.operations.iter().find(|row| row.name == "completion").unwrap();
    let known = row.exchange().unwrap();
    Box::leak(Box::new(Operation {
        name: "recital",
        method: OwnMethod::Post,
        paths: RECITALS,
        handler: Handler::Upstream(Exchange {
            dialect: known.dialect,
            address: Address::same("recitals/{model}/completions"),
            body: known.body,
            reply: known.reply,
            framer: Framer::Nothing,
            replies: known.replies,
            unit: known.unit,
            model_types: &["chat"],
            elsewhere: Elsewhere::Refused,
            reshapes: false,
        }),
    }))
}

async fn gateway(mock: &MockUpstream) -> Harness {
    let entries = [
        openai("gpt", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
    ];
    let mut apis = Apis::standard();
    apis.dialects = apis.dialects.with(&Toy);
    apis.operations = apis.operations.with(&SAY).with(recital());
    let setup = Setup { apis: Some(apis), ..Setup::default() };
    Harness::set_up(source(&entries).unwrap(), setup).await
}

#[tokio::test]
async fn a_toy_caller_is_answered_by_upstreams_of_every_dialect() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    for model in ["gpt/m", "claude/m"] {
        let body = r#"{"say":"hi"}"#;
        let answer = gateway.post(&format!("/toy/{model}:say"), body).await;
        assert_eq!(answer.status, 200, "{model}: {}", text(&answer));
        let expected = json!({"said": "Hello from the mock.", "why": "end", "spent": [11, 4]});
        assert_eq!(json(&answer), expected, "{model}");
        let song = gateway.post(&format!("/api/llm/toy/{model}:sing"), body).await;
        let events: Vec<Value> = text(&song)
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let words: String = events.iter().filter_map(|event| event["word"].as_str()).collect();
        assert_eq!(words, "Hello from the mock.", "{model}");
        assert_eq!(events.last().unwrap()["why"], "end", "{model}");
        assert_eq!(
            mock.last_request().unwrap().json::<Value>().unwrap()["stream"],
            true,
            "{model}"
        );
    }
    let records = gateway.records();
    assert_eq!(records.len(), 4);
    for (record, model) in records.iter().zip(["gpt/m", "gpt/m", "claude/m", "claude/m"]) {
        assert_eq!((record.operation.as_ref(), record.dialect.as_ref()), ("say", "toy"));
        assert_eq!((record.model.as_str(), record.usage.input), (model, 11), "{record:#?}");
        assert_eq!((record.usage.output, record.finish_reason.as_str()), (4, "end"));
    }
}

#[tokio::test]
async fn a_toy_caller_is_told_of_mistakes_in_the_toys_envelope() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let busy = Fault::Status { code: 400, retry: Retry::Unsaid };
    let cases = [
        (Method::POST, "/toy/gpt/nobody:say", 404, "there is no model `gpt/nobody`"),
        (Method::GET, "/toy/gpt/m:say", 405, "`/toy/gpt/m:say` takes POST, not GET"),
        (Method::POST, "/toy/gpt/m:dance", 404, "/toy/{model}:say"),
        (Method::POST, "/toy/gpt/m:say", 400, ""),
    ];
    for (method, path, status, expected) in cases {
        mock.script(vec![Step::Fault(busy)]);
        let answer = gateway.send(method, path, r#"{"say":"hi"}"#, &[]).await;
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
        let oops = json(&answer)["oops"].as_str().unwrap_or_default().to_owned();
        assert!(!oops.is_empty() && oops.contains(expected), "{path}: {}", text(&answer));
    }
}

#[tokio::test]
async fn a_toy_operation_goes_to_the_path_that_its_row_names() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock).await;
    let body = r#"{"prompt":"tell"}"#;
    let answer = gateway.post("/v1/recitals/gpt/m", body).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let sent = mock.last_request().unwrap();
    assert_eq!(sent.path(), "/v1/recitals/m/completions");
    // The path names the model, so the caller's bytes are forwarded as they are.
    assert_eq!(sent.body, body);
    let record = gateway.record();
    assert_eq!((record.operation.as_ref(), record.dialect.as_ref()), ("recital", "openai"));
    let elsewhere = gateway.post("/v1/recitals/claude/m", body).await;
    assert_eq!(elsewhere.status, 400);
    assert!(
        text(&elsewhere).contains("the model's upstream has no recitals"),
        "{}",
        text(&elsewhere)
    );
    let missing = gateway.post("/v1/nothing", "{}").await;
    assert!(
        text(&missing).contains("and recitals/{model} below /v1, and /toy/"),
        "{}",
        text(&missing)
    );
}
