//! One HTTP request at a time, to see whether a proxy is up and what it has switched on.
//!
//! Used before a measurement, never within one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The token that the load driver sends (`bench/src/cases.rs`).
pub(super) const TOKEN: &str = "tfy_bench";

/// The status of a small chat completion with `token`, or `None` when nobody answers.
pub(super) fn chat(address: &str, token: &str) -> Option<u16> {
    let body = r#"{"model":"bench/plain","messages":[{"role":"user","content":"Hello"}]}"#;
    let length = body.len();
    exchange(
        address,
        &format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: bench.test\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The status of `GET path`.
pub(super) fn get(address: &str, path: &str) -> Option<u16> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: bench.test\r\nconnection: close\r\n\r\n");
    exchange(address, &head)
}

fn exchange(address: &str, request: &str) -> Option<u16> {
    let address: SocketAddr = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}
