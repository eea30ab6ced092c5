//! Connects to the first of a host's addresses that answers (RFC 8305).
//!
//! Called for each new connection to an upstream. An address that drops packets costs a moment, not
//! the whole time that a connection may take. It looks up no names and sets no limit of its own.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long an address has before the next is tried beside it (RFC 8305, section 5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Connects to the address that is the first to answer, in the resolver's order.
///
/// # Errors
/// The last one's, when all fail.
pub(crate) async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let stream = first(interleaved(addresses), TcpStream::connect).await?;
    crate::http1::prepare(&stream)?;
    Ok(stream)
}

/// The addresses with their families in turn, beginning with the first one's.
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = addresses.peekable();
    let first = addresses.peek().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (VecDeque<_>, VecDeque<_>) =
        addresses.partition(|address| address.is_ipv4() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = VecDeque::with_capacity(one.len() + other.len());
    while one.len() + other.len() > 0 {
        all.extend(one.next());
        all.extend(other.next());
    }
    all
}

/// Tries the next address when the one before has failed, or has not answered for a while.
async fn first<T, F: Future<Output = io::Result<T>>>(
    mut waiting: VecDeque<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut tried = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        tried.extend(waiting.pop_front().map(&connect));
        tokio::select! {
            biased;
            Some(answer) = tried.next() => match answer {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(NEXT_AFTER), if !waiting.is_empty() => {}
            else => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> VecDeque<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let cases: [(&[&str], &[&str]); 3] = [
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "2.0.0.1:1"],
                &["[::1]:1", "1.0.0.1:1", "[::2]:1", "2.0.0.1:1", "[::3]:1"],
            ),
            (&["1.0.0.1:1", "2.0.0.1:1", "[::1]:1"], &["1.0.0.1:1", "[::1]:1", "2.0.0.1:1"]),
            (&[], &[]),
        ];
        for (given, expected) in cases {
            assert_eq!(interleaved(addresses(given).into_iter()), addresses(expected));
        }
    }

    /// The port that answered, and after how many milliseconds. A port is the time of its answer;
    /// an odd one refuses.
    async fn tried(ports: &[u16]) -> (Result<u16, String>, u128) {
        let begin = tokio::time::Instant::now();
        let all = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
        let answer = first(all, async |address| {
            tokio::time::sleep(Duration::from_millis(address.port().into())).await;
            match address.port() % 2 {
                0 => Ok(address.port()),
                _ => Err(io::Error::other(format!("refused after {}", address.port()))),
            }
        });
        let answer = answer.await.map_err(|error| error.to_string());
        (answer, begin.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_a_moment() {
        assert_eq!(tried(&[60_000, 20]).await, (Ok(20), 270));
        assert_eq!(tried(&[60_000, 50_000, 20]).await, (Ok(20), 520));
        // The slower one may still be the first.
        assert_eq!(tried(&[260, 60_000, 60_000]).await, (Ok(260), 260));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_tried_at_once_when_one_refuses() {
        assert_eq!(tried(&[1, 3, 20]).await, (Ok(20), 24));
        assert_eq!(tried(&[1, 3]).await, (Err("refused after 3".to_owned()), 4));
        assert_eq!(tried(&[]).await, (Err("the name has no address".to_owned()), 0));
    }

    #[tokio::test]
    async fn connects_past_an_address_that_refuses_and_sends_small_writes_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refuses = closed.local_addr().unwrap();
        drop(closed);
        let stream = connect([refuses, address].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap());
    }
}
