//! Why an object store did not do what was asked, in words that say what to do.

use gantry_cloud::credentials;
use gantry_cloud::xml::Element;
use gantry_http::client;
use http::StatusCode;

/// Why an object store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("find credentials for {store}")]
    Credentials { store: String, source: credentials::Error },
    #[error("find {key} in {store}")]
    NotFound { store: String, key: String },
    #[error("write {key} to {store}: somebody else wrote it")]
    Conflict { store: String, key: String },
    /// The same again will be refused again.
    #[error("{doing} {store}: it answers {status} {said}; {advice}")]
    Refused { doing: &'static str, store: String, status: u16, said: Said, advice: String },
    #[error("{doing} {store}: it answers {status} {said}")]
    Failing { doing: &'static str, store: String, status: u16, said: Said },
    #[error("reach {store}")]
    Unreachable { store: String, source: client::Error },
    #[error("understand the answer of {store}")]
    Answer { store: String },
    #[error("ask {store}: {why}")]
    Unusable { store: String, why: String },
}

impl Error {
    /// Whether the same may succeed later, though nobody changes a setting.
    pub(crate) fn temporary(&self) -> bool {
        match self {
            Self::Failing { .. } | Self::Unreachable { .. } => true,
            Self::Credentials { source, .. } => source.temporary(),
            Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Unusable { .. } => false,
        }
    }

    /// Whether it is worth to try again at once.
    pub(super) fn passing(&self) -> bool {
        match self {
            Self::Failing { .. } => true,
            Self::Unreachable { source, .. } => {
                matches!(source, client::Error::Broken { .. })
            }
            Self::Credentials { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Unusable { .. } => false,
        }
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { ref key, .. } => {
                Self::NotFound { path: key.clone(), source: Box::new(error) }
            }
            Error::Conflict { ref key, .. } => {
                Self::Precondition { path: key.clone(), source: Box::new(error) }
            }
            // A server that does not know conditions may say so.
            Error::Failing { status: 501, .. } => Self::NotImplemented {
                operation: "conditional put".to_owned(),
                implementer: error.to_string(),
            },
            error => Self::Generic { store: "object store", source: Box::new(error) },
        }
    }
}

/// What a store says of a failure: its code, and the beginning of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub code: String,
    pub message: String,
}

impl Said {
    /// From an error document, or from Azure's header; the answer to HEAD has no document.
    pub(super) fn of(answer: &client::Answer) -> Self {
        const SHOWN: usize = 200;
        let header = answer.headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let document = Element::parse(&answer.body).unwrap_or_default();
        let text = |name| document.text_of(name).or(document.find(name).map(|it| &*it.text));
        let code = header.or_else(|| text("Code")).unwrap_or_default().to_owned();
        // Azure's second line names a request and a time.
        let message = text("Message").and_then(|text| text.lines().next()).unwrap_or_default();
        Self { code, message: message.chars().take(SHOWN).collect() }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code.as_str(), self.message.trim_end_matches('.')) {
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code} ({message})"),
        }
    }
}

/// Whether a store that answers so is merely busy or ill.
pub(super) fn failing(status: StatusCode) -> bool {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    status.is_server_error() || busy.contains(&status)
}
