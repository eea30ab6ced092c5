//! The neutral form: what a request, a reply and a stream say, in whatever dialect.
//!
//! Parsers in `dialect` make it, printers in `dialect` write it, `translate` and `stream` join
//! them. It borrows from the body it was parsed from. It must never name a dialect: a field that
//! only one dialect has is reported by that dialect's parser and left out here.

mod carried;
mod error;
mod fit_ids;
mod fitted;
mod losses;
mod order;
mod place;
mod reply;
mod request;
mod text;
mod tool_names;
mod tool_schema;

pub use carried::Carried;
pub use error::{ErrorKind, ErrorView};
pub(crate) use fit_ids::fit_ids;
pub(crate) use fitted::fitted;
pub use losses::{Losses, Unknown};
pub(crate) use order::results_first;
pub use place::Place;
pub use reply::{Block, Event, Reply, Sink, Stop, StopReason};
pub use request::{
    Arguments, Body, Cache, Display, Document, Effort, Format, LeftOut, Media, Names, Part,
    Reasoning, Request, Role, Sampling, ThinkingMode, Tier, Tool, ToolCall, ToolChoice, ToolResult,
    Turn,
};
pub(crate) use text::unescaped_len;
pub use text::{Number, Raw, Str, StrOr, Text};
pub use tool_names::ToolNames;
pub(crate) use tool_names::{Held, Restoring};
