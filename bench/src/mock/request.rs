//! Reads a request as far as the mock needs it: path, model, length of the body.
//!
//! Used by the mock's connection loop. It expects no pipelining, which no proxy does.

use memchr::memmem;
use std::io;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Head and start of the body must fit; the rest of the body is thrown away.
const KEPT_BYTES: usize = 16 * 1024;
/// What is thrown away is read in pieces of this size, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) messages: bool,
    /// The model's name after its last slash.
    pub(super) model: Vec<u8>,
    pub(super) body_bytes: usize,
}

/// Reads the requests of one connection.
#[derive(Default)]
pub(super) struct Reader {
    kept: Vec<u8>,
}

impl Reader {
    /// The next request, once its body has arrived whole, or `None` when the peer has closed.
    pub(super) async fn next(&mut self, stream: &mut TcpStream) -> io::Result<Option<Asked>> {
        self.kept.clear();
        self.kept.reserve(KEPT_BYTES);
        let Some(head) = self.read_head(stream).await? else { return Ok(None) };
        let body_bytes = match content_length(self.kept.get(..head).unwrap_or_default()) {
            Some(length) => self.read_sized(stream, head, length).await?,
            None => self.read_chunked(stream, head).await?,
        };
        Ok(Some(self.asked(head, body_bytes)))
    }

    async fn read_head(&mut self, stream: &mut TcpStream) -> io::Result<Option<usize>> {
        loop {
            if let Some(at) = memmem::find(&self.kept, b"\r\n\r\n") {
                return Ok(Some(at + 4));
            }
            if self.kept.len() >= KEPT_BYTES || stream.read_buf(&mut self.kept).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn read_sized(
        &mut self,
        stream: &mut TcpStream,
        head: usize,
        length: usize,
    ) -> io::Result<usize> {
        while self.kept.len() < (head + length).min(KEPT_BYTES) {
            if stream.read_buf(&mut self.kept).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut left = (head + length).saturating_sub(self.kept.len());
        let mut piece = Vec::with_capacity(if left > 0 { PIECE_BYTES } else { 0 });
        while left > 0 {
            piece.clear();
            let count = stream.read_buf(&mut piece).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left = left.saturating_sub(count);
        }
        Ok(length)
    }

    /// Takes the last chunk's bytes as the end: the JSON that is sent never holds them.
    async fn read_chunked(&mut self, stream: &mut TcpStream, head: usize) -> io::Result<usize> {
        const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
        let mut total = self.kept.len() - head;
        let mut tail = self.kept.get(head..).unwrap_or_default().to_vec();
        while !tail.ends_with(LAST_CHUNK) {
            let from = tail.len().saturating_sub(LAST_CHUNK.len());
            tail.drain(..from);
            let count = stream.read_buf(&mut tail).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            total += count;
            if self.kept.len() < KEPT_BYTES {
                let news = tail.get(tail.len() - count..).unwrap_or_default();
                self.kept.extend_from_slice(news);
            }
        }
        Ok(total)
    }

    fn asked(&self, head: usize, body_bytes: usize) -> Asked {
        let line = self.kept.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
        Asked {
            messages: path.ends_with(b"/messages"),
            model: model(self.kept.get(head..).unwrap_or_default()).to_vec(),
            body_bytes,
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let lines = head.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    });
    std::str::from_utf8(values.next()?).ok()?.trim().parse().ok()
}

fn model(body: &[u8]) -> &[u8] {
    const KEY: &[u8] = b"\"model\"";
    let after = memmem::find(body, KEY).and_then(|at| body.get(at + KEY.len()..));
    let mut quoted = after.unwrap_or_default().split(|byte| *byte == b'"');
    let name = quoted.nth(1).unwrap_or_default();
    name.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    async fn read(request: &[u8]) -> Asked {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let send = async {
            client.write_all(request).await.unwrap();
        };
        let mut reader = Reader::default();
        let (asked, ()) = tokio::join!(reader.next(&mut server), send);
        asked.unwrap().unwrap()
    }

    #[tokio::test]
    async fn reads_path_model_and_length() {
        let long = format!("{{\"model\":\"bench/upload\",\"x\":\"{}\"}}", "a".repeat(200_000));
        let cases = [
            (
                "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 20\r\n\r\n\
                 {\"model\": \"a/plain\"}",
                (false, "plain", 20),
            ),
            (
                "POST /v1/messages?beta=true HTTP/1.1\r\ncontent-length:17\r\n\r\n\
                 {\"model\":\"ticks\"}",
                (true, "ticks", 17),
            ),
            (
                "POST /messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                 10\r\n{\"model\":\"slow\"}\r\n0\r\n\r\n",
                (true, "slow", 27),
            ),
        ];
        for (request, (messages, model, body_bytes)) in cases {
            let expected = Asked { messages, model: model.into(), body_bytes };
            assert_eq!(read(request.as_bytes()).await, expected);
        }
        let head = format!("POST /chat HTTP/1.1\r\ncontent-length: {}\r\n\r\n", long.len());
        let asked = read((head + &long).as_bytes()).await;
        assert_eq!((asked.model.as_slice(), asked.body_bytes), (&b"upload"[..], long.len()));
    }
}
