//! OpenAI's Responses: `POST /responses`.
//!
//! Facts: openai-openapi 2.3 and the Python SDK. Callers speak it; no upstream is asked in it yet,
//! so it reads requests and prints replies. Nothing is kept between requests: the conversation
//! comes whole as `input`, and what refers to a kept one is refused.

mod envelope;
mod items;
mod print_reply;
mod print_stream;
mod read_items;
mod read_request;
mod read_tools;
mod seal;
mod usage;
mod wire_request;

use super::{Dialect, StreamParser, StreamPrinter, openai_error};
use crate::context::{Error, Failure, ReplyContext, RequestContext, StreamContext};
use crate::dialect::json::{Json, Piece};
use crate::neutral::{ErrorView, Losses, Reply, Request, Sink};
use gantry_model::record::Loss;
use gantry_model::usage::TokenUsage;

/// The wire format of Responses.
#[derive(Debug)]
pub(crate) struct Responses;

fn of_callers_only() -> Error {
    Error::new("", "no upstream is asked for responses: this gateway only answers in that form")
}

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn read_request<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Request<'a>, Error> {
        read_request::read(body, losses)
    }

    fn echo(&self, body: &[u8]) -> String {
        envelope::echo(body)
    }

    fn print_request(
        &self,
        _: &Request<'_>,
        _: &RequestContext<'_>,
        _: &mut Losses,
        _: &mut Vec<u8>,
    ) -> Result<(), Error> {
        Err(of_callers_only())
    }

    fn read_reply<'a>(&self, _: &'a [u8], _: &mut Losses) -> Result<Reply<'a>, Error> {
        Err(of_callers_only())
    }

    fn print_reply(
        &self,
        reply: &Reply<'_>,
        ctx: &ReplyContext<'_>,
        _losses: &mut Losses,
        out: &mut Vec<u8>,
    ) -> &'static str {
        print_reply::print(reply, ctx, out)
    }

    fn stream_parser(&self) -> Box<dyn StreamParser> {
        Box::new(NoStream)
    }

    fn stream_printer(&self, ctx: &StreamContext) -> Box<dyn StreamPrinter> {
        Box::new(print_stream::Printer::new(ctx.clone()))
    }

    fn print_error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        openai_error::print(error, out);
    }

    /// An `error` event, which the official clients raise by its `error`, and `response.failed`, at
    /// which others look.
    fn print_error_event(&self, error: &ErrorView, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        let mut json = Json::new(out);
        json.run(r#"{"type":"error","sequence_number":0"#);
        openai_error::optional("code", openai_error::code(error), &mut json);
        json.member_str("message", &error.message);
        openai_error::optional("param", error.param.as_deref(), &mut json);
        json.key("error");
        openai_error::object(error, &mut json);
        json.run("}\n\nevent: response.failed\ndata: ");
        json.run(r#"{"type":"response.failed","sequence_number":0,"response":{"id":"#);
        json.concat(["resp_", &error.request_id].map(Piece::Str));
        json.run(r#","object":"response","status":"failed","error":{"code":"#);
        json.str(openai_error::code(error).unwrap_or("server_error"));
        json.member_str("message", &error.message);
        json.run(r#"},"incomplete_details":null,"output":[]}}"#);
        json.run("\n\n");
    }

    fn error_status(&self, error: &ErrorView) -> u16 {
        openai_error::status(error)
    }

    fn feature_headers(&self) -> &'static [&'static str] {
        &["openai-beta"]
    }
}

/// The parser of no stream.
#[derive(Debug)]
struct NoStream;

impl StreamParser for NoStream {
    fn event(&mut self, _: Option<&str>, _: &[u8], _: &mut dyn Sink) -> Result<(), Failure> {
        Err(Failure::Malformed(of_callers_only()))
    }

    fn close(&mut self, _: &mut dyn Sink) -> bool {
        false
    }

    fn is_done(&self) -> bool {
        false
    }

    fn usage(&self) -> Option<TokenUsage> {
        None
    }

    fn losses(&self) -> &[Loss] {
        &[]
    }
}
