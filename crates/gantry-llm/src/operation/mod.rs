//! Operations: what can be asked of a gateway, one row each.
//!
//! A row says which paths ask for it, who answers, and how its bodies are read. The gateway finds
//! the row of a request in [`Operations`] and lets it decide wherever operations differ; the client
//! of upstreams takes their addresses from it. Nothing here does IO.

mod path;
mod rows;
mod table;

pub use path::Captures;
pub use rows::{ALL, ANTHROPIC, AZURE, OPENAI};
pub use table::{Lookup, Matched, Operations};

use crate::dialect::Dialect;
use crate::observe::Replies;

/// An API that callers speak: paths and a dialect under one name.
#[derive(Debug)]
pub struct Api {
    /// Name in records: `openai`, `azure-openai`, `anthropic`.
    pub name: &'static str,
    /// The wire format of its bodies and errors.
    pub dialect: &'static dyn Dialect,
    /// A header, in lower case, that all its clients send. It chooses between two APIs that share a
    /// path, and never against the path.
    pub header: Option<&'static str>,
}

/// One thing that can be asked.
#[derive(Debug)]
pub struct Operation {
    /// Name in records and metrics: `chat`.
    pub name: &'static str,
    pub method: Method,
    /// Where it is found; the first path is the usual one.
    pub paths: &'static [Path],
    pub handler: Handler,
}

impl Operation {
    /// What there is to know of the call of an upstream; `None` when the gateway answers.
    #[must_use]
    pub fn exchange(&self) -> Option<&Exchange> {
        match &self.handler {
            Handler::Upstream(exchange) => Some(exchange),
            Handler::Local(_) => None,
        }
    }
}

/// A place of an operation.
#[derive(Debug)]
pub struct Path {
    pub api: &'static Api,
    /// Without a leading slash: `openai/deployments/{model}/chat/completions`. `{model}` is the
    /// name of a model, slashes and all; every other capture is one segment or a part of one.
    pub pattern: &'static str,
    /// Whether the answer is streamed, where the path says it; `None`: the body does.
    pub stream: Option<bool>,
}

/// HTTP methods of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// Who answers.
#[derive(Debug)]
pub enum Handler {
    /// The gateway itself, by its function of this name.
    Local(&'static str),
    /// An upstream.
    Upstream(Exchange),
}

/// One call of an upstream and its reply.
#[derive(Debug)]
pub struct Exchange {
    /// The dialect whose operation it is: upstreams that speak it can be asked.
    pub dialect: &'static dyn Dialect,
    /// Where upstreams have it.
    pub address: Address,
    pub body: BodyCodec,
    pub reply: ReplyCodec,
    /// How its streams are cut into events.
    pub framer: Framer,
    /// Reads replies for their usage, content and errors; `None`: they hold none of these.
    pub replies: Option<&'static dyn Replies>,
    /// What it is charged by.
    pub unit: Unit,
    /// Types of models that can answer it, as manifests spell them.
    pub model_types: &'static [&'static str],
    /// What becomes of it at an upstream of another dialect.
    pub elsewhere: Elsewhere,
    /// Whether callers may choose between OpenAI's schema and more (`x-tfy-strict-openai`).
    pub reshapes: bool,
}

/// Paths at an upstream, below its base address and without a leading slash.
///
/// `{model}` stands for the name of the model there. A path that has it says the model, so that the
/// body need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub whole: &'static str,
    /// For streamed replies; often the same.
    pub stream: &'static str,
}

impl Address {
    /// One path for both, because the body says whether to stream.
    #[must_use]
    pub const fn same(path: &'static str) -> Self {
        Self { whole: path, stream: path }
    }

    /// Whether the path names the model.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.whole.contains("{model}")
    }
}

/// How a request's body is read and edited. Forms of uploads join here with their first operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyCodec {
    /// One JSON object, with the model as `model` unless the path names it.
    Json,
    /// There is none.
    Nothing,
}

/// How a whole reply is read. Recordings and pictures join here with their first operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyCodec {
    /// One JSON object.
    Json,
}

/// How a streamed reply is cut. AWS event streams and JSON lists join here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framer {
    /// Server-sent events.
    Sse,
    /// It is never streamed, whatever the body says.
    Nothing,
}

/// What an operation is charged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Tokens of the prompt and of the answer.
    Tokens,
    /// Nothing: upstreams answer for free.
    Nothing,
}

/// What becomes of an operation when the upstream speaks another dialect.
#[derive(Clone, Copy, Debug)]
pub enum Elsewhere {
    /// It becomes the upstream's operation of the same meaning.
    Translated(Meaning),
    /// Gantry estimates the tokens of the prompt, and this prints the answer.
    Estimated(fn(u64) -> String),
    /// There is no such thing there.
    Refused,
}

impl Elsewhere {
    /// What it has in common with operations of other dialects.
    #[must_use]
    pub fn meaning(self) -> Option<Meaning> {
        match self {
            Self::Translated(meaning) => Some(meaning),
            Self::Estimated(_) | Self::Refused => None,
        }
    }
}

/// What operations of several dialects have in common, so that the neutral form can carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// One answer to a conversation.
    Answer,
}

/// The dialects and operations of a gateway.
#[derive(Clone, Debug)]
pub struct Apis {
    pub dialects: crate::dialect::Dialects,
    pub operations: Operations,
}

impl Apis {
    /// Those of this binary.
    #[must_use]
    pub fn standard() -> Self {
        Self { dialects: crate::dialect::Dialects::standard(), operations: Operations::standard() }
    }
}

#[cfg(test)]
mod tests;
