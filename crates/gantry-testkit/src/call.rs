//! What a request to the mock asks for, read from its path and body.

use http::Uri;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The operations that the mock knows, whatever the vendor's prefix of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `…/chat/completions`
    Chat,
    /// `…/completions`
    Completion,
    /// `…/embeddings`
    Embeddings,
    /// `…/models`
    Models,
    /// `…/messages`
    Messages,
    /// `…/messages/count_tokens`
    CountTokens,
    /// The path `/`, which clients call to see whether somebody is there.
    Root,
    Unknown,
}

impl Operation {
    pub(crate) fn of(path: &str) -> Self {
        // The longer path first: each is the end of the one before it.
        const PATHS: [(&str, Operation); 6] = [
            ("/chat/completions", Operation::Chat),
            ("/completions", Operation::Completion),
            ("/embeddings", Operation::Embeddings),
            ("/models", Operation::Models),
            ("/messages/count_tokens", Operation::CountTokens),
            ("/messages", Operation::Messages),
        ];
        let found = PATHS.iter().find(|(end, _)| path.ends_with(end));
        found.map_or(if path == "/" { Self::Root } else { Self::Unknown }, |(_, found)| *found)
    }

    /// Whether errors have Anthropic's shape.
    pub(crate) fn is_anthropic(self) -> bool {
        matches!(self, Self::Messages | Self::CountTokens)
    }

    pub(crate) fn takes_body(self) -> bool {
        !matches!(self, Self::Models | Self::Root | Self::Unknown)
    }
}

/// One request as the printers see it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The body's model, or Azure's deployment.
    pub(crate) model: String,
    pub(crate) streams: bool,
    pub(crate) include_usage: bool,
    /// How many texts an embedding request has.
    pub(crate) inputs: usize,
    pub(crate) base64: bool,
    /// The path has Azure's dated style but no `api-version`, which Azure answers with 404.
    pub(crate) lacks_version: bool,
    pub(crate) malformed: bool,
}

#[derive(Default, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Call {
    pub(crate) fn new(uri: &Uri, body: &[u8]) -> Self {
        let operation = Operation::of(uri.path());
        let parsed = serde_json::from_slice::<Body<'_>>(body);
        let malformed = operation.takes_body() && parsed.is_err();
        let parsed = parsed.unwrap_or_default();
        let deployment = uri
            .path()
            .split_once("/deployments/")
            .and_then(|(_, rest)| rest.split_once('/'))
            .map(|(deployment, _)| deployment.to_owned());
        let has_version = uri.query().unwrap_or_default().contains("api-version=");
        Self {
            operation,
            lacks_version: deployment.is_some() && !has_version,
            model: deployment.or(parsed.model).unwrap_or_default(),
            streams: parsed.stream.unwrap_or(false),
            include_usage: parsed.stream_options.and_then(|o| o.include_usage).unwrap_or(false),
            inputs: parsed.input.map_or(1, |input| texts(input.get())),
            base64: parsed.encoding_format.as_deref() == Some("base64"),
            malformed,
        }
    }
}

/// A list of strings or of token lists has as many texts; a string or a token list is one text.
fn texts(input: &str) -> usize {
    let is_list =
        input.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '[']));
    if !is_list {
        return 1;
    }
    serde_json::from_str::<Vec<IgnoredAny>>(input).map_or(1, |texts| texts.len())
}
