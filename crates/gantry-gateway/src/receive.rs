//! Stage 1, receive: which operation a path means, in which API. It reads no body.

use crate::addresses::Own;
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

/// Tells the gateway's paths from the others.
pub(crate) fn receive(request: Request, operations: &Operations) -> Received {
    let has = |name: &str| request.fields.contains(name);
    let Some(path) = Own::of(request.uri.path(), operations) else {
        return Received::Other(Box::new(request));
    };
    let lookup = path.lookup(operations, request.method.as_str(), has);
    // As the caller wrote it, but for the prefix.
    let shown = match path {
        Own::Whole(path) | Own::Below(path, _) => path,
        Own::Misspelled(_) => request.uri.path().strip_prefix('/').unwrap_or_default(),
    };
    let (api, found) = judged(lookup, shown, request.method.as_str(), operations);
    let Request { method, uri, fields: headers, body, peer, .. } = request;
    Received::Ours(Box::new(Inbound { api, found, method, uri, headers, peer, body }))
}

/// The API of a request of which only the target is known.
pub(crate) fn api_of(target: &str, operations: &Operations) -> &'static Api {
    let path = target.split('?').next().unwrap_or_default();
    match Own::of(path, operations) {
        Some(path) => path.nearest_api(operations, |_| false),
        None => operations.nearest_api("", |_| false),
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
    fn the_api_of_what_is_no_request_is_read_from_its_target() {
        let operations = Operations::standard();
        for (target, expected) in [
            ("/v1/messages?beta=true", "anthropic"),
            ("/openai/deployments/x", "azure-openai"),
            ("//v1/chat/completions", "openai"),
            ("/anthropic/v1/messages", "anthropic"),
            ("/messages/batches", "anthropic"),
            ("*", "openai"),
        ] {
            assert_eq!(api_of(target, &operations).name, expected, "{target}");
        }
    }
}
