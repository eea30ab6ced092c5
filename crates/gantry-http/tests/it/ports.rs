//! A server on a port with settings, for the tests of what ports speak; and clients of it.

use bytes::Bytes;
use gantry_http::http1::FieldLines;
use gantry_http::server::{
    Limits, Listener, Port, PortConfig, Rejected, Request, Response, Service, Upgraded, Workers,
    accept, listen, start_workers, upgrade,
};
use gantry_http::tls::{TlsSettings, client_config};
use gantry_runtime::tasks::{Shutdown, spawn};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Long enough for a busy machine, short enough to end a broken test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of each piece of `/flood`, and how many there are.
pub(crate) const FLOOD: (usize, usize) = (64 * 1024, 100);

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// What the tests see of the service.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Gets a permit for each call that was dropped unanswered.
    pub(crate) dropped: Arc<Semaphore>,
    /// Pieces of `/flood` that were taken.
    pub(crate) flooded: Arc<AtomicUsize>,
}

struct Teller(Seen);

struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

fn told(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(StatusCode::OK, FieldLines::default(), full(text))
}

impl Service for Teller {
    type Body = Body;
    type BodyError = std::io::Error;

    async fn call(&self, mut request: Request) -> Response<Body> {
        match request.uri.path() {
            "/who" => told(format!("{:?} {:?}", request.peer, request.server_name)),
            "/host" => told(request.fields.get("host").unwrap_or_default().to_vec()),
            "/extension" => {
                let peer = request.into_http().extensions().get().copied();
                told(format!("{:?}", peer.map(|gantry_http::server::Peer(peer)| peer)))
            }
            "/never" => {
                let _dropped = Dropped(self.0.dropped.clone());
                std::future::pending().await
            }
            "/flood" => {
                let taken = self.0.flooded.clone();
                let pieces = (0..FLOOD.1).map(move |_| {
                    taken.fetch_add(1, Ordering::SeqCst);
                    Ok(Frame::data(Bytes::from_static(&[b'x'; FLOOD.0])))
                });
                let body = StreamBody::new(futures_util::stream::iter(pieces)).boxed();
                Response::new(StatusCode::OK, FieldLines::default(), body)
            }
            "/upgrade" => upgraded(&request, None),
            "/websocket" => upgraded(&request, request.fields.get("sec-websocket-key")),
            _ => {
                let mut all = Vec::new();
                loop {
                    match request.body.piece().await {
                        Ok(Some(piece)) => all.extend_from_slice(&piece),
                        Ok(None) => break,
                        Err(error) => return told(error.to_string()),
                    }
                }
                let trailers = request.body.trailers().cloned().unwrap_or_default();
                Response::new(StatusCode::OK, FieldLines::default(), with_trailers(all, trailers))
            }
        }
    }

    fn reject(&self, rejected: Rejected) -> Response<Body> {
        let text = rejected.why.to_string();
        Response::new(rejected.why.status(), FieldLines::default(), full(text))
    }
}

fn with_trailers(all: Vec<u8>, trailers: HeaderMap) -> Body {
    if trailers.is_empty() {
        return full(all);
    }
    let frames = [Ok(Frame::data(Bytes::from(all))), Ok(Frame::trailers(trailers))];
    StreamBody::new(futures_util::stream::iter(frames)).boxed()
}

/// Changes to an echo of bytes, or of the messages of a WebSocket.
fn upgraded(request: &Request, key: Option<&[u8]>) -> Response<Body> {
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
    let Some(protocol) = request.wants_upgrade() else {
        return Response::new(StatusCode::UPGRADE_REQUIRED, FieldLines::default(), full("no"));
    };
    let mut lines = FieldLines::default();
    lines.line(b"upgrade", protocol);
    if let Some(key) = key {
        lines.line(b"sec-websocket-accept", derive_accept_key(key).as_bytes());
    }
    let (ours, theirs) = upgrade();
    let websocket = key.is_some();
    spawn("upgraded", async move {
        let Some(connection) = theirs.connection().await else { return };
        match websocket {
            true => echo_messages(connection).await,
            false => echo_bytes(connection).await,
        }
    });
    Response::switching(lines, ours, full(""))
}

async fn echo_bytes(mut connection: Upgraded) {
    let mut piece = [0; 1000];
    while let Ok(length @ 1..) = connection.read(&mut piece).await {
        connection.write_all(&piece[..length]).await.unwrap();
        connection.flush().await.unwrap();
    }
}

async fn echo_messages(connection: Upgraded) {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
    socket.get_mut().shutdown().await.unwrap();
}

/// A server; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) seen: Seen,
}

impl Server {
    pub(crate) async fn start(port: Port) -> Self {
        Self::limited(port, Limits::default()).await
    }

    pub(crate) async fn limited(port: Port, limits: Limits) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, seen) = serve(Listener::from(listener).speaking(port), &limits);
        Self { address, shutdown, seen }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Serves what comes to `listener`.
pub(crate) fn serve(listener: Listener, limits: &Limits) -> (Shutdown, Seen) {
    let shutdown = Shutdown::default();
    let seen = Seen { dropped: Arc::new(Semaphore::new(0)), flooded: Arc::default() };
    let for_calls = seen.clone();
    let service = move |_| Teller(for_calls.clone());
    let workers = start_workers(Workers::default(), limits, &shutdown, service).unwrap();
    spawn("accept", accept(listener, workers, shutdown.clone()));
    (shutdown, seen)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// A certificate for `localhost` in two files of a folder.
pub(crate) struct Certificate {
    dir: tempfile::TempDir,
    /// What clients trust.
    pub(crate) pem: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let mut made = Self { dir: tempfile::tempdir().unwrap(), pem: String::new() };
        made.renew();
        made
    }

    /// Replaces both files by a new pair.
    pub(crate) fn renew(&mut self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.pem = made.cert.pem();
        std::fs::write(self.path("tls.crt"), &self.pem).unwrap();
        std::fs::write(self.path("tls.key"), made.signing_key.serialize_pem()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.dir.path(), name)
    }

    pub(crate) fn config(&self) -> PortConfig {
        PortConfig {
            tls_cert_file: Some(self.path("tls.crt")),
            tls_key_file: Some(self.path("tls.key")),
            ..PortConfig::default()
        }
    }

    pub(crate) fn port(&self) -> Port {
        self.config().open().unwrap()
    }

    /// A client that trusts the certificate and offers these protocols.
    pub(crate) fn connector(&self, alpn: &[&str]) -> TlsConnector {
        let settings = TlsSettings { ca_cert: Some(self.pem.clone()), ..TlsSettings::default() };
        let mut config = (*client_config(Some(&settings)).unwrap()).clone();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) async fn connect(
        &self,
        server: &Server,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        self.connector(alpn).connect(name, server.connect().await).await
    }
}

/// The answer to a `GET` that ends the connection.
pub(crate) async fn get<S>(stream: S, path: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    ask(stream, &request).await
}

/// Everything that comes until the connection's end, in answer to `request`.
pub(crate) async fn ask<S>(mut stream: S, request: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut seen = Vec::new();
    let read = stream.read_to_end(&mut seen);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection stayed open").unwrap();
    String::from_utf8(seen).unwrap()
}

/// Reads until `end` has come.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("nothing came");
        seen.push(char::from(byte.unwrap()));
    }
    seen
}

/// The boot file as far as ports go.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Boot {
    data: PortConfig,
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<PortConfig, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[data]\n{text}")).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let loaded = gantry_runtime::boot::load::<Boot>(Some(file.path()), variables, &[]);
    let name = file.path().display().to_string();
    loaded.map(|boot| boot.data).map_err(|error| error.to_string().replace(&name, "file"))
}

#[test]
fn settings_are_read_from_file_and_variables_and_mistakes_name_their_place() {
    let config = load(
        "tls_cert_file = \"a\"\ntls_key_file = \"b\"\nhttp2 = true\n\
         client_header = \"forwarded\"",
        &[
            ("GANTRY_DATA__PROXY_PROTOCOL", "true"),
            ("GANTRY_DATA__TRUSTED_PROXIES", "[\"10.0.0.0/8\", \"::1\"]"),
        ],
    );
    let config = config.unwrap();
    assert!(config.http2 && config.proxy_protocol && config.scheme() == "https");
    assert!(config.trusted_proxies.contain([10, 1, 1, 1].into()));
    assert_eq!(config.client_header, gantry_http::server::ClientHeader::Forwarded);
    assert_eq!(load("", &[]).unwrap().scheme(), "http");

    let cases = [
        ("trusted_proxies = [\"10.0.0.0/33\"]", "file:2:19: `10.0.0.0/33` is no network"),
        ("trusted_proxies = \"10.0.0.0/8\"", "file:2:19: invalid type: string"),
        ("client_header = \"via\"", "file:2:17: unknown variant `via`, expected"),
        ("tls_cert = \"a\"", "file:2:1: unknown field `tls_cert`, expected one of `tls_cert_file`"),
    ];
    for (text, expected) in cases {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
