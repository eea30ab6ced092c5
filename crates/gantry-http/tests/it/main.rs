//! Both sides against real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod exchange;
mod http2;
mod names;
mod ports;
mod proxies;
mod server;
mod tls;
mod upgrade;
