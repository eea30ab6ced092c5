//! Anthropic Messages: `POST /v1/messages`.
//!
//! Facts: the Python SDK 2.11 and platform.claude.com, versions `2023-06-01` and `2026-10-21`.

mod answer;
mod client_tools;
mod fit;
mod input;
mod print_error;
mod print_messages;
mod print_reply;
mod print_request;
mod print_stream;
mod read_messages;
mod read_reply;
mod read_request;
mod read_stream;
mod replies;
mod schema;
mod schema_report;
mod thinking;
mod usage;
mod wire_block;

pub(crate) use replies::Messages;

use super::reply_headers::of_any;
use super::{Dialect, Edits, Forwarded, StreamParser, StreamPrinter};
use crate::context::{Error, ReplyContext, RequestContext, StreamContext};
use crate::neutral::{ErrorKind, ErrorView, Losses, Reply, Request};
use crate::scan::ScanError;
use crate::splice::{self, Draft};
use gantry_model::facts::Quirks;

/// Anthropic's wire format.
#[derive(Debug)]
pub(crate) struct Anthropic;

const BETA: &str = "anthropic-beta";

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn read_request<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error> {
        read_request::read(body, losses)
    }

    fn print_request(
        &self,
        request: &Request<'_>,
        ctx: &RequestContext<'_>,
        losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        print_request::print(request, ctx, losses, out)
    }

    fn needed_headers(&self, request: &Request<'_>) -> Vec<(&'static str, &'static str)> {
        print_request::beta(request).map(|value| (BETA, value)).into_iter().collect()
    }

    /// Thinking that is not Anthropic's is taken out: its signature would be refused.
    fn edits(&self, request: &Forwarded<'_>) -> Result<Edits, ScanError> {
        let Some(cut) = splice::cut_marked(request.body, request.index) else {
            return Ok(Edits::default());
        };
        let removed = if cut.without_thinking { vec!["thinking"] } else { Vec::new() };
        let set = vec![("messages", cut.messages.into())];
        Ok(Edits { set, removed, losses: cut.losses, usage_added: false })
    }

    fn fit(
        &self,
        draft: &mut Draft<'_>,
        ctx: &RequestContext<'_>,
        losses: &mut Losses,
    ) -> Result<(), ScanError> {
        // Only conversations have a model's facts.
        if draft.get("messages").is_none() {
            return Ok(());
        }
        fit::fit(draft, ctx, losses)
    }

    fn read_reply<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error> {
        read_reply::read(body, losses)
    }

    fn print_reply(
        &self,
        reply: &Reply<'_>,
        ctx: &ReplyContext<'_>,
        losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> &'static str {
        print_reply::print(reply, ctx, losses, out)
    }

    fn stream_parser(&self) -> Box<dyn StreamParser> {
        Box::new(read_stream::Parser::default())
    }

    fn stream_printer(&self, ctx: &StreamContext) -> Box<dyn StreamPrinter> {
        Box::new(print_stream::Printer::new(ctx))
    }

    fn owns_error(&self, body: &[u8]) -> bool {
        print_error::is_envelope(body)
    }

    /// Its clients look at the name first.
    fn owns_error_event(&self, name: Option<&str>, data: &[u8]) -> bool {
        name == Some("error") && self.owns_error(data)
    }

    fn print_error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        print_error::print(error, out);
    }

    fn print_error_event(&self, error: &ErrorView, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        print_error::print(error, out);
        out.extend_from_slice(b"\n\n");
    }

    fn keep_alive(&self) -> &'static [u8] {
        b"event: ping\ndata: {\"type\":\"ping\"}\n\n"
    }

    /// 529 is Anthropic's own.
    fn error_status(&self, error: &ErrorView) -> u16 {
        match error.kind {
            ErrorKind::Overloaded => 529,
            _ => error.usual_status(),
        }
    }

    fn version_header<'q>(&self, quirks: &'q Quirks) -> Option<(&'static str, &'q str)> {
        Some(("anthropic-version", &quirks.anthropic_version))
    }

    fn feature_headers(&self) -> &'static [&'static str] {
        &[BETA]
    }

    /// Rate limits and those of fast mode ("Rate limits", "Response headers"). The header
    /// `anthropic-organization-id` names an account and is left out on purpose.
    fn carries_reply_header(&self, name: &[u8]) -> bool {
        let own = name.starts_with(b"anthropic-ratelimit-") || name.starts_with(b"anthropic-fast-");
        own || of_any(name)
    }

    fn request_id_header(&self) -> Option<&'static str> {
        Some("request-id")
    }
}
