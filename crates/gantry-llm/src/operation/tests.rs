//! What paths mean, and what holds for every row.

use super::{
    ALL, ANTHROPIC, Api, Apis, Handler, Lookup, Method, OPENAI, Operation, Operations, Path,
};
use std::collections::HashSet;

/// Name of the operation and of the API, and the model that the path names.
fn found(path: &str, method: &str, header: &str) -> Option<(String, String, Option<String>)> {
    match Operations::standard().find(path, method, |name| name == header) {
        Lookup::Found(found) => Some((
            found.operation.name.to_owned(),
            found.api.name.to_owned(),
            found.captures.get("model").map(str::to_owned),
        )),
        Lookup::WrongMethod { .. } | Lookup::Unknown { .. } => None,
    }
}

#[test]
fn knows_every_path_of_every_api() {
    let cases = [
        ("POST", "v1/chat/completions", "chat", "openai", None),
        ("POST", "v1/responses", "responses", "openai-responses", None),
        ("POST", "openai/v1/responses", "responses", "openai-responses", None),
        ("POST", "openai/responses", "responses", "openai-responses", None),
        ("POST", "v1/completions", "completion", "openai", None),
        ("POST", "v1/embeddings/", "embedding", "openai", None),
        ("POST", "v1/messages", "messages", "anthropic", None),
        ("POST", "v1/messages/count_tokens", "count_tokens", "anthropic", None),
        ("POST", "openai/v1/chat/completions", "chat", "azure-openai", None),
        ("POST", "openai/chat/completions", "chat", "azure-openai", None),
        ("POST", "openai/deployments/g/chat/completions", "chat", "azure-openai", Some("g")),
        ("POST", "openai/deployments/az/g/embeddings", "embedding", "azure-openai", Some("az/g")),
        ("POST", "openai/deployments/a%2Fg/completions", "completion", "azure-openai", Some("a/g")),
        ("GET", "v1/models", "models", "openai", None),
        ("GET", "v1/models/az/gpt", "models", "openai", Some("az/gpt")),
        ("GET", "openai/models", "models", "azure-openai", None),
    ];
    for (method, path, operation, api, model) in cases {
        let expected = (operation.to_owned(), api.to_owned(), model.map(str::to_owned));
        assert_eq!(found(path, method, ""), Some(expected), "{path}");
    }
    for path in
        ["v1/chat", "openai/deployments/embeddings", "v1/images", "v1/", "openai/v1/messages"]
    {
        assert_eq!(found(path, "POST", ""), None, "{path}");
    }
}

#[test]
fn a_header_chooses_only_where_two_apis_share_a_path() {
    let cases = [
        ("POST", "v1/chat/completions", "chat", "openai"),
        ("POST", "v1/messages", "messages", "anthropic"),
        ("GET", "v1/models", "models", "anthropic"),
        ("GET", "v1/models/m", "models", "anthropic"),
        ("GET", "openai/models", "models", "azure-openai"),
    ];
    for (method, path, operation, api) in cases {
        let (name, of, _) = found(path, method, "anthropic-version").unwrap();
        assert_eq!((name.as_str(), of.as_str()), (operation, api), "{path}");
    }
}

#[test]
fn mistakes_are_told_in_the_envelope_of_the_nearest_api() {
    let operations = Operations::standard();
    let cases = [
        ("v1/images", "", "openai"),
        ("v1/images", "anthropic-version", "anthropic"),
        ("v1/responses/resp_1", "", "openai-responses"),
        ("v1/messages/batches", "", "anthropic"),
        ("v1/chat/nonsense", "anthropic-version", "openai"),
        ("openai/nonsense", "anthropic-version", "azure-openai"),
        ("nonsense", "", "openai"),
    ];
    for (path, header, expected) in cases {
        let api = operations.nearest_api(path, |name| name == header);
        assert_eq!(api.name, expected, "{path} {header}");
    }
}

#[test]
fn texts_about_paths_and_methods_come_from_the_rows() {
    let operations = Operations::standard();
    assert_eq!(
        operations.says_unknown("v1/images"),
        "no operation at `/v1/images`; there are chat/completions, responses, completions, \
         embeddings, models, messages and messages/count_tokens below /v1"
    );
    let Lookup::WrongMethod { allowed, operation, .. } =
        operations.find("v1/messages", "GET", |_| false)
    else {
        panic!("GET is no method of messages");
    };
    assert_eq!((operation.name, allowed.as_slice()), ("messages", [Method::Post].as_slice()));
    let said = Operations::says_method("v1/messages", "GET", &allowed);
    assert_eq!(said, "`/v1/messages` takes POST, not GET");
    assert_eq!(operations.methods(), "GET, POST");
}

#[test]
fn every_row_fits_the_apis_that_it_is_found_at() {
    let apis = Apis::standard();
    let mut places = HashSet::new();
    for row in apis.operations.iter() {
        assert!(!row.paths.is_empty(), "{}", row.name);
        for Path { api, pattern, .. } in row.paths {
            assert!(apis.dialects.by_name(api.dialect.name()).is_some(), "{pattern}");
            assert!(places.insert((api.name, pattern, row.method.as_str())), "{pattern} twice");
            if let Some(exchange) = row.exchange() {
                assert_eq!(exchange.dialect.name(), api.dialect.name(), "{pattern}");
            }
        }
    }
}

#[test]
fn every_dialect_has_one_operation_of_each_meaning() {
    let apis = Apis::standard();
    for row in apis.operations.iter().filter_map(Operation::exchange) {
        let Some(meaning) = row.elsewhere.meaning() else { continue };
        for dialect in apis.dialects.iter() {
            let rows = apis.operations.of_dialect(dialect.name());
            let same = |row: &super::Exchange| row.elsewhere.meaning() == Some(meaning);
            assert_eq!(rows.filter(|(_, row)| same(row)).count(), 1, "{dialect:?}");
        }
    }
}

static GOOGLE: Api = Api { name: "gemini", dialect: OPENAI.dialect, header: None };

const fn local(name: &'static str, method: Method, paths: &'static [Path]) -> Operation {
    Operation { name, method, paths, handler: Handler::Local("test") }
}

static GENERATE: Operation = local(
    "generate",
    Method::Post,
    &[
        Path {
            api: &GOOGLE,
            pattern: "v1beta/models/{model}:generateContent",
            stream: Some(false),
        },
        Path {
            api: &GOOGLE,
            pattern: "v1beta/models/{model}:streamGenerateContent",
            stream: Some(true),
        },
    ],
);
static MODEL: Operation = local(
    "model",
    Method::Get,
    &[Path { api: &GOOGLE, pattern: "v1beta/models/{model}", stream: None }],
);
static FILE: Operation =
    local("file", Method::Get, &[Path { api: &OPENAI, pattern: "v1/files/{id}", stream: None }]);
static UNFILE: Operation = local(
    "unfile",
    Method::Delete,
    &[Path { api: &OPENAI, pattern: "v1/files/{id}", stream: None }],
);
static UPLOAD: Operation = local(
    "upload",
    Method::Post,
    &[Path { api: &ANTHROPIC, pattern: "v1/files/upload", stream: None }],
);

#[test]
fn model_and_streaming_may_stand_in_the_path() {
    let more = [&GENERATE, &MODEL, &FILE, &UNFILE, &UPLOAD];
    let operations = more.into_iter().fold(Operations::standard(), Operations::with);
    let cases = [
        ("POST", "v1beta/models/g-2:generateContent", "generate", Some(false)),
        ("POST", "v1beta/models/g-2:streamGenerateContent", "generate", Some(true)),
        ("GET", "v1beta/models/g-2", "model", None),
        ("GET", "v1/files/a", "file", None),
        ("DELETE", "v1/files/a", "unfile", None),
        ("POST", "v1/files/upload", "upload", None),
        // A file may be called so: the narrower pattern takes another method.
        ("GET", "v1/files/upload", "file", None),
    ];
    for (method, path, name, stream) in cases {
        let Lookup::Found(found) = operations.find(path, method, |_| false) else {
            panic!("{method} {path}");
        };
        assert_eq!((found.operation.name, found.stream), (name, stream), "{method} {path}");
    }
    let Lookup::WrongMethod { allowed, .. } = operations.find("v1/files/a", "POST", |_| false)
    else {
        panic!("files are not posted to");
    };
    assert_eq!(
        Operations::says_method("v1/files/a", "POST", &allowed),
        "`/v1/files/a` takes GET or DELETE, not POST"
    );
    assert!(operations.owns("v1beta/anything") && !operations.owns("healthz"));
    assert!(!Operations::standard().owns("v1beta/anything"));
    let said = operations.says_unknown("x");
    assert!(
        said.ends_with(
            "below /v1, and /v1beta/models/{model}:generateContent and \
                            /v1beta/models/{model}"
        ),
        "{said}"
    );
    assert_eq!(operations.methods(), "GET, POST, DELETE");
    assert_eq!(ALL.len(), Operations::standard().iter().count());
}
