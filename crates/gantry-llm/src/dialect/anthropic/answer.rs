//! Decides how the form of the answer is asked for at Anthropic: by a schema, or in words.
//!
//! The request printer calls it before it prints anything, because words go into the system
//! prompt. A forced tool in place of the schema is not used: newer models refuse forced calls, and
//! the reply would have to be turned back.

use super::schema::{self, Room, Titles};
use crate::dialect::json::Json;
use crate::dialect::wire::{self, wire};
use crate::neutral::{Format, Losses, Raw, Request, Str, Text};
use gantry_model::facts::Claude;
use std::borrow::Cow;

/// Stands for a response format that is JSON without a schema, which Anthropic does not have.
const JSON_INSTRUCTION: &str =
    "Answer with one valid JSON object and nothing else: no prose, no code fence.";

/// Stands before a schema that Anthropic does not take.
const SCHEMA_INSTRUCTION: &str = "Answer with one JSON value that is valid against this JSON \
                                  Schema, and nothing else: no prose, no code fence.";

/// How the form is asked for.
#[derive(Debug)]
pub(super) enum Answer {
    Free,
    /// In the system prompt.
    Told(Cow<'static, str>),
    /// By this schema.
    Held(Vec<u8>),
}

impl Answer {
    pub(super) fn instruction(&self) -> Option<&str> {
        match self {
            Self::Told(text) => Some(text),
            Self::Free | Self::Held(_) => None,
        }
    }

    pub(super) fn schema(&self) -> Option<&[u8]> {
        match self {
            Self::Held(schema) => Some(schema),
            Self::Free | Self::Told(_) => None,
        }
    }
}

/// How the form that a request wants is asked for.
pub(super) fn answer(
    request: &Request<'_>,
    claude: &Claude,
    room: &mut Room,
    losses: &mut Losses,
) -> Answer {
    let path = request.names.format;
    let (name, description, raw, strict) = match &request.format {
        None => return Answer::Free,
        Some(Format::JsonObject) => {
            losses.approximated(path, "asked for in the system prompt");
            return Answer::Told(Cow::Borrowed(JSON_INSTRUCTION));
        }
        Some(Format::JsonSchema { name, description, schema, strict }) => {
            (name.as_deref(), description.as_ref().map(Text::decode), schema, strict)
        }
    };
    let titles = Titles { title: name, description: description.as_deref() };
    let mut out = Vec::with_capacity(raw.get().len() + 256);
    let printed = match claude.schemas {
        true => schema::print(*raw, titles, room, &mut Json::new(&mut out)),
        false => Err("schema for this model"),
    };
    let changes = match printed {
        Ok(changes) => changes,
        Err(unfit) => {
            let note = format!("asked for in the system prompt; the upstream takes no {unfit}");
            losses.approximated(path, &note);
            return Answer::Told(Cow::Owned(told(titles, raw.get())));
        }
    };
    if *strict == Some(false) {
        let note = "the upstream always holds to the schema";
        losses.approximated("response_format.json_schema.strict", note);
    }
    report_titles(*raw, titles, losses);
    if let Some(note) = changes.note() {
        losses.approximated("response_format.json_schema.schema", &note);
    }
    Answer::Held(out)
}

/// The schema in words.
fn told(titles: Titles<'_>, schema: &str) -> String {
    let mut text = SCHEMA_INSTRUCTION.to_owned();
    for part in [titles.title, titles.description, Some(schema)].into_iter().flatten() {
        text.push_str("\n\n");
        text.push_str(part);
    }
    text
}

wire! {
    struct Annotations<'a> {
        may title: Raw<'a>,
        may description: Raw<'a>,
    }
}

/// Name and description of a schema, which Anthropic has no fields for, go as the annotations that
/// JSON Schema has for them (draft 2020-12, validation, section 9.1), unless it has its own.
fn report_titles(raw: Raw<'_>, titles: Titles<'_>, losses: &mut Losses) {
    let known = wire::parse_text::<Annotations<'_>>(raw.get()).unwrap_or_default();
    for (field, text, key, there) in [
        ("name", titles.title, "title", known.title),
        ("description", titles.description, "description", known.description),
    ] {
        let (Some(text), Some(there)) = (text, there) else { continue };
        if !wire::parse_text::<Str<'_>>(there.get()).is_ok_and(|there| *there == *text) {
            let path = format!("response_format.json_schema.{field}");
            losses.dropped(path, &format!("the schema has a `{key}` of its own"));
        }
    }
}
