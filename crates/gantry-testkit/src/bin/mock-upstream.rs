//! The mock upstream as a program, for tests in other languages.
//!
//! `mock-upstream [--port N]` prints its address as one line (`http://127.0.0.1:N`) and serves
//! until it is killed. Model names choose what it does: `fault-429`, `fault-stall-mid-stream`,
//! `answer-tools`; every other model gets a plain reply.

use gantry_testkit::MockUpstream;
use std::io::{Error, ErrorKind, Write};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = port(std::env::args().skip(1))?;
    let mock = MockUpstream::start_on(port).await?;
    writeln!(std::io::stdout(), "{}", mock.url())?;
    std::future::pending().await
}

fn port(mut arguments: impl Iterator<Item = String>) -> std::io::Result<u16> {
    let usage = || Error::new(ErrorKind::InvalidInput, "usage: mock-upstream [--port N]");
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, _, _) => Ok(0),
        (Some("--port"), Some(port), None) => port.parse().map_err(|_| usage()),
        _ => Err(usage()),
    }
}
