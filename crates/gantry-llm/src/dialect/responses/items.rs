//! The items of an output, as JSON. Ids are made of the request's and the item's index, so that
//! each event of a stream names the same.

use super::seal::Seal;
use crate::dialect::json::{Json, copy};
use crate::dialect::wire::{self, wire};
use crate::neutral::Text;
use std::borrow::Cow;

/// An item's place in the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) request_id: &'a str,
    pub(super) index: u64,
}

impl At<'_> {
    /// The item's id; `kind` is the beginning that OpenAI gives ids of its type.
    pub(super) fn id(self, kind: &str) -> String {
        format!("{kind}_{}_{}", self.request_id, self.index)
    }
}

/// Beginnings of ids.
pub(super) const MESSAGE: &str = "msg";
pub(super) const REASONING: &str = "rs";

/// What a part of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text,
    Refusal,
}

/// A part of a message; `text` is the inside of a JSON string.
pub(super) fn part(said: Said, text: &[u8], json: &mut Json<'_>) {
    json.open(b'{');
    match said {
        Said::Text => json.run(r#""type":"output_text","annotations":[],"logprobs":[],"text":"#),
        Said::Refusal => json.run(r#""type":"refusal","refusal":"#),
    }
    quoted(text, json);
    json.close(b'}');
}

/// A message; `parts` holds whole parts and the commas between them.
pub(super) fn message(at: At<'_>, status: &str, parts: &[u8], json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("id", &at.id(MESSAGE));
    json.member_str("type", "message");
    json.member_str("status", status);
    json.run(r#","role":"assistant","content":["#);
    json.out.extend_from_slice(parts);
    json.run("]}");
}

/// What a reasoning item shows and holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reasoned<'a> {
    /// The inside of a JSON string; `None`: nothing is shown.
    pub(super) summary: Option<&'a [u8]>,
    /// What the provider wants back, the inside of a JSON string.
    pub(super) sealed: Option<(Seal, &'a [u8])>,
}

/// A reasoning item.
pub(super) fn reasoning(at: At<'_>, reasoned: Reasoned<'_>, json: &mut Json<'_>) {
    json.open(b'{');
    json.member_str("id", &at.id(REASONING));
    json.run(r#","type":"reasoning","summary":["#);
    if let Some(text) = reasoned.summary {
        summary(text, json);
    }
    json.run("]");
    if let Some((seal, text)) = reasoned.sealed {
        json.key("encrypted_content");
        json.out.push(b'"');
        json.out.extend_from_slice(seal.mark().as_bytes());
        json.out.extend_from_slice(text);
        json.out.push(b'"');
    }
    json.close(b'}');
}

/// The part of a reasoning item that is shown; `text` is the inside of a JSON string.
pub(super) fn summary(text: &[u8], json: &mut Json<'_>) {
    json.open(b'{');
    json.run(r#""type":"summary_text","text":"#);
    quoted(text, json);
    json.close(b'}');
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) index: u64,
    /// Of the call, by which its output is known.
    pub(super) id: String,
    pub(super) name: String,
    /// Whether the tool takes text.
    pub(super) custom: bool,
    /// The inside of a JSON string: the arguments so far.
    pub(super) arguments: Vec<u8>,
}

impl Call {
    /// Beginning of the item's id.
    pub(super) fn kind(&self) -> &'static str {
        if self.custom { "ctc" } else { "fc" }
    }

    /// Names of the item's type, of its input, and of the events that bring it.
    pub(super) fn names(&self) -> Names {
        if self.custom { CUSTOM } else { FUNCTION }
    }

    /// The call's input as the inside of a JSON string.
    pub(super) fn input(&self) -> Cow<'_, [u8]> {
        match self.custom {
            true => Cow::Owned(unwrapped(&self.arguments)),
            false => Cow::Borrowed(&self.arguments),
        }
    }

    /// Prints the item with this input.
    pub(super) fn print(&self, at: At<'_>, status: &str, input: &[u8], json: &mut Json<'_>) {
        json.open(b'{');
        json.member_str("id", &at.id(self.kind()));
        json.member_str("type", self.names().item);
        json.member_str("status", status);
        json.member_str("call_id", &self.id);
        json.member_str("name", &self.name);
        json.key(self.names().input);
        quoted(input, json);
        json.close(b'}');
    }
}

/// How the two kinds of call are spelled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) item: &'static str,
    pub(super) input: &'static str,
    pub(super) delta: &'static str,
    pub(super) done: &'static str,
}

const FUNCTION: Names = Names {
    item: "function_call",
    input: "arguments",
    delta: "response.function_call_arguments.delta",
    done: "response.function_call_arguments.done",
};

const CUSTOM: Names = Names {
    item: "custom_tool_call",
    input: "input",
    delta: "response.custom_tool_call_input.delta",
    done: "response.custom_tool_call_input.done",
};

wire! {
    /// Arguments of the function that stands for a custom tool.
    struct Input<'a> {
        may input: Text<'a>,
    }
}

/// The text for a custom tool in the arguments of its function. A model that does not keep to the
/// schema may have sent the text itself.
fn unwrapped(arguments: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    quoted.extend_from_slice(arguments);
    quoted.push(b'"');
    let decoded: String = serde_json::from_slice(&quoted).unwrap_or_default();
    let read = wire::parse_text::<Input<'_>>(decoded.trim()).ok().and_then(|read| read.input);
    let mut text = Vec::new();
    match read {
        Some(input) => copy(&mut text, &input),
        None => text.extend_from_slice(arguments),
    }
    text
}

/// A member's value whose string is there as its inside; its key stands before it.
pub(super) fn quoted(inside: &[u8], json: &mut Json<'_>) {
    json.out.push(b'"');
    json.out.extend_from_slice(inside);
    json.out.push(b'"');
}
