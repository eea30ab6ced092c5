//! Why Gantry answers instead of the upstream: the one error type at the gateway's edge.

use crate::route;
use gantry_http::server::{Rejected, Rejection};
use gantry_llm::errors::ErrorKind;
use gantry_llm::translate::Code;
use gantry_model::cut;
use std::time::Duration;

/// Longest message to a caller, in bytes: what it quotes of the request may be as long as that.
const PUBLIC_BYTES_MAX: usize = 1024;

/// Why Gantry answers instead of the upstream.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Stable: metric label and API error code.
    pub kind: RefusalKind,
    pub fault: Fault,
    pub retry_after: Option<Duration>,
    /// The methods that the path takes, as the header `allow` lists them.
    pub allow: Option<String>,
    /// Safe to show to the caller: no secrets, no addresses. At most [`PUBLIC_BYTES_MAX`].
    pub public: String,
    /// What the record says beside it, to the caller too. What only whoever runs the gateway may
    /// know stands in the record's steps and attempts, in fields of their own.
    pub note: Option<String>,
}

/// Whose doing it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Caller,
    Operator,
    Upstream,
}

impl Fault {
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Upstream => "upstream",
        }
    }
}

/// What kind of refusal; names and statuses are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RefusalKind {
    BadRoute,
    BadMethod,
    BadHeader,
    HeadTooLarge,
    HttpVersion,
    TransferCoding,
    TooLarge,
    SlowBody,
    Encoding,
    Unauthenticated,
    Forbidden,
    Malformed,
    UnknownModel,
    WrongOperation,
    Untranslatable,
    /// The upstream keeps no conversations; clients then send all messages.
    ThreadUnsupported,
    /// The conversation is not known to the upstream; clients then begin a new one.
    ThreadNotFound,
    NoMatch,
    NoTarget,
    Unavailable,
    UpstreamFailed,
    /// The upstream refuses the gateway's own key.
    UpstreamKey,
    UpstreamTimeout,
    FirstTokenTimeout,
    /// The bodies of all requests hold as many bytes as they may.
    Busy,
    /// A screen stopped the reply.
    Blocked,
}

impl RefusalKind {
    /// Why a request has no form at the target; `code` is what clients know it by, if anything.
    #[must_use]
    pub(crate) fn untranslatable(code: Option<&str>) -> Self {
        match code.and_then(Code::parse) {
            Some(Code::ThreadUnsupported) => Self::ThreadUnsupported,
            Some(Code::ThreadNotFound) => Self::ThreadNotFound,
            None => Self::Untranslatable,
        }
    }

    /// Name in records, metrics and as `code` of the error body.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BadRoute => "unknown_route",
            Self::BadMethod => "method_not_allowed",
            Self::BadHeader => "invalid_header",
            Self::HeadTooLarge => "request_head_too_large",
            Self::HttpVersion => "http_version_not_supported",
            Self::TransferCoding => "transfer_coding_not_supported",
            Self::TooLarge => "request_too_large",
            Self::SlowBody => "request_timeout",
            Self::Encoding => "unsupported_encoding",
            Self::Unauthenticated => "invalid_api_key",
            Self::Forbidden => "model_not_permitted",
            Self::Malformed => "malformed_request",
            Self::UnknownModel => "model_not_found",
            Self::WrongOperation => "operation_not_supported",
            Self::Untranslatable => "not_translatable",
            Self::ThreadUnsupported => Code::ThreadUnsupported.as_str(),
            Self::ThreadNotFound => Code::ThreadNotFound.as_str(),
            Self::NoMatch => "no_matching_target",
            Self::NoTarget => "no_target",
            Self::Unavailable => "model_unavailable",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamKey => "upstream_key_refused",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::Busy => "gateway_busy",
            Self::Blocked => "blocked",
        }
    }

    /// The neutral kind, from which each dialect makes its own `type`.
    #[must_use]
    pub(crate) fn error_kind(self) -> ErrorKind {
        match self {
            Self::Unauthenticated => ErrorKind::Authentication,
            Self::Forbidden => ErrorKind::Permission,
            Self::BadRoute | Self::UnknownModel | Self::ThreadNotFound => ErrorKind::NotFound,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::BadMethod
            | Self::BadHeader
            | Self::HeadTooLarge
            | Self::HttpVersion
            | Self::TransferCoding
            | Self::Encoding
            | Self::Malformed
            | Self::WrongOperation
            | Self::NoMatch
            | Self::Untranslatable
            | Self::ThreadUnsupported => ErrorKind::InvalidRequest,
            Self::SlowBody | Self::FirstTokenTimeout | Self::UpstreamTimeout => ErrorKind::Timeout,
            Self::NoTarget | Self::Unavailable | Self::Busy => ErrorKind::Overloaded,
            Self::Blocked => ErrorKind::ContentFilter,
            Self::UpstreamFailed | Self::UpstreamKey => ErrorKind::Upstream,
        }
    }

    /// HTTP status sent to the caller.
    #[must_use]
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::BadHeader
            | Self::Malformed
            | Self::WrongOperation
            | Self::NoMatch
            | Self::Untranslatable
            | Self::ThreadUnsupported
            | Self::Blocked => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::BadRoute | Self::UnknownModel | Self::ThreadNotFound => 404,
            Self::BadMethod => 405,
            Self::SlowBody | Self::FirstTokenTimeout => 408,
            Self::HeadTooLarge => 431,
            Self::TransferCoding => 501,
            Self::HttpVersion => 505,
            Self::TooLarge => 413,
            Self::Encoding => 415,
            Self::UpstreamFailed | Self::UpstreamKey => 502,
            Self::NoTarget | Self::Unavailable | Self::Busy => 503,
            Self::UpstreamTimeout => 504,
        }
    }
}

impl Refusal {
    /// Whether the same request cannot fare better when it is sent again. Official clients retry
    /// some of these statuses, and those of coding agents a wrong token too, without a word.
    #[must_use]
    pub(crate) fn is_final(&self) -> bool {
        let caller = self.fault == Fault::Caller && self.kind != RefusalKind::SlowBody;
        caller || self.kind == RefusalKind::UpstreamKey
    }

    /// The caller's mistake.
    #[must_use]
    pub(crate) fn caller(kind: RefusalKind, public: impl Into<String>) -> Self {
        Self {
            kind,
            fault: Fault::Caller,
            retry_after: None,
            allow: None,
            // It quotes what the caller wrote: names, paths, headers.
            public: cut::middle(public.into(), PUBLIC_BYTES_MAX),
            note: None,
        }
    }

    /// Something that whoever runs the gateway must put right.
    #[must_use]
    pub(crate) fn operator(kind: RefusalKind, public: impl Into<String>) -> Self {
        Self { fault: Fault::Operator, ..Self::caller(kind, public) }
    }

    /// The upstream's doing.
    #[must_use]
    pub(crate) fn upstream(kind: RefusalKind, public: impl Into<String>) -> Self {
        Self { fault: Fault::Upstream, ..Self::caller(kind, public) }
    }
}

impl Refusal {
    /// The gateway has never had a snapshot.
    #[must_use]
    pub(crate) fn no_snapshot() -> Self {
        let public = "the gateway has no configuration yet; try again in a moment";
        let mut refusal = Self::operator(RefusalKind::Unavailable, public);
        refusal.retry_after = Some(Duration::from_secs(1));
        refusal
    }
}

impl Refusal {
    /// There is no room for the request's body now.
    #[must_use]
    pub(crate) fn busy() -> Self {
        let public = "the gateway holds as many bytes of request bodies as it may; try again in a \
                      moment";
        let mut refusal = Self::operator(RefusalKind::Busy, public);
        refusal.retry_after = Some(Duration::from_secs(1));
        refusal
    }

    /// What came was no request.
    #[must_use]
    pub(crate) fn rejected(rejected: &Rejected) -> Self {
        let kind = match &rejected.why {
            Rejection::HeadTooLarge { .. } | Rejection::TooManyFields { .. } => {
                RefusalKind::HeadTooLarge
            }
            Rejection::Version => RefusalKind::HttpVersion,
            Rejection::TransferCoding => RefusalKind::TransferCoding,
            Rejection::Tls | Rejection::NeedsTls | Rejection::Malformed(_) => {
                RefusalKind::Malformed
            }
        };
        Self::caller(kind, rejected.why.to_string())
    }
}

impl From<route::Error> for Refusal {
    fn from(error: route::Error) -> Self {
        match error {
            route::Error::NoTarget { model } => {
                Self::operator(RefusalKind::NoTarget, format!("the model `{model}` has no target"))
            }
            route::Error::NoMatch { model, reasons } => {
                let public = format!(
                    "no target of `{model}` fits the request's metadata ({}); send other values \
                     in the header `x-tfy-metadata`",
                    reasons.join("; ")
                );
                Self::caller(RefusalKind::NoMatch, public)
            }
            route::Error::Unavailable { model } => {
                let public = format!("the model `{model}` is set up wrongly; ask its owner");
                Self::operator(RefusalKind::Unavailable, public)
            }
        }
    }
}
