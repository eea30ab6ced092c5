//! HTTP, both sides: the server loop, connections to upstreams with their pool, names, TLS.
//!
//! Roles serve with [`server`]; the gateway calls upstreams through [`pool`]; everything off the
//! path of a request calls with [`client`]. It knows nothing of models.

pub mod client;
pub mod connect;
pub mod endpoint;
pub mod exchange;
pub mod http1;
pub mod names;
pub mod networks;
pub mod pace;
pub mod pool;
pub mod server;
mod tcp;
pub mod tls;
