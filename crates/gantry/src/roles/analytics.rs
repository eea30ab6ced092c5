//! Questions about records, answered by the lake.

use futures_util::future::BoxFuture;
use gantry_control::{Analytics, AnalyticsError, OneRequest};
use gantry_lake::{Error, Lake, ObjectsError};
use gantry_model::record::RequestRecord;
use gantry_model::rest::{LogQuery, UsageQuery, UsageRow};
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
