//! The request path: every call of a model goes through the nine stages of [`pipeline`].
//!
//! A [`Gateway`] is shared by all workers; each worker thread has its own [`Worker`] with its own
//! connections. The gateway makes no external call to decide anything: keys, grants, routes and
//! prices are in the snapshot. It knows nothing of the control plane.

mod addresses;
mod admit;
mod aside;
mod attempt;
mod authenticate;
mod bodies;
mod body;
mod buffers;
pub mod config;
pub mod cors;
mod decode;
mod early;
pub mod gateway;
mod headers;
mod local;
mod pipeline;
mod prompt;
mod receive;
mod refusal;
mod relay;
mod reply;
pub mod route;
mod screens;
mod settle;
mod shared;
pub mod snapshot;

pub use body::ReplyBody;
pub use config::Config;
pub use gateway::{Gateway, Parts, Worker};
pub use screens::NewScreen;
pub use shared::{OtherBody, OtherService};
