//! Snapshots of a control plane elsewhere.

use crate::control_plane::{self, ControlPlane, Question};
use crate::format::{Snapshot, generation, read_news};
use crate::snapshots::Snapshots;
use bytes::Bytes;
use gantry_model::snapshot::{Digests, Incomplete};
use gantry_runtime::reconcile::Failure;
use http::{Method, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The control plane answers a question without news after 25 s.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);

/// Asks `GET /api/svc/v1/gateway/snapshot`, which waits for news.
pub struct HttpSnapshots {
    control_plane: ControlPlane,
    /// Whether everything is to be sent, whatever the gateway has.
    whole: bool,
}

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error("understand the control plane's snapshot")]
    Snapshot(#[from] serde_json::Error),
    #[error("complete the snapshot with what came of it; the whole one is asked for")]
    Incomplete(#[from] Incomplete),
    #[error("learn anything new from the control plane, which says that there is something")]
    NoNews,
    #[error("the control plane refuses the token; create one with `gantry token NAME --gateway`")]
    Token,
    #[error("the control plane answered {status}{said}")]
    Status { status: StatusCode, said: String },
}

impl Snapshots for HttpSnapshots {
    async fn next(
        &mut self,
        have: Option<&Arc<Snapshot>>,
    ) -> Result<Option<Arc<Snapshot>>, Failure> {
        let nothing = Snapshot::default();
        let before = have.map_or(&nothing, Arc::as_ref);
        let Some(snapshot) = self.ask(before).await? else { return Ok(None) };
        if have.is_some() && !differs(before, &snapshot) {
            // It would come again at once.
            return Err(Error::NoNews.into());
        }
        Ok(Some(Arc::new(snapshot)))
    }
}

impl HttpSnapshots {
    #[must_use]
    pub fn new(control_plane: ControlPlane) -> Self {
        Self { control_plane, whole: false }
    }

    async fn ask(&mut self, have: &Snapshot) -> Result<Option<Snapshot>, Error> {
        let (method, body, timeout) = (Method::GET, Bytes::new(), POLL_TIMEOUT);
        let path_and_query = question(have, self.whole);
        let question = Question { method, path_and_query, body, timeout };
        let answer = self.control_plane.ask(question).await?;
        match answer.status {
            StatusCode::OK => {
                let completed = read_news(&answer.body)?.complete(have);
                self.whole = completed.is_err();
                Ok(Some(completed?))
            }
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::Token),
            status => {
                let said = serde_json::from_slice::<Refused>(&answer.body);
                let said = said.map(|said| format!(": {}", said.message)).unwrap_or_default();
                Err(Error::Status { status, said })
            }
        }
    }
}

fn differs(have: &Snapshot, snapshot: &Snapshot) -> bool {
    generation(have) != generation(snapshot) || have.digests() != snapshot.digests()
}

/// An error of the control plane.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

/// The path at which news are asked for, by what a gateway has.
fn question(have: &Snapshot, whole: bool) -> String {
    let path = "/api/svc/v1/gateway/snapshot";
    if whole || have.sections.is_empty() {
        return path.to_owned();
    }
    let sections = written(&have.digests());
    format!("{path}?generation={}&sections={sections}", generation(have))
}

/// Sections as a question names them. What no URL may hold is left out, and sent again.
fn written(digests: &Digests) -> String {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let pairs = digests.iter().filter(|(name, digest)| plain(name) && plain(digest));
    pairs.map(|(name, digest)| format!("{name}:{digest}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::ids::Generation;
    use gantry_model::snapshot::{Secrets, Section};

    #[test]
    fn a_gateway_says_which_sections_it_has() {
        let path = "/api/svc/v1/gateway/snapshot";
        assert_eq!(question(&Snapshot::default(), false), path);
        let section = |name: &str, digest: &str| {
            let section = Section::new::<u8>(&[], &|_| digest.to_owned()).unwrap();
            (name.to_owned(), section)
        };
        let sections = [section("keys", "ab12"), section("odd name", "x"), section("models", "3")];
        let secrets = Secrets::new(Default::default(), &|_| "9".to_owned());
        let source = Snapshot {
            generation: Generation(7),
            sections: sections.into(),
            secrets,
            ..Default::default()
        };
        let expected = format!("{path}?generation=7&sections=keys:ab12,models:3,secrets:9");
        assert_eq!(question(&source, false), expected);
        assert_eq!(question(&source, true), path);
    }
}
