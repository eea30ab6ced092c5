//! What `parse`, `check` and `check_set` refuse, and with which words.

mod golden;
mod yaml_text;

use super::*;
use crate::kinds::VirtualModelAccount;
use crate::kinds::provider_account::ModelType;

proptest::proptest! {
    /// Pieces of manifests in any order: refused or not, there is no panic and no endless loop.
    #[test]
    fn any_text_gets_an_answer(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        if let Ok(documents) = parse("m.yaml", &text) {
            for document in documents {
                if let Ok(manifest) = document.check() {
                    let again = Document::from_json(to_json(&manifest)).check();
                    proptest::prop_assert_eq!(again, Ok(manifest));
                }
            }
        }
    }
}

const PIECES: [&str; 30] = [
    "type: ",
    "provider-account/openai",
    "provider-account/virtual-model",
    "virtual-account",
    "\n",
    "\n  ",
    "\n    ",
    "name: ",
    "x",
    "integrations:",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "'",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "# ",
    "\t",
    "é\u{0}",
];

fn one(text: &str) -> Document {
    let mut documents = parse("m.yaml", text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
fn every_kinds_example_is_valid_and_survives_a_round_trip() {
    let registry = Registry::standard();
    for kind in registry.kinds() {
        let text = registry.example(kind).unwrap();
        let manifest = one(&text).check().unwrap_or_else(|problems| {
            panic!("{kind}: {problems:?}\n{text}");
        });
        assert_eq!(manifest.kind(), kind);
        let again = Document::from_json(to_json(&manifest)).check();
        assert_eq!(again.as_ref(), Ok(&manifest), "{kind}");
        let stored = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&stored).unwrap(), manifest, "{kind}");
    }
}

#[test]
fn spellings_of_the_published_sdk_are_read_and_written() {
    let cases = [
        ("provider-account/ollama", r#""auth_data":{"custom_host":"http://10.0.0.7:11434"}"#),
        ("provider-account/google-gemini", r#""auth_data":{"type":"api-key","apiKey":"k"}"#),
        ("provider-account/openai", r#""ownedBy":{"account":"me"}"#),
    ];
    for (kind, field) in cases {
        let text = format!(r#"{{"type":"{kind}","name":"x",{field},"integrations":[]}}"#);
        let manifest = one(&text).check().unwrap();
        let printed = to_json(&manifest);
        let wanted: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(printed, wanted);
    }
    let settings = one("type: gateway-global-settings\nretry_settings: {on_status_codes: [429]}");
    let printed = to_json(&settings.check().unwrap());
    assert_eq!(printed["retry_settings"]["on_status_codes"], serde_json::json!(["429"]));
}

#[test]
fn fields_that_are_there_and_empty_count_as_absent() {
    let text = "type: provider-account/openai\nname: x\nbase_url:\ncollaborators:\nintegrations:\n";
    assert!(one(text).check().is_ok());
    let required = "type: provider-account/groq\nname: x\nauth_data:\n";
    let problems = one(required).check().unwrap_err();
    assert_eq!(problems[0].message, "missing field `auth_data`");
    let manifest = one("type: provider-account/virtual-model\nname: x\nintegrations:\n- type: \
         integration/model/virtual\n  name: y\n  routing_config:\n    type: \
         latency-based-routing\n    load_balance_targets:\n    - target: a/b\n      \
         override_params: {stop: null}\n");
    let manifest = manifest.check().unwrap();
    let group = manifest.as_::<VirtualModelAccount>().unwrap();
    let target = &group.integrations[0].routing_config.targets()[0];
    assert!(target.override_params["stop"].is_null());
}

#[test]
fn debug_output_of_a_document_shows_no_secret() {
    let text = "type: provider-account/openai\nname: x\nauth_data: {type: api-key, api_key: s3cr}";
    assert!(!format!("{:?}", one(text)).contains("s3cr"));
}

#[test]
fn problems_never_show_a_secret() {
    let fields = [
        "auth_data: {type: api-key, api_key: [s3cr]}",
        "auth_data: {type: api-key, api_key: 12345}",
        "auth_data: {type: api-key, api_key: {a: s3cr}}",
        "auth_data: {type: api-key, api_key: \"s3\\x01cr\"}",
        "auth_data: {type: api-key, api_kye: s3cr}",
        "auth_data: s3cr",
        "base_url: ftp://me:s3cr@host",
        "base_url: https://me:s3cr@host/v1",
        "integrations: [{type: integration/model/openai, name: x, headers: s3cr}]",
    ];
    for field in fields {
        let text = format!("type: provider-account/openai\nname: x\n{field}\n");
        let problems = one(&text).check().unwrap_err();
        let shown = format!("{problems:?}");
        assert!(!shown.contains("s3") && !shown.contains("12345"), "{shown}");
    }
}

#[test]
fn problems_of_stored_manifests_name_the_manifest() {
    let manifest = one(&Registry::standard().example("provider-account/virtual-model").unwrap());
    let manifest = manifest.check().unwrap();
    let found = check_set(&[SetEntry { manifest: &manifest, document: None }]);
    let lines: Vec<String> = found.iter().map(|(_, problem)| problem.to_string()).collect();
    assert_eq!(
        lines[0],
        "integrations[0].routing_config.load_balance_targets[0].target: there is no model \
         `my-openai/my-model` (in provider-account/virtual-model `fleet`)"
    );
}

#[test]
fn model_types_are_spelled_as_they_are_read() {
    let all = [
        ModelType::Chat,
        ModelType::Completion,
        ModelType::Embedding,
        ModelType::Realtime,
        ModelType::Rerank,
        ModelType::AudioTranscription,
        ModelType::AudioTranslation,
        ModelType::TextToSpeech,
        ModelType::Moderation,
        ModelType::Image,
        ModelType::Responses,
        ModelType::Ocr,
    ];
    for kind in all {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn only_names_that_are_near_are_suggested() {
    let long = "x".repeat(100_000);
    let cases = [
        ("mock/gtp", Some("mock/gpt")),
        ("mock/gp", Some("mock/gpt")),
        ("moc", Some("mock/gpt")),
        ("r/b", None),
        ("g", None),
        ("", None),
        (long.as_str(), None),
    ];
    for (name, expected) in cases {
        assert_eq!(nearest(name, ["mock/gpt", "a", "r/fbanth"].into_iter()), expected, "{name:.9}");
    }
}
