//! Answers on other threads than the worker's that took the request.
//!
//! A worker of the data port serves streams: whatever keeps a thread busy for more than moments is
//! handed over. The request's body follows through a bounded channel, piece by piece as it is read
//! (`gantry_http::server::detached`), and the answer comes back whole.

use gantry_gateway::{OtherBody, OtherService};
use gantry_http::server::DetachedBody;
use gantry_runtime::tasks::run_on;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A service that answers on the threads of another runtime. When the caller leaves, the call is
/// dropped there.
pub(super) struct HandedOver {
    pub service: Arc<dyn OtherService>,
    pub to: Handle,
}

impl OtherService for HandedOver {
    fn call(
        &self,
        request: Request<DetachedBody>,
    ) -> Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>> {
        let (service, to) = (self.service.clone(), self.to.clone());
        Box::pin(async move {
            let answer = run_on(&to, "handed over", async move { service.call(request).await });
            answer.await.unwrap_or_else(|_| broken())
        })
    }
}

/// Said when the other side panicked or ends with the process.
fn broken() -> Response<OtherBody> {
    let text = "the answer was interrupted; the log says why\n";
    let body: OtherBody = Box::pin(Full::from(text).map_err(|never| match never {}));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[cfg(test)]
mod tests {
    use super::super::admin::{Admin, Door, Pages};
    use super::*;
    use gantry_gateway::{Config, Gateway, Parts};
    use gantry_http::server::{Limits, Workers, accept, start_workers};
    use gantry_runtime::clock::Clock;
    use gantry_runtime::reconcile::Board;
    use gantry_runtime::tasks::{Shutdown, spawn};
    use gantry_telemetry::recorder::{Options, Recorder};
    use std::net::SocketAddr;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::sync::{Mutex, OnceLock};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// Only a defect needs so long.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Keeps its thread busy with a call until it is let go.
    struct Busy {
        /// Gets the body of the call.
        begun: SyncSender<Vec<u8>>,
        let_go: Arc<Mutex<Receiver<()>>>,
    }

    impl OtherService for Busy {
        fn call(
            &self,
            request: Request<DetachedBody>,
        ) -> Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>> {
            let (begun, let_go) = (self.begun.clone(), self.let_go.clone());
            Box::pin(async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                begun.send(body.to_vec()).unwrap();
                let_go.lock().unwrap().recv().unwrap();
                let done: OtherBody = Box::pin(Full::from("done").map_err(|never| match never {}));
                Response::new(done)
            })
        }
    }

    /// A data port of one worker; what it hands over runs on the test's own runtime.
    async fn data_port(control: Arc<dyn OtherService>, shutdown: &Shutdown) -> SocketAddr {
        let recorder = Recorder::start(Options::new(Arc::default(), Clock::system())).unwrap();
        let pages = Pages { metrics: recorder.metrics().clone(), board: Board::default() };
        let admin = Admin {
            gateway: OnceLock::new(),
            pages: Arc::new(pages),
            door: Door::Open,
            control: Some(control),
            models: true,
        };
        let gateway = Gateway::new(Parts {
            apis: gantry_llm::operation::Apis::standard(),
            config: Config::default(),
            clock: Clock::system(),
            recorder,
            traces: false,
            other: Arc::new(admin),
            shutdown: shutdown.clone(),
        });
        let service = move |_| gateway.worker();
        let one = Workers { count: 1, ..Workers::default() };
        let workers = start_workers(one, &Limits::default(), shutdown, service).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn("accept", accept(listener, workers, shutdown.clone()));
        address
    }

    /// Sends one request over a connection of its own and reads the whole answer.
    async fn ask(address: SocketAddr, line: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let request = format!("{head}content-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn requests_on_the_same_worker_go_on_while_a_call_keeps_its_thread_busy() {
        let (begun, busy) = sync_channel(1);
        let (release, let_go) = sync_channel(1);
        let service = Arc::new(Busy { begun, let_go: Arc::new(Mutex::new(let_go)) });
        let control = HandedOver { service, to: Handle::current() };
        let shutdown = Shutdown::default();
        let address = data_port(Arc::new(control), &shutdown).await;
        let applying = async { ask(address, "PUT /api/svc/v1/apply", "the manifests").await };
        let others = async {
            let body = tokio::task::spawn_blocking(move || busy.recv()).await.unwrap();
            assert_eq!(body.unwrap(), b"the manifests", "the body went along");
            for (line, status) in [("GET /healthz", "200"), ("GET /v1/models", "503")] {
                let answer = tokio::time::timeout(PATIENCE, ask(address, line, "")).await;
                let answer = answer.expect("the worker is held up");
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
            }
            release.send(()).unwrap();
        };
        let (applied, ()) = tokio::join!(applying, others);
        assert!(applied.ends_with("\r\n\r\ndone"), "{applied}");
        shutdown.begin();
    }
}
