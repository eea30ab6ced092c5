//! OpenAI chat completions: `POST /chat/completions`.
//!
//! Facts: openai-openapi 2.3 and the Python SDK; extensions of compatible servers (vLLM, DeepSeek,
//! OpenRouter, Azure) are accepted where they are unambiguous.

mod cache;
mod fit;
mod fit_fields;
mod media;
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
mod stream_calls;
mod usage;
mod usage_wish;
mod wire_request;

pub(crate) use replies::{Choices, Embeddings};

use super::reply_headers::of_any;
use super::{Dialect, Edits, Forwarded, StreamParser, StreamPrinter};
use crate::context::{Error, ReplyContext, RequestContext, StreamContext};
use crate::neutral::{ErrorKind, ErrorView, Losses, Reply, Request};
use crate::scan::ScanError;
use crate::splice::Draft;

/// OpenAI's wire format, at OpenAI, at Azure and at the many servers that copy it.
#[derive(Debug)]
pub(crate) struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
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

    fn edits(&self, request: &Forwarded<'_>) -> Result<Edits, ScanError> {
        usage_wish::edits(request)
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
        fit_fields::fit(draft, ctx, losses)
    }

    fn read_reply<'a>(&self, body: &'a [u8], losses: &mut Losses) -> Result<Reply<'a>, Error> {
        read_reply::read(body, losses)
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
        Box::new(read_stream::Parser::default())
    }

    fn stream_printer(&self, ctx: &StreamContext) -> Box<dyn StreamPrinter> {
        Box::new(print_stream::Printer::new(ctx))
    }

    /// Some servers end without it, and some clients wait for it.
    fn end_mark(&self) -> &'static [u8] {
        b"data: [DONE]\n\n"
    }

    fn owns_error(&self, body: &[u8]) -> bool {
        print_error::is_envelope(body)
    }

    fn print_error(&self, error: &ErrorView, out: &mut Vec<u8>) {
        print_error::print(error, out);
    }

    /// Streams end with it, without `[DONE]`.
    fn print_error_event(&self, error: &ErrorView, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        print_error::print(error, out);
        out.extend_from_slice(b"\n\n");
    }

    fn error_status(&self, error: &ErrorView) -> u16 {
        match error.kind {
            ErrorKind::InvalidRequest if error.status == 422 => 422,
            ErrorKind::Billing => 429,
            _ => error.usual_status(),
        }
    }

    fn feature_headers(&self) -> &'static [&'static str] {
        &["openai-beta"]
    }

    /// OpenAI: "Debugging requests" of its API reference; `openai-organization` and
    /// `openai-project` name an account and are left out on purpose. Azure: what its support asks
    /// for (`apim-request-id`, `x-ms-…`). Groq: ids and region under its own prefix.
    fn carries_reply_header(&self, name: &[u8]) -> bool {
        let own = matches!(
            name,
            b"openai-model"
                | b"openai-processing-ms"
                | b"openai-version"
                | b"apim-request-id"
                | b"azureml-model-session"
                | b"x-ms-client-request-id"
                | b"x-ms-rai-invoked"
                | b"x-ms-region"
                | b"x-ms-retry-after-ms"
        );
        own || of_any(name) || name.starts_with(b"x-groq-")
    }
}
