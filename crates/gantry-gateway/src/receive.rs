//! Stage 1, receive: which operation a path means, in which dialect. It reads no body.

use crate::refusal::{Refusal, RefusalKind};
use gantry_http::http1::Fields;
use gantry_http::server::{Request, RequestBody};
use gantry_model::facts::Dialect;
use gantry_providers::upstream;
use http::{Method, Uri};
use std::net::SocketAddr;

/// The API that a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    OpenAi,
    /// OpenAI's wire format at Azure's paths.
    Azure,
    Anthropic,
}

impl Caller {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi | Self::Azure => Dialect::OpenAi,
            Self::Anthropic => Dialect::Anthropic,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure-openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// What the caller wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A call of a model.
    Call(upstream::Operation),
    /// The models the caller may use, or one of them.
    Models(Option<String>),
}

impl Operation {
    /// Name in records and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Call(upstream::Operation::Chat) => "chat",
            Self::Call(upstream::Operation::Completion) => "completion",
            Self::Call(upstream::Operation::Embedding) => "embedding",
            Self::Call(upstream::Operation::Messages) => "messages",
            Self::Call(upstream::Operation::CountTokens) => "count_tokens",
            Self::Models(_) => "models",
        }
    }
}

/// An operation with the model that the path names (Azure's deployments).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) path_model: Option<String>,
}

/// A request for a model, its body not yet read.
pub(crate) struct Inbound {
    pub(crate) caller: Caller,
    route: Option<Route>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: Fields,
    /// Who is at the other end of the connection, where the server tells.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) body: RequestBody,
}

pub(crate) enum Received {
    Ours(Box<Inbound>),
    /// Not a gateway path: health, metrics, control plane.
    Other(Box<Request>),
}

const PREFIX: &str = "/api/llm/";

/// Tells the gateway's paths from the others.
pub(crate) fn receive(request: Request) -> Received {
    let (caller, route) = match own_path(&request.uri) {
        Some(path) => (caller(path, &request.fields), parse(path)),
        None => match misspelled(request.uri.path()) {
            Some(path) => (caller(&path, &request.fields), None),
            None => return Received::Other(Box::new(request)),
        },
    };
    let Request { method, uri, fields: headers, body, peer, .. } = request;
    Received::Ours(Box::new(Inbound { caller, route, method, uri, headers, peer, body }))
}

/// A gateway's path without a leading slash and the `/api/llm` prefix.
fn own_path(uri: &Uri) -> Option<&str> {
    below_prefix(uri.path())
}

fn below_prefix(path: &str) -> Option<&str> {
    match path.strip_prefix(PREFIX) {
        Some(rest) => Some(rest),
        None if path.starts_with("/v1/") || path.starts_with("/openai/") => path.strip_prefix('/'),
        None => None,
    }
}

/// What a path would be but for its slashes and letters (`//v1/…`, `/V1/…`). It is refused, in the
/// envelope that the client reads.
fn misspelled(path: &str) -> Option<String> {
    let path = path.trim_start_matches('/').to_ascii_lowercase();
    let own = ["v1/", "openai/", PREFIX.trim_start_matches('/')];
    own.iter().any(|begin| path.starts_with(begin)).then_some(path)
}

/// The API of a request of which only the target is known.
pub(crate) fn caller_of(target: &str) -> Caller {
    let path = target.split('?').next().unwrap_or_default();
    let path = below_prefix(path).map(str::to_owned).or_else(|| misspelled(path));
    caller(&path.unwrap_or_default(), &Fields::default())
}

fn caller(path: &str, headers: &Fields) -> Caller {
    let bare = path.strip_prefix("v1/").unwrap_or(path);
    let anthropic = bare == "messages"
        || bare.starts_with("messages/")
        || headers.contains(crate::headers::ANTHROPIC_VERSION);
    match anthropic {
        true => Caller::Anthropic,
        false if path.starts_with("openai/") => Caller::Azure,
        false => Caller::OpenAi,
    }
}

impl Inbound {
    /// What the path and method mean.
    pub(crate) fn route(&mut self) -> Result<Route, Refusal> {
        let route = self.route.take();
        let path = self.uri.path();
        let path = own_path(&self.uri).or(path.strip_prefix('/')).unwrap_or(path);
        checked(route, path, &self.method)
    }

    /// The operation's name for the record, also when it is refused.
    pub(crate) fn operation_name(&self) -> &'static str {
        self.route.as_ref().map_or("unknown", |route| route.operation.name())
    }
}

fn checked(route: Option<Route>, path: &str, method: &Method) -> Result<Route, Refusal> {
    let route = route.ok_or_else(|| {
        let public = format!(
            "no operation at `/{path}`; there are chat/completions, completions, embeddings, \
             models, messages and messages/count_tokens below /v1"
        );
        Refusal::caller(RefusalKind::BadRoute, public)
    })?;
    let wanted = match route.operation {
        Operation::Models(_) => Method::GET,
        Operation::Call(_) => Method::POST,
    };
    if *method == wanted {
        return Ok(route);
    }
    let public = format!("`/{path}` takes {wanted}, not {method}");
    let refusal = Refusal::caller(RefusalKind::BadMethod, public);
    Err(Refusal { allow: Some(wanted), ..refusal })
}

fn parse(path: &str) -> Option<Route> {
    if let Some(rest) = path.strip_prefix("openai/deployments/") {
        return deployment(rest);
    }
    let rest = path
        .strip_prefix("openai/v1/")
        .or_else(|| path.strip_prefix("openai/"))
        .or_else(|| path.strip_prefix("v1/"))
        .unwrap_or(path)
        .trim_end_matches('/');
    let operation = match rest.split_once('/') {
        Some(("models", id)) => Operation::Models(Some(decoded(id))),
        _ if rest == "models" => Operation::Models(None),
        _ => Operation::Call(call(rest)?),
    };
    Some(Route { operation, path_model: None })
}

/// `{deployment}/chat/completions`: the deployment is a model's name, slashes and all.
fn deployment(rest: &str) -> Option<Route> {
    use upstream::Operation::{Chat, Completion, Embedding};
    [Chat, Completion, Embedding].into_iter().find_map(|operation| {
        let model = rest.strip_suffix(operation.path())?.strip_suffix('/')?;
        let path_model = (!model.is_empty()).then(|| decoded(model))?;
        Some(Route { operation: Operation::Call(operation), path_model: Some(path_model) })
    })
}

fn call(path: &str) -> Option<upstream::Operation> {
    use upstream::Operation::{Chat, Completion, CountTokens, Embedding, Messages};
    [Chat, Completion, Embedding, Messages, CountTokens]
        .into_iter()
        .find(|operation| operation.path() == path)
}

/// Percent-decoded; a stray percent sign stays as it is.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        // The number's own parser takes a sign too.
        let digits = tail.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|hex| std::str::from_utf8(hex).ok());
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, value) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use upstream::Operation as Op;

    #[test]
    fn knows_every_path_of_every_dialect() {
        let call = |op| Operation::Call(op);
        let cases = [
            ("v1/chat/completions", call(Op::Chat), None),
            ("chat/completions", call(Op::Chat), None),
            ("v1/completions", call(Op::Completion), None),
            ("v1/embeddings", call(Op::Embedding), None),
            ("v1/messages", call(Op::Messages), None),
            ("messages/count_tokens", call(Op::CountTokens), None),
            ("openai/v1/chat/completions", call(Op::Chat), None),
            ("openai/deployments/gpt-4o/chat/completions", call(Op::Chat), Some("gpt-4o")),
            ("openai/deployments/az/gpt/embeddings", call(Op::Embedding), Some("az/gpt")),
            ("openai/deployments/az%2Fgpt/completions", call(Op::Completion), Some("az/gpt")),
            ("openai/deployments/a%+fb%2/completions", call(Op::Completion), Some("a%+fb%2")),
            ("v1/models", Operation::Models(None), None),
            ("v1/models/az/gpt", Operation::Models(Some("az/gpt".into())), None),
            ("openai/models", Operation::Models(None), None),
        ];
        for (path, operation, model) in cases {
            let expected = Route { operation, path_model: model.map(str::to_owned) };
            assert_eq!(parse(path), Some(expected), "{path}");
        }
        for path in ["v1/chat", "openai/deployments/embeddings", "v1/responses", "v1/"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_are_nearly_the_gateways_are_not_handed_on() {
        let cases = [
            ("//v1/messages", Some("v1/messages")),
            ("/V1/chat/completions", Some("v1/chat/completions")),
            ("/API/LLM/v1/models", Some("api/llm/v1/models")),
            ("/healthz", None),
            ("/api/svc/v1/apply", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(misspelled(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_says_which_is_right() {
        let path = "v1/messages";
        let refusal = checked(parse(path), path, &Method::GET).unwrap_err();
        assert_eq!(refusal.public, "`/v1/messages` takes POST, not GET");
    }
}
