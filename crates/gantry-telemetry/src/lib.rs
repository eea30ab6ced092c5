//! What a request leaves behind: records in a journal, numbers for Prometheus, spans for OTLP.
//!
//! The gateway hands one [`recorder::Recorder`] a record for each request and pays less than a
//! microsecond for it; everything else happens on the recorder's own thread. `gantry-lake` turns
//! the journal into Parquet. Nothing here may fail or delay a request.

pub mod journal;
pub mod metrics;
pub mod names;
pub mod otlp;
pub mod recorder;
pub mod request_log;
