//! An error in no dialect: read from an upstream, or Gantry's own.
//!
//! Dialects make it from error replies and print it; the gateway makes its refusals of it.

/// What went wrong, in no dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorView {
    /// HTTP status that the error came with, or shall be sent with.
    pub status: u16,
    pub kind: ErrorKind,
    /// The provider's own code, such as `model_not_found`; absent: the dialect's usual one.
    pub code: Option<String>,
    /// The field that is wrong.
    pub param: Option<String>,
    pub message: String,
    pub request_id: String,
}

/// Kinds of error that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    /// Credit or budget is used up; waiting does not help.
    Billing,
    /// The prompt does not fit into the model's context.
    ContextLength,
    ContentFilter,
    /// The upstream has no capacity at the moment.
    Overloaded,
    Timeout,
    /// The upstream failed or said nothing sensible.
    Upstream,
    /// Gantry failed.
    Internal,
}

impl ErrorKind {
    /// Stable name, for records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Billing => "billing",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
            Self::Internal => "internal",
        }
    }
}

impl ErrorView {
    /// The HTTP status that most APIs would send the error with. A dialect whose callers expect
    /// another has its own say.
    #[must_use]
    pub fn usual_status(&self) -> u16 {
        match self.kind {
            ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::ContentFilter => 400,
            ErrorKind::Authentication => 401,
            ErrorKind::Billing => 402,
            ErrorKind::Permission => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::RateLimited => 429,
            ErrorKind::Internal => 500,
            ErrorKind::Upstream if (500..=504).contains(&self.status) => self.status,
            ErrorKind::Upstream => 502,
            ErrorKind::Overloaded => 503,
            ErrorKind::Timeout => 504,
        }
    }
}
