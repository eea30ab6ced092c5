//! Why the control plane refuses or fails, without a word about HTTP.
//!
//! Texts are shown to callers: they say what to do next and hold no secret.

use gantry_model::rest::Problem;

/// A refusal or a failure of an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Manifests with mistakes: nothing was stored.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// A request that makes no sense as such.
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Unauthenticated(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    /// The request makes sense but not in the present state.
    #[error("{0}")]
    Conflict(String),
    /// A part that the operation needs is not there (now).
    #[error("{0}")]
    Unavailable(String),
    #[error("cannot {0}")]
    Store(#[from] gantry_store::Error),
    /// A mistake of Gantry's own.
    #[error("{0}")]
    Internal(String),
}

impl From<gantry_runtime::ids::RandomError> for Error {
    fn from(_: gantry_runtime::ids::RandomError) -> Self {
        Self::Store(gantry_store::Error::Random)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
