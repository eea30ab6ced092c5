//! Takes a remote gateway's journal to its control plane, segment by segment.
//!
//! A segment is deleted only when the control plane has it; sending one twice does no harm. One
//! that it will never take is set aside as `NAME.refused`.

use super::follow::bearer;
use anyhow::bail;
use bytes::Bytes;
use gantry_http::client::{Call, call};
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
            let body = Bytes::from(std::fs::read(&path)?);
            if self.send(&segment.name, body).await? {
                self.journal.delete(&segment.name)?;
            } else {
                self.journal.set_aside(&segment.name)?;
                let file = path.with_extension("refused");
                let file = file.display();
                tracing::error!(%file, "the control plane refused records; they lie in this file");
            }
        }
        Ok(())
    }

    /// Whether the control plane has it now; else it never will.
    async fn send(&self, name: &str, body: Bytes) -> anyhow::Result<bool> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(&self.token)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let url = format!("{}?segment={name}", self.url);
        let (method, timeout) = (Method::POST, TIMEOUT);
        let answer = call(Call { method, url: &url, headers, body, timeout }).await?;
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::BAD_REQUEST => Ok(false),
            status => bail!("the control plane answered {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with a status.
    async fn answer(listener: &TcpListener, status: &str) {
        let (mut caller, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"segment") {
            assert_ne!(caller.read_buf(&mut read).await.unwrap(), 0);
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        caller.write_all(answer.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_segment_goes_when_it_was_taken_and_is_kept_when_it_was_not() {
        for (status, taken, left) in [
            ("204 No Content", true, None),
            ("400 Bad Request", true, Some("a-1.refused")),
            ("503 Service Unavailable", false, Some("a-1.seg")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("a-1.seg"), "a segment").unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let shipper = Shipper::new(&url, "token", dir.path());
            let (round, ()) = tokio::join!(shipper.round(), answer(&listener, status));
            assert_eq!(round.is_ok(), taken, "{status}");
            let files = std::fs::read_dir(dir.path()).unwrap();
            let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            assert_eq!(files, Vec::from_iter(left), "{status}");
        }
    }
}
