//! What stands in a record for whoever runs the gateway is not in what its caller may read.

use crate::harness::{Harness, chat, text};
use gantry_testkit::snapshot::{MEMBER_TOKEN, account, openai, source, virtual_model};
use gantry_testkit::{Fault, MockUpstream, Place, Step};
use http::Method;
use serde_json::{Value, json};

/// An account of one model with these fields over the usual ones.
fn special(name: &str, model: &str, more: Value, subject: &str) -> gantry_testkit::snapshot::Entry {
    let mut manifest = json!({
        "type": "provider-account/openai", "name": name,
        "auth_data": {"type": "api-key", "api_key": "sk-plain-key"},
        "integrations": [{
            "type": "integration/model/openai", "name": model, "model_id": "upstream-name",
            "authorized_subjects": [subject],
        }],
    });
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    account(manifest).unwrap()
}

fn to(target: Value) -> Value {
    json!({"type": "priority-based-routing", "load_balance_targets": [target]})
}

fn once(target: &str) -> Value {
    let never = json!({"attempts": 0, "delay": 1, "on_status_codes": []});
    to(json!({"target": target, "priority": 0, "retry_config": never}))
}

#[tokio::test]
async fn no_failure_tells_its_caller_what_is_for_the_operator() {
    let mock = MockUpstream::start().await.unwrap();
    let everyone = "team:everyone";
    let own = json!({"base_url": format!("{}/v1", mock.url())});
    let lost = json!({
        "base_url": "https://api.example.invalid/v1",
        "auth_data": {"type": "api-key", "api_key": "env://PLANTED_NAME"},
    });
    let gold = json!({
        "target": "open/m", "priority": 0, "metadata_match": {"tier": "planted-gold"},
    });
    let entries = [
        openai("open", &mock.url(), &["m"]).unwrap(),
        special("away", "m", json!({"base_url": "http://127.0.0.1:1/v1"}), everyone),
        special("lost", "m", lost, everyone),
        special("closed", "hidden-model", own, "user:somebody@gantry.test"),
        virtual_model("route", "away", once("away/m")).unwrap(),
        virtual_model("way", "lost", to(json!({"target": "lost/m", "priority": 0}))).unwrap(),
        virtual_model("gold", "only", to(gold)).unwrap(),
        virtual_model("shut", "in", once("closed/hidden-model")).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let reset = Step::Fault(Fault::Cut { at: Place::BeforeHeaders, reset: true });
    let status = Step::Fault(Fault::Status { code: 400, retry: gantry_testkit::Retry::Unsaid });
    // The model, what the mock does, and what the operator learns.
    let cases = [
        ("away/m", None, vec!["127.0.0.1:1"]),
        ("route/away", None, vec!["127.0.0.1:1"]),
        ("open/m", Some(reset.clone()), vec!["get an answer from http://127.0.0.1"]),
        ("lost/m", None, vec!["PLANTED_NAME"]),
        ("way/lost", None, vec!["PLANTED_NAME"]),
        ("gold/only", None, vec!["planted-gold"]),
        ("shut/in", Some(reset), vec!["hidden-model", "get an answer from http://127.0.0.1"]),
        ("shut/in", Some(status), vec!["hidden-model", "127.0.0.1", "upstream-name"]),
    ];
    let planted =
        ["127.0.0.1", "http://", "example.invalid", "PLANTED_NAME", "planted-gold", "hidden-model"];
    for (model, step, told) in cases {
        if let Some(step) = step {
            mock.always(step);
        }
        let bearer = format!("Bearer {MEMBER_TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        let path = "/v1/chat/completions";
        let answer = gateway.send(Method::POST, path, &chat(model), &headers).await;
        assert!(!answer.status.is_success(), "{model}: {}", text(&answer));
        let record = gateway.records().pop().unwrap();
        let operators = serde_json::to_string(&record).unwrap();
        let mut shown = record.for_caller();
        // The caller's own address, which is the upstreams' host here.
        assert_eq!(std::mem::take(&mut shown.peer), "127.0.0.1");
        let callers = serde_json::to_string(&shown).unwrap();
        for part in told {
            assert!(operators.contains(part), "{model}: {part} is missing in {operators}");
        }
        for part in planted {
            assert!(!callers.contains(part), "{model}: {part} in {callers}");
            assert!(!text(&answer).contains(part), "{model}: {part} in {}", text(&answer));
        }
        assert!(!callers.contains("get an answer"), "{model}: {callers}");
    }
}

#[tokio::test]
async fn a_target_that_its_caller_may_use_keeps_its_name() {
    let mock = MockUpstream::start().await.unwrap();
    let entries = [
        openai("open", &mock.url(), &["m"]).unwrap(),
        virtual_model("route", "open", once("open/m")).unwrap(),
    ];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let bearer = format!("Bearer {MEMBER_TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    let body = chat("route/open");
    let answer = gateway.send(Method::POST, "/v1/chat/completions", &body, &headers).await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    let seen = gateway.record().for_caller();
    assert_eq!((seen.resolved_model.as_str(), seen.route[1].target.as_str()), ("open/m", "open/m"));
    assert_eq!((seen.attempts[0].target.as_str(), seen.attempts[0].url.as_str()), ("open/m", ""));
}
