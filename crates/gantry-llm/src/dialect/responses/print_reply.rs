//! Prints a neutral reply as a response object.
//!
//! `translate::reply` calls it. The reply goes through the steps of a stream, so that a whole
//! answer and a streamed one have the same items.

use super::print_stream::Printer;
use crate::context::{ReplyContext, StreamContext};
use crate::dialect::StreamPrinter as _;
use crate::dialect::json::Json;
use crate::neutral::{Arguments, Block, Body, Event, Part, Reply, Text};

/// Prints a reply body; returns why it ended.
pub(super) fn print(reply: &Reply<'_>, ctx: &ReplyContext<'_>, out: &mut Vec<u8>) -> &'static str {
    let mut printer = Printer::silent(StreamContext {
        model: ctx.model.to_owned(),
        request_id: ctx.request_id.to_owned(),
        created_s: ctx.created_s,
        include_usage: true,
        carried: ctx.carried.clone(),
    });
    let mut calls = 0;
    for part in &reply.parts {
        part_events(part, &mut calls, &mut |event| printer.send(event, &mut Vec::new()));
    }
    if let Some(usage) = reply.usage {
        printer.send(Event::Usage(usage), &mut Vec::new());
    }
    printer.send(Event::Stop(reply.stop.clone()), &mut Vec::new());
    printer.whole(&mut Json::new(out))
}

/// The events that a part would come as.
fn part_events(part: &Part<'_>, calls: &mut usize, send: &mut dyn FnMut(Event<'_>)) {
    match &part.body {
        Body::Text(text) => send(Event::Text(text.clone())),
        Body::Refusal(text) => send(Event::Refusal(text.clone())),
        Body::Thinking { text, signature } => {
            send(Event::Thinking(text.clone()));
            if let Some(signature) = signature {
                send(Event::Signature(signature.clone()));
            }
            // Each has a signature of its own.
            send(Event::BlockEnd(Block::Thinking));
        }
        Body::RedactedThinking(data) => send(Event::RedactedThinking(data.clone())),
        Body::ToolCall(call) => {
            let (id, name) = (call.id.clone(), call.name.clone());
            let signature = call.signature.clone();
            send(Event::ToolStart { call: *calls, id, name, signature });
            let fragment = match &call.arguments {
                Arguments::Text(text) => text.clone(),
                Arguments::Json(raw) => Text::Owned(raw.get().to_owned()),
            };
            send(Event::ToolArguments { call: *calls, fragment });
            *calls += 1;
        }
        // Answers hold none.
        Body::Image(_) | Body::Document(_) | Body::ToolResult(_) => {}
    }
}
