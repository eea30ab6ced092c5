//! The body and headers of one target's call.
//!
//! Same dialect: the caller's bytes with a few fields spliced. Other dialect: translated, with a
//! report of what did not fit.

use crate::decode::Call;
use crate::headers::{self, ConnectionOptions};
use crate::route::Hop;
use crate::snapshot::Policy;
use bytes::Bytes;
use gantry_http::exchange::RequestHead;
use gantry_http::http1::{Field, LOWERED_BYTES};
use gantry_llm::scan::{Index, ScanError};
use gantry_llm::splice::{self, Draft};
use gantry_llm::translate::{self, RequestContext, ToolNames};
use gantry_model::facts::Dialect;
use gantry_model::pieces::Pieces;
use gantry_model::record::{Loss, LossKind};
use gantry_providers::upstream::Operation;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use std::borrow::Cow;
use std::sync::Arc;

/// A call in its target's dialect.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) operation: Operation,
    pub(super) path: PathAndQuery,
    pub(super) body: Pieces,
    pub(super) losses: Vec<Loss>,
    /// Gantry asked for usage, the caller did not: the usage event is taken out again.
    pub(super) usage_added: bool,
    /// Value of `anthropic-beta` that the translated body needs.
    pub(super) beta: Option<&'static str>,
    /// For the reply's translation.
    pub(super) tool_names: ToolNames,
}

/// Why a call cannot be put to a target.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{field}: {message}")]
    Untranslatable { field: String, message: String },
    #[error("{wish}, and the target would lose {lost}")]
    Strict { wish: &'static str, lost: String },
    #[error("the model's upstream has no {0}")]
    Operation(&'static str),
    #[error("splice the request body")]
    Splice(#[from] ScanError),
    #[error("append the caller's query to the upstream's path")]
    Path(#[from] http::uri::InvalidUri),
}

/// Encodes `call` for `hop`.
pub(super) fn encode(call: &Call, hop: &Hop) -> Result<Encoded, Error> {
    let (from, to) = (call.caller.dialect(), hop.model.dialect());
    let operation = operation(call.operation, to)?;
    let (mut added, mut beta, mut tool_names) = (Vec::new(), None, ToolNames::default());
    let (body, mut losses, usage_added) = match from == to {
        true => spliced(call, hop)?,
        false => {
            let done = translated(call, hop)?;
            (added, beta, tool_names) = (done.added, done.beta, done.tool_names);
            (done.body, done.losses, false)
        }
    };
    let strict = hop.strict() || call.wishes.strict;
    if strict && !losses.is_empty() {
        let lost: Vec<&str> = losses.iter().map(|loss| loss.field.as_str()).collect();
        let wish = match hop.strict() {
            true => "the route is strict",
            false => "x-gantry-strict is set",
        };
        return Err(Error::Strict { wish, lost: lost.join(", ") });
    }
    losses.append(&mut added);
    let path = path(call, hop, operation)?;
    Ok(Encoded { operation, path, body, losses, usage_added, beta, tool_names })
}

/// The upstream's operation for a caller's.
fn operation(wanted: Operation, dialect: Dialect) -> Result<Operation, Error> {
    use Operation::{Chat, Completion, CountTokens, Embedding, Messages};
    match (wanted, dialect) {
        (Chat | Messages, Dialect::OpenAi) => Ok(Chat),
        (Chat | Messages, Dialect::Anthropic) => Ok(Messages),
        (CountTokens, Dialect::Anthropic) | (Completion | Embedding, Dialect::OpenAi) => Ok(wanted),
        (Completion, Dialect::Anthropic) => Err(Error::Operation("completions")),
        (Embedding, Dialect::Anthropic) => Err(Error::Operation("embeddings")),
        (CountTokens, Dialect::OpenAi) => Err(Error::Operation("count_tokens")),
    }
}

fn spliced(call: &Call, hop: &Hop) -> Result<(Pieces, Vec<Loss>, bool), Error> {
    let (model, quirks) = (&hop.model, hop.model.quirks());
    let marked = match model.dialect() {
        Dialect::Anthropic => splice::cut_marked(&call.body, &call.index),
        Dialect::OpenAi => None,
    };
    let mut draft = Draft::new(&call.body, &call.index);
    let mut losses = Vec::new();
    if let Some(cut) = &marked {
        draft.set("messages", &cut.messages)?;
        if cut.without_thinking {
            draft.remove("thinking")?;
        }
        losses.extend_from_slice(&cut.losses);
    }
    if !call.model_in_body || call.model != model.upstream_model {
        draft.set("model", &model.upstream_model_json)?;
    }
    let usage_added = call.stream
        && model.dialect() == Dialect::OpenAi
        && !call.include_usage
        && quirks.stream_usage;
    let options = usage_added.then(|| with_usage(call)).transpose()?;
    if let Some(json) = &options {
        draft.set("stream_options", json)?;
    }
    adapt(&mut draft, hop, &mut losses)?;
    Ok((draft.finish(), losses, usage_added))
}

/// Whether [`adapt`] may have something to do.
fn adapts(hop: &Hop) -> bool {
    let quirks = hop.model.quirks();
    let overrides = hop.policies.iter().any(|policy| !policy.override_params.is_empty());
    overrides || !quirks.rename.is_empty() || !quirks.unsupported.is_empty()
}

/// What the route sets, then what the upstream names otherwise or refuses; the latter is reported
/// under its name at the upstream.
fn adapt<'a>(draft: &mut Draft<'a>, hop: &'a Hop, losses: &mut Vec<Loss>) -> Result<(), ScanError> {
    let quirks = hop.model.quirks();
    override_params(draft, &hop.policies)?;
    for (ours, theirs) in &quirks.rename {
        draft.rename(ours, theirs)?;
    }
    for key in &quirks.unsupported {
        if draft.remove(key)? {
            let note = "the upstream refuses it".to_owned();
            losses.push(Loss { field: key.clone(), kind: LossKind::Dropped, note });
        }
    }
    Ok(())
}

fn with_usage(call: &Call) -> Result<Bytes, ScanError> {
    const ASK: &[u8] = br#"{"include_usage":true}"#;
    let Some(range) = call.stream_options.clone() else { return Ok(Bytes::from_static(ASK)) };
    let options = call.body.slice(range);
    let index = Index::of(&options)?;
    let mut draft = Draft::new(&options, &index);
    draft.set("include_usage", b"true")?;
    Ok(draft.finish().into_bytes())
}

/// Sets the parameters of the route's policies; `null` takes one out.
fn override_params<'a>(
    draft: &mut Draft<'a>,
    policies: &'a [Arc<Policy>],
) -> Result<(), ScanError> {
    for (key, json) in policies.iter().flat_map(|policy| &policy.override_params) {
        match json.as_slice() {
            b"null" => drop(draft.remove(key)?),
            json => draft.set(key, json)?,
        }
    }
    Ok(())
}

/// A body in another dialect than the caller's.
struct Foreign {
    body: Pieces,
    losses: Vec<Loss>,
    /// What Gantry added, which is no reason for a strict route to refuse.
    added: Vec<Loss>,
    beta: Option<&'static str>,
    tool_names: ToolNames,
}

fn translated(call: &Call, hop: &Hop) -> Result<Foreign, Error> {
    let quirks = hop.model.quirks();
    let context = RequestContext {
        upstream_model: &hop.model.upstream_model,
        quirks,
        traits: hop.model.traits.as_ref(),
        claude: &hop.model.claude,
        anthropic_version: anthropic_version(hop),
    };
    let (from, to) = (call.caller.dialect(), hop.model.dialect());
    let done = translate::request(from, to, &call.body, &context)
        .map_err(|error| Error::Untranslatable { field: error.field, message: error.message })?;
    let (mut losses, added, beta) = (done.losses, done.added, done.beta);
    let tool_names = done.tool_names;
    for name in [headers::ANTHROPIC_BETA, headers::OPENAI_BETA] {
        if call.headers.contains(name) {
            let field = name.to_owned();
            let note = "the header means nothing to the upstream".to_owned();
            losses.push(Loss { field, kind: LossKind::Dropped, note });
        }
    }
    let body = Bytes::from(done.body);
    if !adapts(hop) {
        return Ok(Foreign { body: body.into(), losses, added, beta, tool_names });
    }
    let index = Index::of(&body)?;
    let mut draft = Draft::new(&body, &index);
    adapt(&mut draft, hop, &mut losses)?;
    Ok(Foreign { body: draft.finish(), losses, added, beta, tool_names })
}

/// The version that the upstream will be told when the caller speaks another dialect.
fn anthropic_version(hop: &Hop) -> &str {
    let version = headers::ANTHROPIC_VERSION;
    let set = hop.model.upstream.headers.get(version).or_else(|| {
        let mut outer_first = hop.policies.iter().rev();
        let ruling = outer_first.find(|policy| policy.rules(version.as_bytes()))?;
        ruling.set_headers.get(version)
    });
    let set = set.and_then(|value| value.to_str().ok());
    set.unwrap_or(&hop.model.quirks().anthropic_version)
}

/// The caller's query goes along within one dialect (`?beta=true`), but for Azure's version.
fn path(call: &Call, hop: &Hop, operation: Operation) -> Result<PathAndQuery, Error> {
    let path = hop.model.upstream.path(operation);
    let carried = call.uri.query().filter(|query| {
        call.caller.dialect() == hop.model.dialect()
            && path.query().is_none()
            && !query.is_empty()
            && !query.contains("api-version=")
    });
    match carried {
        None => Ok(path.clone()),
        Some(query) => Ok(PathAndQuery::try_from(format!("{}?{}", path.path(), in_ascii(query)))?),
    }
}

/// A query as it may stand in a request line: other characters are percent-encoded as UTF-8
/// (RFC 3986, section 2.1).
fn in_ascii(query: &str) -> Cow<'_, str> {
    if query.is_ascii() {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(3 * query.len());
    for byte in query.bytes() {
        match byte.is_ascii() {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(out)
}

/// The head of one attempt's request; `span` names the attempt to the upstream.
///
/// A field is printed by the first of these that has it: the upstream (credential, manifest; `sign`
/// prints those), the route's policies, Gantry, the caller.
pub(super) fn request_head(
    call: &Call,
    hop: &Hop,
    encoded: &Encoded,
    span: Option<&HeaderValue>,
) -> RequestHead {
    let upstream = &hop.model.upstream;
    let mut head = RequestHead::new(&Method::POST, encoded.path.as_str());
    for (inner, policy) in hop.policies.iter().enumerate() {
        let outer = hop.policies.get(inner + 1..).unwrap_or_default();
        for (name, value) in &policy.set_headers {
            let own = name.as_str().as_bytes();
            if !upstream.sets(own) && !outer.iter().any(|late| late.rules(own)) {
                head.field(name, value);
            }
        }
    }
    let settled = |name: &[u8]| upstream.sets(name) || hop.rules(name);
    if !settled(b"content-type") {
        head.line(b"content-type", b"application/json");
    }
    let same = call.caller.dialect() == upstream.dialect;
    let options = ConnectionOptions::of(&call.headers);
    let version = headers::ANTHROPIC_VERSION;
    let versions = |field: Field<'_>| field.is(version) && !options.name(field);
    let versioned = same && call.headers.iter().any(versions);
    if upstream.dialect == Dialect::Anthropic && !versioned && !settled(version.as_bytes()) {
        // The catalogue's own text, which is a date.
        head.line(version.as_bytes(), hop.model.quirks().anthropic_version.as_bytes());
    }
    let beta = headers::ANTHROPIC_BETA.as_bytes();
    if let Some(value) = encoded.beta.filter(|_| !settled(beta)) {
        head.line(beta, value.as_bytes());
    }
    let span = span.filter(|_| !settled(headers::TRACEPARENT.as_bytes()));
    if let Some(span) = span {
        head.line(headers::TRACEPARENT.as_bytes(), span.as_bytes());
    }
    for field in call.headers.iter() {
        // A trace crosses dialects.
        let parent = field.is(headers::TRACEPARENT);
        let trace = parent || field.is(headers::TRACESTATE);
        let replaced = parent && span.is_some();
        let kept_back = replaced || options.name(field);
        if (trace || same && carried(field)) && !kept_back && !settled(field.name()) {
            head.line(field.name(), field.value());
        }
    }
    head
}

/// Headers that concern this connection, this gateway or the caller's own credentials stay here.
fn carried(field: Field<'_>) -> bool {
    let mut room = [0; LOWERED_BYTES];
    let name = field.lowered(&mut room);
    let kept_back = matches!(
        name,
        b"accept-encoding"
            | b"api-key"
            | b"authorization"
            | b"connection"
            | b"content-encoding"
            | b"content-length"
            | b"content-type"
            | b"cookie"
            | b"expect"
            | b"forwarded"
            | b"host"
            | b"keep-alive"
            // They name an account of the caller's own, which Gantry's key knows nothing of.
            | b"openai-organization"
            | b"openai-project"
            // The page that calls is allowed by Gantry; some upstreams refuse any.
            | b"origin"
            | b"referer"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"x-api-key"
            | b"x-real-ip"
    );
    let ours: [&[u8]; 5] = [b"x-tfy-", b"x-gantry-", b"x-forwarded-", b"proxy-", b"sec-"];
    !kept_back && !ours.iter().any(|begin| name.starts_with(begin))
}
