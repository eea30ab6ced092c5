//! Base addresses as clients write them: which of all paths are the gateway's, and what is left of
//! one behind its base.
//!
//! `receive` asks once per request. Clients and the people who set them up put the same operations
//! behind many bases: the host alone, `/v1`, a vendor's prefix, the address of another gateway that
//! this one stands in for. A path that looks like a model's is never handed on: its caller reads an
//! error envelope. It must not take what is the control plane's.

use gantry_llm::operation::{ANTHROPIC, Api, Lookup, Method, Operations};

/// What operations are below unless their paths say otherwise.
const USUAL: &str = "v1/";

/// The control plane's own paths.
const CONTROL: &str = "api/svc/";

/// Bases below which every operation is found, with the `v1/` of its path or without. One may stand
/// behind another.
const BASES: [(&str, Speaks); 8] = [
    ("api/llm/", Speaks::Either),
    ("api/inference/openai/", Speaks::OpenAi),
    ("api/inference/anthropic/", Speaks::Anthropic),
    ("api/inference/", Speaks::Either),
    ("api/openai/", Speaks::OpenAi),
    ("api/anthropic/", Speaks::Anthropic),
    ("api/v1/", Speaks::Either),
    ("anthropic/", Speaks::Anthropic),
];

/// First segments of paths of model APIs, beside those of the operations: whoever asks there wants
/// a model.
const MODEL_ROOTS: [&str; 33] = [
    "anthropic",
    "assistants",
    "audio",
    "batches",
    "chat",
    "complete",
    "completions",
    "compatible-mode",
    "conversations",
    "deployments",
    "embeddings",
    "engines",
    "files",
    "fine_tuning",
    "generate",
    "images",
    "inference",
    "messages",
    "model",
    "models",
    "moderations",
    "openai",
    "rerank",
    "responses",
    "threads",
    "tokenize",
    "uploads",
    "v1",
    "v1alpha",
    "v1beta",
    "v2",
    "vector_stores",
    "videos",
];

/// Which API a base names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// None: a header chooses where both have a path.
    Either,
    OpenAi,
    Anthropic,
}

impl Speaks {
    /// Whether `header` counts as sent.
    fn has(self, header: &str, sent: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Either => sent(header),
            Self::OpenAi => ANTHROPIC.header != Some(header) && sent(header),
            Self::Anthropic => ANTHROPIC.header == Some(header) || sent(header),
        }
    }
}

/// A path that is the gateway's, without its leading slash and its base.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Own<'p> {
    Whole(&'p str),
    /// It stood behind a base, or behind none at all.
    Below(&'p str, Speaks),
    /// It would be one but for its slashes and letters (`//v1/…`, `/V1/…`). It is refused, in the
    /// envelope that the client reads.
    Misspelled(String),
}

impl<'p> Own<'p> {
    pub(crate) fn of(path: &'p str, operations: &Operations) -> Option<Self> {
        let plain = path.strip_prefix('/')?;
        // Most requests: nothing more is looked at.
        if operations.owns(plain) && doubled(plain).is_none() {
            return Some(Self::Whole(plain));
        }
        if let Some((below, speaks)) = below(plain) {
            return Some(Self::Below(below, speaks));
        }
        if looks_like_a_models(plain, operations) {
            return Some(Self::Below(plain, Speaks::Either));
        }
        let path = path.trim_start_matches('/').to_ascii_lowercase();
        let own = below(&path).is_some()
            || operations.owns(&path)
            || looks_like_a_models(&path, operations);
        (own && path != plain).then_some(Self::Misspelled(path))
    }

    pub(crate) fn lookup(
        &self,
        operations: &Operations,
        method: &str,
        sent: impl Fn(&str) -> bool,
    ) -> Lookup {
        match self {
            Self::Whole(path) => operations.find(path, method, sent),
            Self::Below(path, speaks) => {
                let has = |header: &str| speaks.has(header, &sent);
                match operations.find(path, method, has) {
                    Lookup::Unknown { .. } if !operations.owns(path) => {
                        operations.find(&format!("{USUAL}{path}"), method, has)
                    }
                    known => known,
                }
            }
            Self::Misspelled(_) => Lookup::Unknown { api: self.nearest_api(operations, sent) },
        }
    }

    /// The API in whose envelope the caller expects to be told of a mistake.
    pub(crate) fn nearest_api(
        &self,
        operations: &Operations,
        sent: impl Fn(&str) -> bool,
    ) -> &'static Api {
        match self {
            Self::Whole(path) => operations.nearest_api(path, sent),
            Self::Below(path, speaks) => {
                let has = |header: &str| speaks.has(header, &sent);
                match operations.owns(path) {
                    true => operations.nearest_api(path, has),
                    false => operations.nearest_api(&format!("{USUAL}{path}"), has),
                }
            }
            Self::Misspelled(path) => operations.nearest_api(path, sent),
        }
    }
}

/// What stands behind the bases of a path, and which API they name; `None` when there is no base.
fn below(path: &str) -> Option<(&str, Speaks)> {
    let mut found: Option<(&str, Speaks)> = None;
    loop {
        let (rest, said) = found.unwrap_or((path, Speaks::Either));
        let base =
            BASES.iter().find_map(|(base, speaks)| Some((rest.strip_prefix(base)?, *speaks)));
        match base.or_else(|| Some((doubled(rest)?, Speaks::Either))) {
            None => return found,
            Some((rest, Speaks::Either)) => found = Some((rest, said)),
            Some((rest, speaks)) => found = Some((rest, speaks)),
        }
    }
}

/// The path behind a version that was written twice, by the client and by who set it up.
fn doubled(path: &str) -> Option<&str> {
    path.strip_prefix(USUAL).filter(|rest| rest.starts_with(USUAL))
}

fn looks_like_a_models(path: &str, operations: &Operations) -> bool {
    let path = path.trim_end_matches('/');
    let root = path.split('/').next().unwrap_or(path);
    // An operation of upstreams, whatever base it stands behind.
    let posted = operations.iter().filter(|row| row.method == Method::Post);
    let mut usual =
        posted.flat_map(|row| row.paths).filter_map(|row| row.pattern.strip_prefix(USUAL));
    let mut ends =
        || usual.any(|end| path.strip_suffix(end).is_some_and(|base| base.ends_with('/')));
    let plain = !root.is_empty() && !root.bytes().any(|byte| byte.is_ascii_uppercase());
    plain && !path.starts_with(CONTROL) && (MODEL_ROOTS.contains(&root) || ends())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_nearly_the_gateways_are_not_handed_on() {
        let operations = Operations::standard();
        let misspelled = |text: &str| Some(Own::Misspelled(text.to_owned()));
        let below = |text: &'static str| Some(Own::Below(text, Speaks::Either));
        let cases = [
            ("/v1/messages", Some(Own::Whole("v1/messages"))),
            ("/openai/nonsense", Some(Own::Whole("openai/nonsense"))),
            ("/api/llm/messages", below("messages")),
            ("/chat/completions", below("chat/completions")),
            ("/v1", below("v1")),
            ("/v1beta/models/g:generateContent", below("v1beta/models/g:generateContent")),
            ("/team/v4/chat/completions", below("team/v4/chat/completions")),
            ("//v1/messages", misspelled("v1/messages")),
            ("//chat/completions", misspelled("chat/completions")),
            ("/V1/chat/completions", misspelled("v1/chat/completions")),
            ("/API/LLM/v1/models", misspelled("api/llm/v1/models")),
            ("/healthz", None),
            ("/api/svc/v1/apply", None),
            ("/api/svc/v1/messages", None),
            ("/login", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Own::of(path, &operations), expected, "{path}");
        }
    }

    #[test]
    fn an_operation_is_found_behind_every_base_that_clients_write() {
        let operations = Operations::standard();
        let sent = |header: &str| header == "anthropic-version";
        for (path, operation, api) in [
            ("/chat/completions", "chat", "openai"),
            ("/completions", "completion", "openai"),
            ("/embeddings", "embedding", "openai"),
            ("/messages", "messages", "anthropic"),
            ("/messages/count_tokens", "count_tokens", "anthropic"),
            ("/v1/v1/chat/completions", "chat", "openai"),
            ("/openai/v1/chat/completions", "chat", "azure-openai"),
            ("/anthropic/v1/messages", "messages", "anthropic"),
            ("/anthropic/messages", "messages", "anthropic"),
            ("/anthropic/v1/messages/count_tokens", "count_tokens", "anthropic"),
            ("/api/anthropic/v1/messages", "messages", "anthropic"),
            ("/api/inference/openai/chat/completions", "chat", "openai"),
            ("/api/inference/openai/v1/chat/completions", "chat", "openai"),
            ("/api/inference/anthropic/v1/messages", "messages", "anthropic"),
            ("/api/inference/v1/embeddings", "embedding", "openai"),
            ("/api/v1/chat/completions", "chat", "openai"),
            ("/api/llm/v1/chat/completions", "chat", "openai"),
            ("/api/llm/chat/completions", "chat", "openai"),
            ("/api/llm/api/inference/openai/embeddings", "embedding", "openai"),
            ("/api/llm/messages/count_tokens", "count_tokens", "anthropic"),
            ("/api/llm/openai/deployments/a/b/embeddings", "embedding", "azure-openai"),
        ] {
            // No header chooses against a path.
            for header in [true, false] {
                let own = Own::of(path, &operations).unwrap();
                let lookup = own.lookup(&operations, "POST", |name| header && sent(name));
                let Lookup::Found(found) = lookup else { panic!("{path}: {lookup:?}") };
                assert_eq!((found.operation.name, found.api.name), (operation, api), "{path}");
            }
        }
    }

    #[test]
    fn a_base_says_whose_list_of_models_is_meant() {
        let operations = Operations::standard();
        for (path, header, api) in [
            ("/models", false, "openai"),
            ("/models", true, "anthropic"),
            ("/anthropic/v1/models", false, "anthropic"),
            ("/api/inference/openai/v1/models", true, "openai"),
            ("/api/llm/v1/models/a/b", true, "anthropic"),
        ] {
            let own = Own::of(path, &operations).unwrap();
            let sent = |name: &str| header && name == "anthropic-version";
            let Lookup::Found(found) = own.lookup(&operations, "GET", sent) else {
                panic!("{path}");
            };
            assert_eq!((found.operation.name, found.api.name), ("models", api), "{path} {header}");
        }
    }

    #[test]
    fn what_no_operation_has_is_told_in_the_envelope_of_its_base() {
        let operations = Operations::standard();
        for (path, api) in [
            ("/images", "openai"),
            ("/messages/batches", "anthropic"),
            ("/anthropic/v1/complete", "anthropic"),
            ("/api/inference/openai/v1/images", "openai"),
            ("/v1beta/models/g:generateContent", "openai"),
        ] {
            let own = Own::of(path, &operations).unwrap();
            let Lookup::Unknown { api: found } = own.lookup(&operations, "POST", |_| false) else {
                panic!("{path} is found");
            };
            assert_eq!(found.name, api, "{path}");
        }
    }
}
