//! Reads whatever an upstream sends with an error status, in whatever envelope.
//!
//! All dialects use it, because servers mix the envelopes freely. Besides the two there are
//! FastAPI's `detail`, vLLM's flat object, Azure's `innererror`, Google's list of one, bare
//! strings, HTML of a proxy in between, nothing at all. Errors inside of a choice and reasons to
//! stop that mean failure are read too. It never fails.

use super::wire::{self, Few, wire};
use crate::finish;
use crate::neutral::{ErrorKind, ErrorView, Raw, Str, StrOr};

/// Longest part of a body that is no JSON to show, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// Anthropic's words when the prompt alone would fit:
/// "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000".
pub(super) const PROMPT_AND_CAP: &str = "exceed context limit";

wire! {
    /// All envelopes in one.
    struct Envelope<'a> {
        may error: StrOr<Str<'a>, Detail<'a>>,
        // FastAPI: a string, or a list of what is wrong.
        may detail: Raw<'a>,
        may message: Raw<'a>,
        may kind as "type": Str<'a>,
        may code: Raw<'a>,
        may param: Raw<'a>,
        may request_id: Str<'a>,
        // Replies and events that are none for what stands in here.
        may choices: Raw<'a>,
        may delta: Raw<'a>,
        may stop_reason: Raw<'a>,
    }

    /// One choice of a chat reply, or the delta of a message.
    struct Choice<'a> {
        may error: StrOr<Str<'a>, Detail<'a>>,
        may finish_reason: Raw<'a>,
        may stop_reason: Raw<'a>,
        may message: Raw<'a>,
        may delta: Raw<'a>,
    }

    #[derive(Clone, Debug)]
    struct Detail<'a> {
        may message: Raw<'a>,
        may kind as "type": Str<'a>,
        // A string, or a status (vLLM, OpenRouter).
        may code: Raw<'a>,
        may param: Raw<'a>,
        may innererror: InnerError<'a>,
        // An object at Anthropic, a list at Google.
        may details: Raw<'a>,
    }

    /// Azure's reason behind the error.
    #[derive(Clone, Debug)]
    struct InnerError<'a> {
        may code: Str<'a>,
    }

    /// Anthropic's finer code.
    #[derive(Clone, Debug)]
    struct Details<'a> {
        may error_code: Str<'a>,
    }

    /// One entry of Google's list.
    struct ErrorInfo<'a> {
        may reason: Str<'a>,
    }

    /// One entry of FastAPI's list.
    struct Finding<'a> {
        must loc: Vec<Raw<'a>>,
        must msg: Str<'a>,
    }
}

/// Reads an error reply or an error event; a status of 200 says nothing about the error.
pub(crate) fn read(status: u16, body: &[u8]) -> ErrorView {
    let Some(envelope) = envelope(body) else {
        return view(status, &Facts { message: text(body), ..Facts::default() });
    };
    let request_id = envelope.request_id.as_deref().unwrap_or_default().to_owned();
    let (inner, reason) = inside(&envelope);
    if let (None, None, Some(reason)) = (&envelope.error, &inner, reason) {
        let message = Some(finish::sentence(&reason));
        let kind = reason.to_string();
        return view(status, &Facts { message, kind, request_id, ..Facts::default() });
    }
    let detail = match envelope.error.or(inner) {
        Some(StrOr::Other(detail)) => detail,
        Some(StrOr::Str(message)) => {
            let message = Some(message.to_string());
            return view(status, &Facts { message, request_id, ..Facts::default() });
        }
        None => Detail {
            // What is an object is the beginning of a message, say, and no words.
            message: envelope.message.filter(|raw| !raw.get().starts_with('{')).or(envelope.detail),
            kind: envelope.kind,
            code: envelope.code,
            param: envelope.param,
            ..Detail::default()
        },
    };
    let (finer, reason) = detail.details.map(details).unwrap_or_default();
    let inner = detail.innererror.and_then(|inner| inner.code).or(reason);
    let facts = Facts {
        message: detail.message.and_then(plain).or_else(|| unnamed(status, body)),
        kind: detail.kind.as_deref().unwrap_or_default().to_owned(),
        code: detail.code.and_then(plain).or_else(|| finer.map(|code| code.to_string())),
        param: detail.param.and_then(plain),
        inner: inner.as_deref().unwrap_or_default().to_owned(),
        request_id,
    };
    view(status, &facts)
}

/// An error inside of a choice, and a reason to stop that stands for one.
fn inside<'a>(envelope: &Envelope<'a>) -> (Option<StrOr<Str<'a>, Detail<'a>>>, Option<Str<'a>>) {
    let failing = |raw: Option<Raw<'a>>| {
        let reason = raw.and_then(|raw| wire::parse_text::<Str<'a>>(raw.get()).ok());
        reason.filter(|reason| finish::fails(reason, false))
    };
    let list = envelope.choices.and_then(|raw| wire::parse_text::<Vec<Choice<'a>>>(raw.get()).ok());
    let delta = envelope.delta.and_then(|raw| wire::parse_text::<Choice<'a>>(raw.get()).ok());
    let (mut error, mut reason) = (None, failing(envelope.stop_reason));
    for choice in list.unwrap_or_default().into_iter().chain(delta) {
        let said = [choice.message, choice.delta].into_iter().flatten();
        let mut said = said.filter_map(|raw| wire::parse_text::<Choice<'a>>(raw.get()).ok());
        error = error.or(choice.error).or_else(|| said.find_map(|said| said.error));
        reason = reason.or(failing(choice.finish_reason)).or(failing(choice.stop_reason));
    }
    (error, reason)
}

/// The words of an error that names none of the members that are known: the body as it is.
fn unnamed(status: u16, body: &[u8]) -> Option<String> {
    let says = |inner: &&[u8]| !inner.iter().all(|byte| b"{}[]\":error \n".contains(byte));
    Some(body).filter(|_| status >= 400).filter(says).and_then(text)
}

/// The envelope; Google's servers put it into a list of one.
fn envelope(body: &[u8]) -> Option<Envelope<'_>> {
    if !body.trim_ascii_start().starts_with(b"[") {
        let mut envelope = Envelope::default();
        return wire::parse_into(&mut envelope, body).ok().map(|()| envelope);
    }
    let mut list: Few<Envelope<'_>> = Few::default();
    wire::parse_into(&mut list, body).ok()?;
    list.first
}

/// Anthropic's finer code and Google's reason.
fn details(raw: Raw<'_>) -> (Option<Str<'_>>, Option<Str<'_>>) {
    if let Ok(list) = wire::parse_text::<Vec<ErrorInfo<'_>>>(raw.get()) {
        return (None, list.into_iter().find_map(|info| info.reason));
    }
    let details = wire::parse_text::<Details<'_>>(raw.get()).unwrap_or_default();
    (details.error_code, None)
}

/// What the body said.
#[derive(Default)]
struct Facts {
    message: Option<String>,
    kind: String,
    code: Option<String>,
    param: Option<String>,
    inner: String,
    request_id: String,
}

/// A string without its quotes, FastAPI's list as a sentence, other JSON as it is, null as
/// nothing.
fn plain(raw: Raw<'_>) -> Option<String> {
    if raw.get() == "null" {
        return None;
    }
    let text = wire::parse_text::<Str<'_>>(raw.get()).ok().map(|text| text.to_string());
    Some(text.or_else(|| findings(raw)).unwrap_or_else(|| raw.get().to_owned()))
}

/// FastAPI's list of what is wrong: `body.n: field required; body.m: ...`.
fn findings(raw: Raw<'_>) -> Option<String> {
    let list: Vec<Finding<'_>> = wire::parse_text(raw.get()).ok()?;
    let sentence = |finding: &Finding<'_>| {
        let path: Vec<&str> = finding.loc.iter().map(|step| step.get().trim_matches('"')).collect();
        format!("{}: {}", path.join("."), finding.msg)
    };
    Some(list.iter().map(sentence).collect::<Vec<_>>().join("; "))
}

/// The start of a plain-text body; of HTML nothing, because it is no message for callers.
fn text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body.get(..4096.min(body.len())).unwrap_or_default());
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    Some(text.chars().take(TEXT_CHARS_MAX).collect())
}

fn view(status: u16, facts: &Facts) -> ErrorView {
    let numeric = facts.code.as_deref().and_then(|code| code.parse::<u16>().ok());
    let status = match numeric {
        Some(code @ 400..600) if status < 400 => code,
        _ => status,
    };
    let kind = kind_of(status, facts);
    let message = match &facts.message {
        Some(message) if !message.is_empty() => message.clone(),
        _ if status >= 400 => format!("the upstream answered with status {status}"),
        _ => "the upstream reported an error".to_owned(),
    };
    ErrorView {
        status: if status >= 400 { status } else { 502 },
        kind,
        code: facts.code.clone().filter(|_| numeric.is_none()),
        param: facts.param.clone().filter(|param| !param.is_empty()),
        message,
        request_id: facts.request_id.clone(),
    }
}

fn kind_of(status: u16, facts: &Facts) -> ErrorKind {
    let code = facts.code.as_deref().unwrap_or_default();
    by_code(code)
        .or_else(|| by_code(&facts.inner))
        .or_else(|| by_message(facts.message.as_deref().unwrap_or_default(), status))
        .or_else(|| by_type(&facts.kind, status))
        .unwrap_or_else(|| by_status(status))
}

fn by_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "context_length_exceeded" | "string_above_max_length" => ErrorKind::ContextLength,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation" => {
            ErrorKind::ContentFilter
        }
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "enforced_spend_limit_reached"
        | "contract_spend_limit_reached" => ErrorKind::Billing,
        "rate_limit_exceeded" => ErrorKind::RateLimited,
        "invalid_api_key" | "API_KEY_INVALID" => ErrorKind::Authentication,
        "model_not_found" | "DeploymentNotFound" => ErrorKind::NotFound,
        "slow_down" | "overloaded" => ErrorKind::Overloaded,
        _ => return None,
    })
}

/// Prompts that are too long have no code of their own at Anthropic, vLLM and llama.cpp.
fn by_message(message: &str, status: u16) -> Option<ErrorKind> {
    const SIGNS: [&str; 6] = [
        "prompt is too long",
        PROMPT_AND_CAP,
        "maximum context length",
        "exceeds the available context size",
        "context window",
        // Gemini.
        "exceeds the maximum number of tokens",
    ];
    let refused = matches!(status, 200 | 400 | 413 | 422);
    let found = refused && SIGNS.iter().any(|sign| message.contains(sign));
    found.then_some(ErrorKind::ContextLength)
}

fn by_type(kind: &str, status: u16) -> Option<ErrorKind> {
    Some(match kind {
        "authentication_error" => ErrorKind::Authentication,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::NotFound,
        "conflict_error" => ErrorKind::Conflict,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" | "requests" | "tokens" => ErrorKind::RateLimited,
        "billing_error" | "insufficient_quota" => ErrorKind::Billing,
        "overloaded_error"
        | "service_unavailable"
        | "insufficient_system_resource"
        | "engine_overloaded" => ErrorKind::Overloaded,
        "timeout_error" | "timeout" | "time_limit" => ErrorKind::Timeout,
        "api_error" => ErrorKind::Upstream,
        // OpenAI says `invalid_request_error` with 401 and 404 too: there the status counts.
        "invalid_request_error" if status < 400 => ErrorKind::InvalidRequest,
        _ => return None,
    })
}

fn by_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Billing,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        // 498: Groq's flex capacity; 529: Anthropic.
        498 | 503 | 529 => ErrorKind::Overloaded,
        400..500 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    }
}
