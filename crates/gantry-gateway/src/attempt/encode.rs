//! The body and headers of one target's call.
//!
//! Same dialect: the caller's bytes with a few fields spliced. Other dialect: translated, with a
//! report of what did not fit.

use crate::aside;
use crate::decode::Call;
use crate::headers::{self, ConnectionOptions};
use crate::route::Hop;
use crate::snapshot::Policy;
use bytes::Bytes;
use gantry_http::exchange::RequestHead;
use gantry_http::http1::{Field, LOWERED_BYTES};
use gantry_llm::dialect::{Edits, Forwarded};
use gantry_llm::neutral::Losses;
use gantry_llm::operation::{self, BodyCodec, Elsewhere, Exchange, Operation};
use gantry_llm::scan::{Index, ScanError};
use gantry_llm::splice::Draft;
use gantry_llm::translate::{self, RequestContext, ToolNames};
use gantry_model::pieces::Pieces;
use gantry_model::record::{Loss, LossKind};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use std::borrow::Cow;
use std::sync::Arc;

/// A call in its target's dialect.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) operation: &'static Operation,
    pub(super) exchange: &'static Exchange,
    pub(super) path: PathAndQuery,
    pub(super) body: Pieces,
    pub(super) losses: Vec<Loss>,
    /// Gantry asked for usage, the caller did not: the usage event is taken out again.
    pub(super) usage_added: bool,
    /// Header fields that the translated body needs.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    /// For the reply's translation.
    pub(super) tool_names: ToolNames,
}

/// Why a call cannot be put to a target.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}: {}", .0.field, .0.message)]
    Untranslatable(translate::Error),
    #[error("{wish}, and the target would lose {lost}")]
    Strict { wish: &'static str, lost: String },
    #[error("the model's upstream has no {0}")]
    Operation(&'static str),
    #[error("splice the request body")]
    Splice(#[from] ScanError),
    #[error("append the caller's query to the upstream's path")]
    Path(#[from] http::uri::InvalidUri),
}

impl Error {
    /// What clients know the error by, if anything.
    pub(super) fn code(&self) -> Option<&'static str> {
        match self {
            Self::Untranslatable(error) => error.code.map(translate::Code::as_str),
            Self::Strict { .. } | Self::Operation(_) | Self::Splice(_) | Self::Path(_) => None,
        }
    }
}

/// What became of a translation.
type Done = Result<translate::Translated, translate::Error>;

/// Encodes `call` for `hop`. `fits`: a request that needs no translation is fitted to its model. A
/// long translation is made beside the worker.
pub(super) async fn encode(call: &Call, hop: &Hop, fits: bool) -> Result<Encoded, Error> {
    let (operation, exchange) = operation_of(call, hop)?;
    let mut added;
    let (mut headers, mut tool_names) = (Vec::new(), ToolNames::default());
    let (body, mut losses, usage_added) = match call.dialect() == hop.model.dialect() {
        true => {
            let done = spliced(call, hop, fits)?;
            added = done.added;
            (done.body, done.losses, done.usage_added)
        }
        false => {
            let made = match aside::is_long(&call.body) {
                true => translated_aside(call, hop).await,
                false => None,
            };
            let done = translated(call, hop, fits, made)?;
            (added, headers, tool_names) = (done.added, done.headers, done.tool_names);
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
    Ok(Encoded { operation, exchange, path, body, losses, usage_added, headers, tool_names })
}

/// The upstream's operation for the caller's: the same, or the one of the same meaning.
fn operation_of(call: &Call, hop: &Hop) -> Result<(&'static Operation, &'static Exchange), Error> {
    if call.dialect() == hop.model.dialect() {
        return Ok((call.operation, call.exchange));
    }
    let found = match call.exchange.elsewhere {
        Elsewhere::Translated(meaning) => hop.model.upstream.operation_for(meaning),
        Elsewhere::Estimated(_) | Elsewhere::Refused => None,
    };
    found.ok_or(Error::Operation(call.exchange.address.whole))
}

/// A body in the caller's dialect.
struct Own {
    body: Pieces,
    losses: Vec<Loss>,
    /// What Gantry added or spelled otherwise.
    added: Vec<Loss>,
    usage_added: bool,
}

fn spliced(call: &Call, hop: &Hop, fits: bool) -> Result<Own, Error> {
    let model = &hop.model;
    let Edits { set, removed, mut losses, usage_added } = model.dialect().edits(&Forwarded {
        body: &call.body,
        index: &call.index,
        quirks: model.quirks(),
        stream: call.stream,
        stream_options: call.stream_options.clone(),
        include_usage: call.include_usage,
    })?;
    let mut draft = Draft::new(&call.body, &call.index);
    let named = call.model_in_body && call.model == model.upstream_model;
    if !named && names_model(call.exchange) {
        draft.set("model", &model.upstream_model_json)?;
    }
    for (key, json) in &set {
        draft.set(key, json)?;
    }
    for key in removed {
        draft.remove(key)?;
    }
    override_params(&mut draft, &hop.policies)?;
    let version = call.headers.text(version_name(hop)).unwrap_or_else(|| version(hop));
    let added = if fits { fit(&mut draft, hop, version, &mut losses)? } else { Vec::new() };
    quirks(&mut draft, hop, &mut losses)?;
    Ok(Own { body: draft.finish(), losses, added, usage_added })
}

/// What is known of the model holds for what the caller says and for what the route sets; returns
/// what is no loss.
fn fit(
    draft: &mut Draft<'_>,
    hop: &Hop,
    version: &str,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Loss>, ScanError> {
    let mut found = Losses::default();
    hop.model.dialect().fit(draft, &request_context(hop, version, None), &mut found)?;
    let added = found.take_added();
    losses.append(&mut found.into_vec());
    Ok(added)
}

fn request_context<'a>(hop: &'a Hop, version: &'a str, stream: Option<bool>) -> RequestContext<'a> {
    RequestContext {
        upstream_model: &hop.model.upstream_model,
        quirks: hop.model.quirks(),
        traits: hop.model.traits.as_ref(),
        claude: &hop.model.claude,
        version,
        stream,
    }
}

/// Whether the body is where an upstream looks for the model.
fn names_model(exchange: &Exchange) -> bool {
    exchange.body == BodyCodec::Json && !exchange.address.names_model()
}

/// Whether the route sets fields.
fn overrides(hop: &Hop) -> bool {
    hop.policies.iter().any(|policy| !policy.override_params.is_empty())
}

/// What the upstream names otherwise or refuses, which is reported under its name there.
fn quirks<'a>(
    draft: &mut Draft<'a>,
    hop: &'a Hop,
    losses: &mut Vec<Loss>,
) -> Result<(), ScanError> {
    let quirks = hop.model.quirks();
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
    headers: Vec<(&'static str, &'static str)>,
    tool_names: ToolNames,
}

async fn translated_aside(call: &Call, hop: &Hop) -> Option<Done> {
    let (body, hop, from, stream) = (call.body.clone(), hop.clone(), call.dialect(), call.stream);
    let work = move || {
        let context = request_context(&hop, version(&hop), Some(stream));
        translate::request(from, hop.model.dialect(), &body, &context)
    };
    aside::aside(work).await
}

fn translated(call: &Call, hop: &Hop, fits: bool, made: Option<Done>) -> Result<Foreign, Error> {
    let (from, to) = (call.dialect(), hop.model.dialect());
    let here = || {
        let context = request_context(hop, version(hop), Some(call.stream));
        translate::request(from, to, &call.body, &context)
    };
    let done = made.unwrap_or_else(here).map_err(Error::Untranslatable)?;
    let (mut losses, mut added, headers) = (done.losses, done.added, done.headers);
    let tool_names = done.tool_names;
    for name in from.feature_headers() {
        if call.headers.contains(name) {
            let field = (*name).to_owned();
            let note = "the header means nothing to the upstream".to_owned();
            losses.push(Loss { field, kind: LossKind::Dropped, note });
        }
    }
    let body = Bytes::from(done.body);
    let known = hop.model.quirks();
    if !overrides(hop) && known.rename.is_empty() && known.unsupported.is_empty() {
        return Ok(Foreign { body: body.into(), losses, added, headers, tool_names });
    }
    let index = Index::of(&body)?;
    let mut draft = Draft::new(&body, &index);
    override_params(&mut draft, &hop.policies)?;
    if fits && overrides(hop) {
        added.append(&mut fit(&mut draft, hop, version(hop), &mut losses)?);
    }
    quirks(&mut draft, hop, &mut losses)?;
    Ok(Foreign { body: draft.finish(), losses, added, headers, tool_names })
}

/// The version that the upstream will be told when the caller speaks another dialect.
fn version(hop: &Hop) -> &str {
    let usual = hop.model.dialect().version_header(hop.model.quirks());
    let Some((name, usual)) = usual else { return "" };
    let set = hop.model.upstream.headers.get(name).or_else(|| {
        let mut outer_first = hop.policies.iter().rev();
        let ruling = outer_first.find(|policy| policy.rules(name.as_bytes()))?;
        ruling.set_headers.get(name)
    });
    set.and_then(|value| value.to_str().ok()).unwrap_or(usual)
}

/// The header that says the version, or a name that no header has.
fn version_name(hop: &Hop) -> &'static str {
    let usual = hop.model.dialect().version_header(hop.model.quirks());
    usual.map_or("", |(name, _)| name)
}

/// The caller's query goes along within one dialect (`?beta=true`), but for Azure's version.
fn path(call: &Call, hop: &Hop, operation: &Operation) -> Result<PathAndQuery, Error> {
    let address = hop.model.upstream.address(operation, call.stream);
    let path = &address.ok_or(Error::Operation(call.exchange.address.whole))?.path;
    let carried = call.uri.query().filter(|query| {
        call.dialect() == hop.model.dialect()
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
    let mut head = RequestHead::new(&method(encoded.operation), encoded.path.as_str());
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
    let same = call.dialect() == upstream.dialect;
    let options = ConnectionOptions::of(&call.headers);
    if let Some((name, usual)) = upstream.dialect.version_header(hop.model.quirks()) {
        let versions = |field: Field<'_>| field.is(name) && !options.name(field);
        let versioned = same && call.headers.iter().any(versions);
        if !versioned && !settled(name.as_bytes()) {
            head.line(name.as_bytes(), usual.as_bytes());
        }
    }
    for (name, value) in &encoded.headers {
        if !settled(name.as_bytes()) {
            head.line(name.as_bytes(), value.as_bytes());
        }
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

fn method(operation: &Operation) -> Method {
    match operation.method {
        operation::Method::Get => Method::GET,
        operation::Method::Post => Method::POST,
        operation::Method::Delete => Method::DELETE,
    }
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
            | b"x-goog-api-key"
            | b"x-real-ip"
    );
    let ours: [&[u8]; 5] = [b"x-tfy-", b"x-gantry-", b"x-forwarded-", b"proxy-", b"sec-"];
    !kept_back && !ours.iter().any(|begin| name.starts_with(begin))
}
