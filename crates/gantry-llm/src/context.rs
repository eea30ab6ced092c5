//! What parsers and printers of dialects are told, and how they fail.
//!
//! `dialect`, `translate` and `stream` hand it on to the gateway, which fills it in.

use crate::neutral::{ErrorView, ToolNames};
use gantry_model::facts::{Claude, ModelTraits, Quirks};
use std::fmt::Display;

/// Why a body cannot be translated, fit for a 400 when it was the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", prefix(field))]
pub struct Error {
    /// Path in the body, such as `messages[2].content[1]`; empty: the body itself.
    pub field: String,
    /// A lower-case fragment.
    pub message: String,
    /// What clients of the caller's dialect know the error by, and then act on.
    pub code: Option<Code>,
}

/// Errors that clients act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The upstream keeps no conversations: send all of it.
    ThreadUnsupported,
    /// The upstream does not know the conversation to be continued.
    ThreadNotFound,
}

impl Code {
    /// Its name on the wire, which is Anthropic's (`ThreadUnsupportedRequestErrorDetails` and
    /// `ThreadNotFoundErrorDetails` of the Python SDK 2.14).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThreadUnsupported => "thread_unsupported_request",
            Self::ThreadNotFound => "thread_not_found",
        }
    }

    /// From its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::ThreadUnsupported, Self::ThreadNotFound]
            .into_iter()
            .find(|code| code.as_str() == name)
    }
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("`{field}`: ") }
}

impl Error {
    /// An error at `field`; `message` is a lower-case fragment.
    pub fn new(field: impl Display, message: impl Into<String>) -> Self {
        Self { field: field.to_string(), message: message.into(), code: None }
    }

    /// The same error, known to clients by `code`.
    #[must_use]
    pub fn coded(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }
}

/// What the printer of a request must know about the upstream.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    /// Name of the model at the upstream.
    pub upstream_model: &'a str,
    pub quirks: &'a Quirks,
    /// What the catalogue knows of the model, as [`Quirks::model`] finds it.
    pub traits: Option<&'a ModelTraits>,
    /// What the catalogue knows of Claude models with such a name, as [`claude`] finds it.
    ///
    /// [`claude`]: gantry_kinds::catalogue::claude
    pub claude: &'a Claude,
    /// What the upstream will be told in [`Dialect::version_header`], if its dialect has one.
    ///
    /// [`Dialect::version_header`]: crate::dialect::Dialect::version_header
    pub version: &'a str,
    /// Whether the answer is streamed, where the path said it; `None`: as the body says.
    pub stream: Option<bool>,
}

/// What the printer of a reply must know about the request.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext<'a> {
    /// Name of the model as the caller knows it.
    pub model: &'a str,
    pub request_id: &'a str,
    /// Of the translated request.
    pub tool_names: &'a ToolNames,
    /// Seconds since 1970.
    pub created_s: u64,
}

/// What the printer of a stream must know about the request; owned, because streams live long.
#[derive(Clone, Debug)]
pub struct StreamContext {
    /// Name of the model as the caller knows it.
    pub model: String,
    pub request_id: String,
    /// Seconds since 1970; the same in all chunks.
    pub created_s: u64,
    /// Whether the caller asked for `stream_options.include_usage`.
    pub include_usage: bool,
    /// Of the translated request.
    pub tool_names: ToolNames,
}

/// Why an event could not be taken.
#[derive(Debug)]
pub enum Failure {
    /// It is no event of the dialect.
    Malformed(Error),
    /// The upstream itself reported an error.
    Upstream(ErrorView),
}
