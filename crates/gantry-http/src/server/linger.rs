//! Closing a connection so that the client can read what was said last.
//!
//! A socket that is closed while the client still sends is reset, and a reset takes back what the
//! client has not read: the refusal of a body that is too large would be lost. So what still comes
//! is thrown away, for a short time. It never looks into it.

use super::transport::Transport;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Longest gap between two pieces that are thrown away: a client that is still sending is not
/// silent for so long.
const GAP_MAX: Duration = Duration::from_secs(2);

/// Longest time in all, enough for 64 MiB at 50 Mbit/s.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What is thrown away at a time. Small, because thousands of connections may end at once.
const PIECE_BYTES: usize = 4 * 1024;

/// Says that nothing more comes, then reads to the client's end and throws away, in bounded time.
pub(super) async fn linger(mut stream: Transport) {
    // An error means that the client has gone.
    if stream.shutdown().await.is_err() {
        return;
    }
    // Most clients have closed their side by now; only the others need a buffer.
    if matches!(stream.try_discard(&mut [0; 16]), Ok(0)) {
        return;
    }
    let mut piece = vec![0; PIECE_BYTES];
    let discard = async {
        loop {
            let read = tokio::time::timeout(GAP_MAX, stream.discard(&mut piece)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return;
            }
        }
    };
    // A client that sends for longer is cut off.
    let _ = tokio::time::timeout(TIME_MAX, discard).await;
}
