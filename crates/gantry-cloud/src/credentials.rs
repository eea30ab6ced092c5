//! Where the keys to a cloud come from: variables of the process, token files, token services.
//!
//! The lake's object store uses them. They read the variables that the vendors' own tools read, and
//! renew what ends before it does. They never print what they find.

pub mod aws;
pub mod azure;

use gantry_http::client::{self, Answer};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Keys that end are renewed so long before: vendors' own libraries take five minutes, too.
const RENEW_BEFORE_MS: u64 = 300_000;

/// Longest wait for a service that hands out keys.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Names the variables that may be set.
    #[error("{advice}")]
    Missing { advice: String },
    #[error("read the token in {path}, named by {variable}")]
    File { variable: &'static str, path: PathBuf, source: std::io::Error },
    #[error("get credentials from {service}")]
    Unreachable { service: String, source: client::Error },
    #[error("get credentials from {service}: it answers {status} {said}")]
    Refused { service: String, status: u16, said: String },
    #[error("understand the credentials that {service} gives")]
    Answer { service: String },
}

impl Error {
    /// Whether the same call may succeed later, though nobody changes a setting.
    #[must_use]
    pub fn temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::Missing { .. } | Self::File { .. } | Self::Answer { .. } => false,
        }
    }
}

type LookUp = dyn Fn(&str) -> Option<Secret> + Send + Sync;

/// Looks up variables; the binary gives it those of the process, tests their own.
#[derive(Clone)]
pub struct Environment(Arc<LookUp>);

impl Environment {
    pub fn new(look_up: impl Fn(&str) -> Option<Secret> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look_up))
    }

    /// The value of a variable; an empty one counts as absent.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        (self.0)(name).filter(|value| !value.expose().is_empty())
    }

    /// The value of the first of several variables that is set and no secret.
    #[must_use]
    pub fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.secret(name)).map(|value| value.expose().to_owned())
    }
}

impl Default for Environment {
    /// No variables at all.
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// Something that a service lends until a time.
#[derive(Clone, Debug)]
struct Lent<T> {
    value: T,
    until_ms: UnixMs,
}

/// The last thing that was lent; callers that come meanwhile wait for the one that renews it.
#[derive(Debug)]
struct Renewed<T>(Mutex<Option<Lent<T>>>);

impl<T: Clone> Renewed<T> {
    fn new() -> Self {
        Self(Mutex::new(None))
    }

    async fn get(
        &self,
        now_ms: UnixMs,
        fetch: impl Future<Output = Result<Lent<T>, Error>>,
    ) -> Result<T, Error> {
        let mut held = self.0.lock().await;
        let fresh = held.as_ref().filter(|lent| lent.until_ms > now_ms + RENEW_BEFORE_MS);
        if let Some(lent) = fresh {
            return Ok(lent.value.clone());
        }
        match (fetch.await, held.as_ref()) {
            (Ok(lent), _) => Ok(held.insert(lent).value.clone()),
            // The next call tries again; what there is still holds for some minutes.
            (Err(error), Some(lent)) if lent.until_ms > now_ms => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "credentials could not be renewed yet");
                Ok(lent.value.clone())
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// The token in a file, which its issuer replaces from time to time.
fn token_file(variable: &'static str, path: &str) -> Result<Secret, Error> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| Error::File { variable, path: path.into(), source })?;
    Ok(Secret::new(text.trim()))
}

/// An answer that is no 2xx, with the beginning of what it says.
fn accepted(service: &str, answer: Answer) -> Result<Answer, Error> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    const SHOWN: usize = 300;
    let said = String::from_utf8_lossy(&answer.body);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = said.chars().take(SHOWN).collect();
    Err(Error::Refused { service: service.to_owned(), status: answer.status.as_u16(), said })
}

#[cfg(test)]
mod tests;
