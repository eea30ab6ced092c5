//! The control plane's port for records, answered by the bus.

use futures_util::future::BoxFuture;
use gantry_bus::{JournalRecords, Records, Refused};
use gantry_control::{RecordsSink, Segment, SinkError};

/// Puts segments of remote gateways where the lake finds them.
pub(crate) struct Sink(pub JournalRecords);

impl RecordsSink for Sink {
    fn accept(&self, segment: Segment) -> BoxFuture<'_, Result<(), SinkError>> {
        let segment = gantry_bus::Segment { name: segment.id, body: segment.body };
        Box::pin(async move {
            self.0.accept(segment).await.map_err(|refused| match refused {
                Refused::ForGood(why) => SinkError::Malformed(why),
                Refused::ForNow(why) => SinkError::Failed(why),
            })
        })
    }
}
