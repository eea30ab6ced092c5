//! A gateway with one worker on a free port, its journal in a temporary directory.

use bytes::Bytes;
use gantry_gateway::{Config, Gateway, NewScreen, OtherBody, OtherService, Parts};
use gantry_http::client::{Answer, Call, call};
use gantry_http::server::{DetachedBody, Limits, Workers, accept, listen, start_workers};
use gantry_llm::operation::Apis;
use gantry_model::record::RequestRecord;
use gantry_model::snapshot::SnapshotSource;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::{Shutdown, spawn};
use gantry_telemetry::journal::{self, Reader};
use gantry_telemetry::metrics::{MetadataLabels, Metrics};
use gantry_telemetry::recorder::{Options, Recorder};
use gantry_testkit::MockUpstream;
use gantry_testkit::snapshot::ADMIN_TOKEN;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a busy machine, short enough to end a broken test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Harness {
    pub(crate) url: String,
    pub(crate) gateway: Gateway,
    recorder: Recorder,
    journal: Reader,
    pub(crate) shutdown: Shutdown,
    _dir: tempfile::TempDir,
}

/// What a test may want otherwise.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) traces: bool,
    pub(crate) hooks: Vec<NewScreen>,
    /// Dialects and operations; the standard ones unless said.
    pub(crate) apis: Option<Apis>,
}

struct Nothing;

impl OtherService for Nothing {
    fn call(
        &self,
        _: Request<DetachedBody>,
    ) -> Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>> {
        let body: OtherBody = Box::pin(Full::new(Bytes::from("other")).map_err(|e| match e {}));
        Box::pin(async move { Response::new(body) })
    }
}

impl Harness {
    pub(crate) async fn start(source: SnapshotSource) -> Self {
        Self::set_up(source, Setup::default()).await
    }

    pub(crate) async fn start_with(source: SnapshotSource, config: Config) -> Self {
        Self::set_up(source, Setup { config, ..Setup::default() }).await
    }

    pub(crate) async fn set_up(source: SnapshotSource, setup: Setup) -> Self {
        let Setup { config, limits, traces, hooks, apis } = setup;
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::new(100, &MetadataLabels::default()));
        let mut options = Options::new(metrics, clock.clone());
        options.journal = Some(journal::Options::new(dir.path().join("journal")));
        let recorder = Recorder::start(options).unwrap();
        let shutdown = Shutdown::default();
        let parts = Parts {
            config,
            apis: apis.unwrap_or_else(Apis::standard),
            clock,
            recorder: recorder.clone(),
            traces,
            other: Arc::new(Nothing),
            shutdown: shutdown.clone(),
        };
        let gateway = Gateway::screened(parts, hooks);
        gateway.publish(&source);
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let factory = gateway.clone();
        let workers =
            start_workers(Workers::default(), &limits, &shutdown, move |_| factory.worker())
                .unwrap();
        spawn("accept", accept(listener, workers, shutdown.clone()));
        let journal = Reader::new(dir.path().join("journal"));
        Self { url, gateway, recorder, journal, shutdown, _dir: dir }
    }

    /// Posts JSON as the administrator.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, body, &[]).await
    }

    /// The usual headers, with `headers` over them.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let url = format!("{}{path}", self.url);
        let mut all = HeaderMap::new();
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        all.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            let name = HeaderName::from_static(name);
            all.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let body = Bytes::from(body.to_owned());
        call(Call { method, url: &url, headers: all, body, timeout: PATIENCE }).await.unwrap()
    }

    /// All records so far. A record is handed over before its reply's last byte.
    pub(crate) fn records(&self) -> Vec<RequestRecord> {
        assert!(self.recorder.flush(PATIENCE), "the recorder did not flush");
        let mut records = Vec::new();
        for segment in self.journal.segments().unwrap() {
            let frames = self.journal.read(&segment.name).unwrap().unwrap();
            records.extend(frames.records());
        }
        records
    }

    /// The one record there must be.
    pub(crate) fn record(&self) -> RequestRecord {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// Waits for records that come after the reply, as when a caller leaves.
    pub(crate) async fn records_until(&self, count: usize) -> Vec<RequestRecord> {
        let wait = async {
            loop {
                let records = self.records();
                if records.len() >= count {
                    return records;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the records did not come")
    }

    /// The one record of a caller that left, once the upstream was left too.
    pub(crate) async fn record_of_leaving(&self, mock: &MockUpstream) -> RequestRecord {
        let gone = mock.until(|progress| progress.abandoned == 1);
        tokio::time::timeout(PATIENCE, gone).await.expect("the upstream was not left");
        let mut records = self.records_until(1).await;
        assert_eq!(records.len(), 1);
        let record = records.remove(0);
        assert_eq!((record.status, record.fault.as_ref()), (499, "caller"), "{record:#?}");
        record
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

pub(crate) fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", text(answer)))
}

pub(crate) fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#)
}

pub(crate) fn chat_stream(model: &str) -> String {
    let messages = r#"[{"role":"user","content":"hi"}]"#;
    format!(r#"{{"model":"{model}","stream":true,"messages":{messages}}}"#)
}

pub(crate) fn messages(model: &str, stream: bool) -> String {
    let messages = r#"[{"role":"user","content":"hi"}]"#;
    format!(r#"{{"model":"{model}","max_tokens":64,"stream":{stream},"messages":{messages}}}"#)
}
