//! Stage 1, receive: which operation a path means, in which API. It reads no body.

use crate::refusal::{Refusal, RefusalKind};
use gantry_http::http1::Fields;
use gantry_http::server::{Request, RequestBody};
use gantry_llm::operation::{Api, Lookup, Matched, Operations};
use http::{Method, Uri};
use std::net::SocketAddr;

/// A request for the gateway, its body not yet read.
pub(crate) struct Inbound {
    /// The API that the caller speaks.
    pub(crate) api: &'static Api,
    found: Result<Matched, Misdirected>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: Fields,
    /// Who is at the other end of the connection, where the server tells.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) body: RequestBody,
}

/// A path or a method that is none.
struct Misdirected {
    kind: RefusalKind,
    /// The operation's name in the record.
    operation: &'static str,
    public: String,
    /// The methods that the path takes.
    allow: Option<String>,
}

pub(crate) enum Received {
    Ours(Box<Inbound>),
    /// Not a gateway path: health, metrics, control plane.
    Other(Box<Request>),
}

/// Below it every operation is found, with the `v1/` of its path or without.
const PREFIX: &str = "/api/llm/";

/// What operations are below unless their paths say otherwise.
const USUAL: &str = "v1/";

/// Tells the gateway's paths from the others.
pub(crate) fn receive(request: Request, operations: &Operations) -> Received {
    let has = |name: &str| request.fields.contains(name);
    let Some(path) = Own::of(request.uri.path(), operations) else {
        return Received::Other(Box::new(request));
    };
    let lookup = path.lookup(operations, request.method.as_str(), has);
    // As the caller wrote it, but for the prefix.
    let shown = match path {
        Own::Whole(path) | Own::Below(path) => path,
        Own::Misspelled(_) => request.uri.path().strip_prefix('/').unwrap_or_default(),
    };
    let (api, found) = judged(lookup, shown, request.method.as_str(), operations);
    let Request { method, uri, fields: headers, body, peer, .. } = request;
    Received::Ours(Box::new(Inbound { api, found, method, uri, headers, peer, body }))
}

/// The API of a request of which only the target is known.
pub(crate) fn api_of(target: &str, operations: &Operations) -> &'static Api {
    let path = target.split('?').next().unwrap_or_default();
    let path = Own::of(path, operations);
    operations.nearest_api(path.as_ref().map_or("", Own::text), |_| false)
}

/// A path that is the gateway's, without its leading slash and [`PREFIX`].
#[derive(Debug, PartialEq, Eq)]
enum Own<'p> {
    Whole(&'p str),
    /// It stood below the prefix.
    Below(&'p str),
    /// It would be one but for its slashes and letters (`//v1/…`, `/V1/…`). It is refused, in the
    /// envelope that the client reads.
    Misspelled(String),
}

impl<'p> Own<'p> {
    fn of(path: &'p str, operations: &Operations) -> Option<Self> {
        if let Some(below) = path.strip_prefix(PREFIX) {
            return Some(Self::Below(below));
        }
        if let Some(whole) = path.strip_prefix('/').filter(|path| operations.owns(path)) {
            return Some(Self::Whole(whole));
        }
        let path = path.trim_start_matches('/').to_ascii_lowercase();
        let own = path.starts_with(PREFIX.trim_start_matches('/')) || operations.owns(&path);
        own.then_some(Self::Misspelled(path))
    }

    fn text(&self) -> &str {
        match self {
            Self::Whole(path) | Self::Below(path) => path,
            Self::Misspelled(path) => path,
        }
    }

    fn lookup(&self, operations: &Operations, method: &str, has: impl Fn(&str) -> bool) -> Lookup {
        match self {
            Self::Whole(path) => operations.find(path, method, has),
            Self::Below(path) => match operations.find(path, method, &has) {
                Lookup::Unknown { .. } => operations.find(&format!("{USUAL}{path}"), method, has),
                known => known,
            },
            Self::Misspelled(path) => Lookup::Unknown { api: operations.nearest_api(path, has) },
        }
    }
}

/// What was found, or what to tell the caller.
fn judged(
    lookup: Lookup,
    path: &str,
    method: &str,
    operations: &Operations,
) -> (&'static Api, Result<Matched, Misdirected>) {
    match lookup {
        Lookup::Found(matched) => (matched.api, Ok(matched)),
        Lookup::WrongMethod { api, operation, allowed } => {
            let names: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
            let misdirected = Misdirected {
                kind: RefusalKind::BadMethod,
                operation: operation.name,
                public: Operations::says_method(path, method, &allowed),
                allow: Some(names.join(", ")),
            };
            (api, Err(misdirected))
        }
        Lookup::Unknown { api } => {
            let misdirected = Misdirected {
                kind: RefusalKind::BadRoute,
                operation: "unknown",
                public: operations.says_unknown(path),
                allow: None,
            };
            (api, Err(misdirected))
        }
    }
}

impl Inbound {
    /// What the path and method mean.
    pub(crate) fn matched(&self) -> Result<Matched, Refusal> {
        self.found.as_ref().cloned().map_err(|misdirected| {
            let refusal = Refusal::caller(misdirected.kind, misdirected.public.clone());
            Refusal { allow: misdirected.allow.clone(), ..refusal }
        })
    }

    /// The operation's name for the record, also when it is refused.
    pub(crate) fn operation_name(&self) -> &'static str {
        match &self.found {
            Ok(matched) => matched.operation.name,
            Err(misdirected) => misdirected.operation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_nearly_the_gateways_are_not_handed_on() {
        let operations = Operations::standard();
        let misspelled = |text: &str| Some(Own::Misspelled(text.to_owned()));
        let cases = [
            ("/v1/messages", Some(Own::Whole("v1/messages"))),
            ("/openai/nonsense", Some(Own::Whole("openai/nonsense"))),
            ("/api/llm/messages", Some(Own::Below("messages"))),
            ("//v1/messages", misspelled("v1/messages")),
            ("/V1/chat/completions", misspelled("v1/chat/completions")),
            ("/API/LLM/v1/models", misspelled("api/llm/v1/models")),
            ("/healthz", None),
            ("/chat/completions", None),
            ("/api/svc/v1/apply", None),
            ("/v1", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Own::of(path, &operations), expected, "{path}");
        }
    }

    #[test]
    fn below_the_prefix_the_version_may_be_left_out() {
        let operations = Operations::standard();
        for (path, operation, api) in [
            ("/api/llm/v1/chat/completions", "chat", "openai"),
            ("/api/llm/chat/completions", "chat", "openai"),
            ("/api/llm/messages/count_tokens", "count_tokens", "anthropic"),
            ("/api/llm/openai/deployments/a/b/embeddings", "embedding", "azure-openai"),
        ] {
            let path = Own::of(path, &operations).unwrap();
            let lookup = path.lookup(&operations, "POST", |_| false);
            let Lookup::Found(found) = lookup else { panic!("{path:?}") };
            assert_eq!((found.operation.name, found.api.name), (operation, api), "{path:?}");
        }
    }

    #[test]
    fn the_api_of_what_is_no_request_is_read_from_its_target() {
        let operations = Operations::standard();
        for (target, expected) in [
            ("/v1/messages?beta=true", "anthropic"),
            ("/openai/deployments/x", "azure-openai"),
            ("//v1/chat/completions", "openai"),
            ("*", "openai"),
        ] {
            assert_eq!(api_of(target, &operations).name, expected, "{target}");
        }
    }
}
