//! Both sides against real sockets.

mod exchange;
mod server;
