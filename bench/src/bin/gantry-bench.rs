//! Command line of the benchmark's programs; called by `cargo xtask bench`, seldom by hand.
//!
//! `gantry-bench mock ADDRESS`, `gantry-bench passthrough ADDRESS UPSTREAM`,
//! `gantry-bench load SPEC-AS-JSON`. It holds no logic.

use std::io::{Error, Result};
use std::net::SocketAddr;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["mock", listen] => gantry_bench::mock::run(address(listen)?, announce),
        ["passthrough", listen, upstream] => {
            gantry_bench::passthrough::run(address(listen)?, address(upstream)?, announce)
        }
        ["load", spec] => {
            println!("{}", gantry_bench::load::run(spec)?);
            Ok(())
        }
        _ => Err(Error::other(
            "usage: gantry-bench mock ADDRESS | passthrough ADDRESS UPSTREAM | load SPEC",
        )),
    }
}

/// Tells the parent where the server listens.
fn announce(at: SocketAddr) {
    println!("listening {at}");
}

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| Error::other(format!("parse `{text}` as ADDRESS:PORT")))
}
