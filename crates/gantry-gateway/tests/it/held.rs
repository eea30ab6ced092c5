//! An upstream that sends what the test says when it says so, and a caller that reads on until
//! something has come: the order of what happens is the test's, however slow the machine is.

use crate::harness::{Harness, PATIENCE, chat_stream, messages};
use gantry_runtime::tasks::spawn;
use gantry_testkit::snapshot::ADMIN_TOKEN;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Sender, channel};

/// Its address, and where pieces of its replies go in; `None` closes the connection.
pub(crate) async fn upstream() -> (String, Sender<Option<String>>) {
    let (pieces, mut script) = channel::<Option<String>>(16);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    spawn("upstream", async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            until(&mut connection, "\r\n\r\n", 1).await;
            while let Some(piece) = script.recv().await {
                let Some(piece) = piece else { break };
                connection.write_all(piece.as_bytes()).await.unwrap();
            }
            connection.shutdown().await.unwrap();
        }
    });
    (url, pieces)
}

/// The head of a stream that ends with its connection.
pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Asks for a stream, with header lines of the test's, over a connection of its own.
pub(crate) async fn ask(gateway: &Harness, path: &str, model: &str, lines: &str) -> TcpStream {
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let body = match path {
        "/v1/messages" => messages(model, true),
        _ => chat_stream(model),
    };
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         connection: close\r\ncontent-type: application/json\r\n{lines}content-length: {}\r\n\
         \r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// Reads until `mark` has come so often, or all.
pub(crate) async fn until(connection: &mut TcpStream, mark: &str, times: usize) -> String {
    let (mut text, mut room) = (String::new(), [0; 4096]);
    let read = async {
        while text.matches(mark).count() < times {
            match connection.read(&mut room).await.unwrap() {
                0 => break,
                count => text.push_str(std::str::from_utf8(&room[..count]).unwrap()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("it did not come");
    text
}
