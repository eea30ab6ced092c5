//! OpenAI chat completions: `POST /chat/completions`.
//!
//! Facts: openai-openapi 2.3 and the Python SDK; extensions of compatible servers (vLLM, DeepSeek,
//! OpenRouter, Azure) are accepted where they are unambiguous.

mod fit;
mod media;
mod print_messages;
mod print_reply;
mod print_request;
mod print_stream;
mod read_messages;
mod read_reply;
mod read_request;
mod read_stream;
mod schema;
mod usage;
mod wire_request;

pub(crate) use print_reply::print as print_reply;
pub(crate) use print_request::print as print_request;
pub(crate) use print_stream::{Output, Printer};
pub(crate) use read_reply::read as read_reply;
pub(crate) use read_request::read as read_request;
pub(crate) use read_stream::Parser;
