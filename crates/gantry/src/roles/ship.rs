//! Takes a remote gateway's journal to its control plane, segment by segment.
//!
//! A segment is deleted only when the control plane has it; sending one twice does no harm.

use super::follow::bearer;
use anyhow::bail;
use bytes::Bytes;
use gantry_providers::client::{Call, call};
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::journal::Reader;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::path::{Path, PathBuf};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Shipper {
    url: String,
    token: String,
    journal: Reader,
    journal_dir: PathBuf,
}

impl Shipper {
    pub(super) fn new(control_plane: &str, token: &str, journal_dir: &Path) -> Self {
        let url = format!("{}/api/svc/v1/gateway/records", control_plane.trim_end_matches('/'));
        let journal_dir = journal_dir.to_owned();
        Self { url, token: token.to_owned(), journal: Reader::new(&journal_dir), journal_dir }
    }

    /// Ships until shutdown.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let mut failing = false;
        loop {
            match self.round().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = format!("{error:#}"), "records wait in the journal");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.wait() => return,
            }
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        for segment in self.journal.segments()?.into_iter().filter(|segment| segment.sealed) {
            let path = self.journal_dir.join(format!("{}.seg", segment.name));
            let body = Bytes::from(std::fs::read(path)?);
            self.send(&segment.name, body).await?;
            self.journal.delete(&segment.name)?;
        }
        Ok(())
    }

    async fn send(&self, name: &str, body: Bytes) -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(&self.token)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let url = format!("{}?segment={name}", self.url);
        let (method, timeout) = (Method::POST, TIMEOUT);
        let answer = call(Call { method, url: &url, headers, body, timeout }).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            // It will never be taken; the control plane has logged why.
            StatusCode::BAD_REQUEST => Ok(()),
            status => bail!("the control plane answered {status}"),
        }
    }
}
