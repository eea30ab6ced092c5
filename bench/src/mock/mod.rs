//! The mock upstream: answers written out beforehand, no JSON parsing, no logs.
//!
//! It picks the answer by the path (chat or messages) and by the end of the model's name (`plain`,
//! `upload`, `ticks`, `slow`), so that a proxy which rewrites `bench/plain` to `plain` and one that
//! forwards it unchanged get the same bytes. It never checks anything else.

mod replies;
mod request;

use crate::detach;
use replies::{Replies, Reply, Script};
use request::Reader;
use std::io;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Serves on `listen`, on this thread, for ever.
///
/// # Errors
/// When the address cannot be bound.
pub fn run(listen: SocketAddr, announce: fn(SocketAddr)) -> io::Result<()> {
    crate::on_one_thread(async move {
        let listener = TcpListener::bind(listen).await?;
        announce(listener.local_addr()?);
        // The answers live as long as the process.
        let replies: &'static Replies = Box::leak(Box::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            detach(async move {
                // A proxy that closes its connection is no error.
                let _ = converse(stream, replies).await;
            });
        }
    })
}

async fn converse(mut stream: TcpStream, replies: &Replies) -> io::Result<()> {
    let mut reader = Reader::default();
    while let Some(asked) = reader.next(&mut stream).await? {
        match replies.pick(&asked) {
            Reply::Whole(bytes) => stream.write_all(bytes).await?,
            Reply::Stream(script) => play(&mut stream, script).await?,
        }
    }
    Ok(())
}

async fn play(stream: &mut TcpStream, script: &Script) -> io::Result<()> {
    stream.write_all(&script.opening).await?;
    let mut due = Instant::now();
    for _ in 0..script.events {
        due += script.gap;
        sleep_until(due).await;
        stream.write_all(&script.event).await?;
    }
    stream.write_all(&script.closing).await
}
