//! Questions about records, answered by the lake, and records of remote gateways, taken into it.

use futures_util::future::BoxFuture;
use gantry_control::{Analytics, AnalyticsError, OneRequest, RecordsSink, Segment, SinkError};
use gantry_lake::{Error, Lake, ObjectsError};
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LogQuery, UsageQuery, UsageRow};
use gantry_telemetry::journal::Format;
use std::io::Write;
use std::path::PathBuf;
use tokio::runtime::Handle;

/// The lake, asked on the background runtime: a query must not hold up a gateway worker.
pub(crate) struct LakeAnalytics {
    pub lake: Lake,
    pub background: Handle,
}

impl Analytics for LakeAnalytics {
    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<Vec<RequestRecord>, AnalyticsError>> {
        let lake = self.lake.clone();
        let answer = self.background.spawn(async move { lake.requests(&query).await });
        Box::pin(async move { settled(answer.await) })
    }

    fn request(
        &self,
        asked: OneRequest,
    ) -> BoxFuture<'_, Result<Option<RequestRecord>, AnalyticsError>> {
        let lake = self.lake.clone();
        let answer = self
            .background
            .spawn(async move { lake.request(&asked.id, asked.subject.as_ref()).await });
        Box::pin(async move { settled(answer.await) })
    }

    fn usage(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<UsageRow>, AnalyticsError>> {
        let lake = self.lake.clone();
        let answer = self.background.spawn(async move { lake.usage(&query).await });
        Box::pin(async move { settled(answer.await) })
    }
}

fn settled<T>(
    answer: Result<Result<T, Error>, tokio::task::JoinError>,
) -> Result<T, AnalyticsError> {
    match answer {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(Error::Invalid { field, found, why })) => {
            Err(AnalyticsError::BadQuery(format!("{field} `{found}` {why}")))
        }
        Ok(Err(Error::Ambiguous { prefix, candidates })) => {
            Err(AnalyticsError::BadQuery(ambiguous(&prefix, &candidates)))
        }
        Ok(Err(error)) => {
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(error = cause, "a question to the lake failed");
            let mut causes = std::iter::successors(Some(cause), |error| error.source());
            let store = causes.find_map(|error| error.downcast_ref::<ObjectsError>());
            Err(match store {
                Some(store) => AnalyticsError::Store(format!("failed to {store}")),
                None => AnalyticsError::Failed(format!("failed to {error}")),
            })
        }
        Err(error) => Err(AnalyticsError::Failed(format!("the query ended early: {error}"))),
    }
}

/// Says which requests a beginning of an id may mean.
fn ambiguous(prefix: &str, candidates: &[RequestRecord]) -> String {
    let mut text = format!("several ids begin with {prefix}; give more digits of one of them:");
    for record in candidates {
        let id = record.id.map(|id| id.to_string()).unwrap_or_default();
        text.push_str(&format!("\n  {id}  {} {}", record.status, record.model));
    }
    text
}

/// Puts segments of remote gateways into the journal's directory, where the lake finds them.
pub(crate) struct JournalSink {
    pub journal_dir: PathBuf,
}

impl RecordsSink for JournalSink {
    fn accept(&self, segment: Segment) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let dir = self.journal_dir.clone();
            tokio::task::spawn_blocking(move || keep(&dir, &segment))
                .await
                .map_err(|error| SinkError::Failed(error.to_string()))?
        })
    }
}

/// The segment's name follows from the gateway's, so that one that is sent twice counts once.
fn keep(dir: &std::path::Path, segment: &Segment) -> Result<(), SinkError> {
    let failed = |error: std::io::Error| SinkError::Failed(format!("keep the segment: {error}"));
    let usable = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if !usable(&segment.id) {
        return Err(SinkError::Malformed(format!("`{}` is no segment name", segment.id)));
    }
    match Format::of(&segment.body) {
        Format::Readable => {}
        Format::Foreign => return Err(SinkError::Malformed("no journal segment".to_owned())),
        Format::Newer => {
            let why = "a newer Gantry wrote the segment: update the control plane first";
            return Err(SinkError::Failed(why.to_owned()));
        }
    }
    let target = dir.join(format!("{}.seg", segment.id));
    let begun = dir.join(format!("{}.part", segment.id));
    let mut file = std::fs::File::create(&begun).map_err(failed)?;
    file.write_all(&segment.body).and_then(|()| file.sync_data()).map_err(failed)?;
    std::fs::rename(&begun, &target).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(dir: &std::path::Path, id: &str, body: &'static [u8]) -> Result<(), SinkError> {
        let body = bytes::Bytes::from_static(body);
        keep(dir, &Segment { gateway: "g".into(), id: id.into(), body })
    }

    #[test]
    fn segments_are_kept_under_their_names_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        offered(dir.path(), "a-1", b"GJRNL\0\0\x02 first").unwrap();
        offered(dir.path(), "a-1", b"GJRNL\0\0\x01 again").unwrap();
        for (id, body) in [("a-2", b"PAR1".as_slice()), ("../a-2", b"GJRNL\0\0\x02"), ("", b"")] {
            let refused = offered(dir.path(), id, body);
            assert!(matches!(refused, Err(SinkError::Malformed(_))), "{id}");
        }
        let newer = offered(dir.path(), "a-3", b"GJRNL\0\0\x7f");
        assert!(matches!(newer, Err(SinkError::Failed(_))), "the gateway has to keep it");
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].file_name(), "a-1.seg");
        assert_eq!(std::fs::read(files[0].path()).unwrap(), b"GJRNL\0\0\x01 again");
    }
}
