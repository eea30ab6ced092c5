//! One log line for each request that has ended, written on the recorder's thread.
//!
//! The binary puts [`sink`] among the recorder's. The line holds no bodies and no messages of
//! upstreams: who wants more looks the record up by its id.

use crate::recorder::Sink;
use gantry_model::record::RequestRecord;

/// What a log filter calls these lines: `info,gantry::request=off` leaves them out, and then a
/// request costs one comparison here.
pub const TARGET: &str = "gantry::request";

/// A sink for [`crate::recorder::Options::sinks`].
#[must_use]
pub fn sink() -> Sink {
    Box::new(log)
}

fn log(record: &RequestRecord) {
    tracing::info!(
        target: TARGET,
        id = record.id.map(tracing::field::display),
        caller = said(&record.subject),
        model = said(&record.model),
        target = said(&record.resolved_model),
        status = record.status,
        refusal = said(&record.refusal),
        duration_ms = record.duration_us / 1000,
        "request ended"
    );
}

/// Fields without a value are left out of the line.
fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_model::ids::RequestId;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::EnvFilter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, record: &RequestRecord) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, || sink()(record));
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn one_line_says_who_asked_for_what_and_what_came_of_it() {
        let record = RequestRecord {
            id: Some(RequestId(0xabc)),
            subject: "user:ann".into(),
            model: "route/fast".into(),
            resolved_model: "main/gpt".into(),
            status: 200,
            duration_us: 1_234_567,
            request_body: Some("secret question".into()),
            ..RequestRecord::default()
        };
        let expected = " INFO request ended id=00000000000000000000000000000abc \
            caller=\"user:ann\" model=\"route/fast\" target=\"main/gpt\" status=200 \
            duration_ms=1234\n";
        assert_eq!(logged("info", &record), expected);
    }

    #[test]
    fn a_refusal_is_named_and_what_is_unknown_is_left_out() {
        let refusal = "invalid_api_key".into();
        let record = RequestRecord { status: 401, refusal, ..RequestRecord::default() };
        let expected = " INFO request ended status=401 refusal=\"invalid_api_key\" duration_ms=0\n";
        assert_eq!(logged("info", &record), expected);
    }

    #[test]
    fn the_filter_leaves_the_lines_out() {
        for filter in ["info,gantry::request=off", "warn"] {
            assert_eq!(logged(filter, &RequestRecord::default()), "", "{filter}");
        }
    }
}
