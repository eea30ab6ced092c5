//! Sends the spans of a few made-up requests to an OTLP receiver over plain HTTP, then prints the
//! page for Prometheus.
//!
//! `cargo run -p gantry-telemetry --example otlp_send -- 127.0.0.1:4318`

use bytes::Bytes;
use gantry_model::ids::RequestId;
use gantry_model::record::{Attempt, RequestRecord};
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::metrics::Metrics;
use gantry_telemetry::otlp::{Config, Transport, TransportError, pair};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One request per connection, the answer read until the other side closes.
async fn send(
    address: String,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, TransportError> {
    let mut stream = tokio::net::TcpStream::connect(&address).await?;
    let path = request.uri().path();
    let length = request.body().len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(request.body()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let status: u16 = text.split(' ').nth(1).ok_or("no status")?.parse()?;
    eprintln!("{}", text.lines().next().unwrap_or_default());
    Ok(http::Response::builder().status(status).body(Bytes::new())?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4318".to_owned());
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::default());
    let target = address.clone();
    let transport: Transport = Arc::new(move |request| Box::pin(send(target.clone(), request)));
    let config = Config::new(Config::traces_url(&format!("http://{address}")));
    let (queue, exporter) = pair(config, transport, metrics.clone());
    let mut sink = queue.sink();
    for number in 0..3 {
        let record = RequestRecord {
            id: Some(gantry_runtime::ids::request_id(&clock)),
            received_at_ms: clock.unix_ms(),
            duration_us: 1_000 + number,
            operation: "chat".into(),
            model: "fast".into(),
            status: 200,
            attempts: vec![Attempt { target: "main/gpt".into(), ..Attempt::default() }],
            ..RequestRecord::default()
        };
        metrics.observe(&record);
        sink.take(&record);
    }
    sink.take(&RequestRecord { id: Some(RequestId(1)), ..RequestRecord::default() });
    let shutdown = Shutdown::default();
    shutdown.begin();
    exporter.run(shutdown).await;
    print!("{}", metrics.render());
    Ok(())
}
