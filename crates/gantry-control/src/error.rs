//! Why the control plane refuses or fails, without a word about HTTP.
//!
//! An error has two halves. Its text is for whoever runs Gantry: logs and the command line of the
//! process itself. [`Error::public`] is for callers: it says what to do next, and holds no secret,
//! no statement of a database and no path of a file.

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
    /// A part that the operation needs is not there (now). The text is for callers.
    #[error("{0}")]
    Unavailable(String),
    #[error("cannot {0}")]
    Store(#[from] gantry_store::Error),
    /// A mistake of Gantry's own: a fragment for the log.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// What a caller may read of it; `None` when that is nothing but that it happened.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Invalid(_)
            | Self::BadRequest(_)
            | Self::TooLarge(_)
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Unavailable(_) => Some(self.to_string()),
            Self::Store(gantry_store::Error::Full) => Some(FULL.to_owned()),
            Self::Store(gantry_store::Error::Busy) => Some(BUSY.to_owned()),
            Self::Store(gantry_store::Error::Unreachable(_) | gantry_store::Error::Lost(_)) => {
                Some(AWAY.to_owned())
            }
            Self::Store(gantry_store::Error::BadCursor) => Some(CURSOR.to_owned()),
            Self::Store(_) | Self::Internal(_) => None,
        }
    }
}

const FULL: &str =
    "the control plane cannot write: its disk is full; free some space and try again";
const AWAY: &str = "the control plane cannot reach its database; try again in a moment";
const CURSOR: &str = "the cursor is none of this list; begin again without one";
const BUSY: &str = "the control plane's database is busy with a long write; try again";

impl From<gantry_runtime::ids::RandomError> for Error {
    fn from(_: gantry_runtime::ids::RandomError) -> Self {
        Self::Store(gantry_store::Error::Random)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
