//! Anthropic Messages: `POST /v1/messages`.
//!
//! Facts: the Python SDK 2.11 and platform.claude.com, versions `2023-06-01` and `2026-10-21`.

mod answer;
mod client_tools;
mod print_blocks;
mod print_messages;
mod print_reply;
mod print_request;
mod print_stream;
mod progress;
mod read_messages;
mod read_reply;
mod read_request;
mod read_stream;
mod schema;
mod schema_report;
mod thinking;
mod usage;
mod wire_block;

pub(crate) use print_blocks::{redacted as print_redacted, thinking as print_thinking};
pub(crate) use print_reply::print as print_reply;
pub(crate) use print_request::{beta, print as print_request};
pub(crate) use print_stream::{Output, Printer};
pub(crate) use read_reply::read as read_reply;
pub(crate) use read_request::read as read_request;
pub(crate) use read_stream::Parser;
