//! Snapshots of a control plane elsewhere.

use crate::control_plane::{self, ControlPlane, Question};
use crate::format::{Snapshot, generation, read};
use crate::snapshots::Snapshots;
use bytes::Bytes;
use gantry_runtime::reconcile::Failure;
use http::{Method, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The control plane answers a question without news after 25 s.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);

/// Asks `GET /api/svc/v1/gateway/snapshot`, which waits for news.
pub struct HttpSnapshots(pub ControlPlane);

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error("understand the control plane's snapshot")]
    Snapshot(#[from] serde_json::Error),
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
        Ok(self.ask(have.map(Arc::as_ref)).await?)
    }
}

impl HttpSnapshots {
    async fn ask(&self, have: Option<&Snapshot>) -> Result<Option<Arc<Snapshot>>, Error> {
        let (method, body, timeout) = (Method::GET, Bytes::new(), POLL_TIMEOUT);
        let question = Question { method, path_and_query: question(have), body, timeout };
        let answer = self.0.ask(question).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(Arc::new(read(&answer.body)?))),
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

/// An error of the control plane.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

/// The path at which news are asked for, by what a gateway has.
fn question(have: Option<&Snapshot>) -> String {
    let digest = match have.map(|have| have.digest.as_str()) {
        // From a control plane that knew none.
        None | Some("") => String::new(),
        Some(known) => format!("&digest={known}"),
    };
    let generation = have.map_or(0, generation);
    format!("/api/svc/v1/gateway/snapshot?generation={generation}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::ids::Generation;

    #[test]
    fn a_gateway_says_which_state_it_has_as_far_as_it_knows() {
        let path = "/api/svc/v1/gateway/snapshot";
        assert_eq!(question(None), format!("{path}?generation=0"));
        let mut snapshot = Snapshot { generation: Generation(7), ..Snapshot::default() };
        assert_eq!(question(Some(&snapshot)), format!("{path}?generation=7"));
        snapshot.digest = "ab12".to_owned();
        assert_eq!(question(Some(&snapshot)), format!("{path}?generation=7&digest=ab12"));
    }
}
