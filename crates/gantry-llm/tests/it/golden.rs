//! Golden cases: one folder each under `tests/golden`, walked by one test; a new case is a folder.
//!
//! `case.json` says what is translated (`kind` request, reply, stream or error; `from`, `to`), why
//! the case exists, and the context where it is not the default. Input is `in.json`, `in.sse` or
//! `in.txt`. `UPDATE_GOLDEN=1` rewrites the outputs, which a person then reads.

use crate::support::{ANTHROPIC, CREATED_S, OPENAI, REQUEST_ID, events, known, stream_context};
use gantry_kinds::catalogue;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorView};
use gantry_llm::stream::StreamTranslator;
use gantry_llm::translate::{
    self, Carried, Error, ReplyContext, RequestContext, Translated, TranslatedReply,
};
use gantry_model::facts::Quirks;
use gantry_model::record::Loss;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Request,
    Reply,
    Stream,
    Error,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: Kind,
    from: String,
    /// Absent for errors, which are printed in all dialects.
    to: Option<String>,
    #[serde(rename = "why")]
    _why: String,
    #[serde(default)]
    quirks: Quirks,
    #[serde(default = "model")]
    model: String,
    #[serde(default = "version")]
    anthropic_version: String,
    #[serde(default)]
    include_usage: bool,
    #[serde(default)]
    status: u16,
}

impl Case {
    fn target(&self) -> &'static dyn Dialect {
        known(self.to.as_deref().unwrap())
    }
}

fn model() -> String {
    "upstream-model".to_owned()
}

fn version() -> String {
    "2023-06-01".to_owned()
}

/// File name and content of each output.
type Outputs = Vec<(&'static str, String)>;

#[test]
fn every_folder_gives_its_recorded_outputs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    for folder in &folders {
        let outputs = run(folder);
        check_files(folder, &outputs, update, &mut failures);
    }
    assert!(folders.len() >= 60, "only {} golden cases were found", folders.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Compares the outputs with the files, and demands that no file is left over.
fn check_files(folder: &Path, outputs: &Outputs, update: bool, failures: &mut Vec<String>) {
    for name in ["out.json", "out.sse", "report.json"] {
        let path = folder.join(name);
        let expected = fs::read_to_string(&path).ok();
        let found = outputs.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        if expected.as_ref() == found {
            continue;
        }
        match found {
            Some(text) if update => fs::write(&path, text).unwrap(),
            None if update => fs::remove_file(&path).unwrap(),
            _ => failures.push(format!(
                "{}: expected\n{}\nfound\n{}",
                path.display(),
                expected.as_deref().unwrap_or("no file"),
                found.map_or("no output", |text| text),
            )),
        }
    }
}

fn run(folder: &Path) -> Outputs {
    let text = fs::read_to_string(folder.join("case.json"))
        .unwrap_or_else(|error| panic!("{}/case.json: {error}", folder.display()));
    let case: Case = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{}/case.json: {error}", folder.display()));
    let input = ["in.json", "in.sse", "in.txt"]
        .iter()
        .find_map(|name| fs::read(folder.join(name)).ok())
        .unwrap_or_else(|| panic!("{} has no input", folder.display()));
    match case.kind {
        Kind::Request => request(&case, &input),
        Kind::Reply => reply(&case, &input),
        Kind::Stream => stream(&case, &input),
        Kind::Error => error(&case, &input),
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

fn losses_value(losses: &[Loss]) -> Value {
    losses.iter().map(|loss| format!("{:?} {}: {}", loss.kind, loss.field, loss.note)).collect()
}

fn body_outputs(result: Result<Translated, Error>) -> Outputs {
    match result {
        Ok(Translated { body, losses, added, headers, .. }) => {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let mut report = json!({"losses": losses_value(&losses)});
            if !added.is_empty() {
                report["added"] = losses_value(&added);
            }
            if let [("anthropic-beta", beta)] = headers.as_slice() {
                report["beta"] = (*beta).into();
            }
            vec![("out.json", pretty(&value)), ("report.json", pretty(&report))]
        }
        Err(error) => vec![("report.json", pretty(&json!({"error": error.to_string()})))],
    }
}

fn request(case: &Case, input: &[u8]) -> Outputs {
    let ctx = RequestContext {
        upstream_model: &case.model,
        quirks: &case.quirks,
        traits: case.quirks.model(&case.model),
        claude: catalogue::claude(&case.model),
        version: &case.anthropic_version,
        stream: None,
    };
    body_outputs(translate::request(known(&case.from), case.target(), input, &ctx))
}

fn reply(case: &Case, input: &[u8]) -> Outputs {
    let ctx = ReplyContext {
        model: "shown-model",
        request_id: REQUEST_ID,
        carried: &Carried::default(),
        created_s: CREATED_S,
    };
    let done = translate::reply(known(&case.from), case.target(), input, &ctx);
    if let Ok(TranslatedReply { body, finish_reason, .. }) = &done {
        let value: Value = serde_json::from_slice(body).unwrap();
        let printed = [
            &value["choices"][0]["finish_reason"],
            &value["stop_reason"],
            &value["incomplete_details"]["reason"],
            &value["status"],
        ];
        assert!(printed.contains(&&json!(finish_reason)), "{finish_reason}");
    }
    body_outputs(done.map(|TranslatedReply { body, losses, .. }| Translated {
        body,
        losses,
        added: Vec::new(),
        headers: Vec::new(),
        carried: Carried::default(),
    }))
}

/// Feeds the events; a failure in the stream ends it with an error event, as the gateway does.
fn stream(case: &Case, input: &[u8]) -> Outputs {
    let ctx = stream_context(case.include_usage);
    let mut translator = StreamTranslator::new(known(&case.from), case.target(), ctx);
    let mut out = Vec::new();
    let mut failure = None;
    for (name, data) in events(std::str::from_utf8(input).unwrap()) {
        if let Err(error) = translator.event(name.as_deref(), data.as_bytes(), &mut out) {
            failure = Some(error);
            break;
        }
    }
    let failure = failure.or_else(|| translator.end(&mut out).err());
    if let Some(error) = &failure {
        let view = translator.upstream_error().cloned().unwrap_or(ErrorView {
            status: 502,
            kind: errors::ErrorKind::Upstream,
            code: None,
            param: None,
            message: error.to_string(),
            request_id: REQUEST_ID.to_owned(),
        });
        translator.error(&view, &mut out);
    }
    let report = json!({
        "losses": losses_value(translator.losses()),
        "finish_reason": translator.finish_reason(),
        "usage": translator.usage(),
        "error": failure.map(|error| error.to_string()),
    });
    vec![("out.sse", String::from_utf8(out).unwrap()), ("report.json", pretty(&report))]
}

fn error(case: &Case, input: &[u8]) -> Outputs {
    let view = errors::parse(known(&case.from), case.status, input);
    let printed = |dialect| {
        let dialect = known(dialect);
        let body = errors::print_body(dialect, &view);
        json!({
            "status": errors::status_for(dialect, &view),
            "body": serde_json::from_slice::<Value>(&body).unwrap(),
        })
    };
    let value = json!({
        "kind": view.kind.as_str(),
        "openai": printed(OPENAI),
        "anthropic": printed(ANTHROPIC),
    });
    vec![("out.json", pretty(&value))]
}
