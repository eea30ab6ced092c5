//! Parses the messages of a chat completion request.
//!
//! A `tool` message becomes a user's turn with one tool result; the legacy `function` roles become
//! tool calls with made-up ids. Joining turns is the printer's business.

use super::media;
use super::wire_request::{
    ContentPart, FunctionCall, Message, ThinkingBlock, ToolCall as WireCall, cache,
};
use crate::context::Error;
use crate::dialect::openai_fields;
use crate::marks;
use crate::neutral::{
    Arguments, Body, Cache, Losses, Part, Place, Raw, Role, Str, StrOr, Text, ToolCall, ToolResult,
    Turn,
};

/// Parses all messages, in order.
pub(super) fn read<'a>(
    messages: &mut [Message<'a>],
    losses: &mut Losses,
) -> Result<Vec<Turn<'a>>, Error> {
    let mut reader = Reader { losses, legacy: Vec::new() };
    let mut turns = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter_mut().enumerate() {
        turns.push(reader.message(index, message)?);
    }
    Ok(turns)
}

struct Reader<'l> {
    losses: &'l mut Losses,
    /// Name and made-up id of each legacy function call so far.
    legacy: Vec<(String, String)>,
}

impl Reader<'_> {
    fn message<'a>(&mut self, index: usize, message: &mut Message<'a>) -> Result<Turn<'a>, Error> {
        let place = Place::message(index);
        let role = match &*message.role {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => return self.tool(place, message),
            "function" => return self.function(place, message),
            role => {
                let message = format!(
                    "`{role}` is none of system, developer, user, assistant, tool, function"
                );
                return Err(Error::new(place.field("role"), message));
            }
        };
        self.name(place, message);
        if role == Role::Assistant {
            return self.assistant(place, message);
        }
        self.misplaced(place, message);
        let parts = self.content(place, message)?;
        if let (Role::System | Role::Developer, Some(part)) =
            (role, parts.iter().find(|part| !matches!(part.body, Body::Text(_))))
        {
            return Err(Error::new(part.place, "must be text in a system message"));
        }
        Ok(Turn { role, parts, place })
    }

    fn assistant<'a>(
        &mut self,
        place: Place,
        message: &mut Message<'a>,
    ) -> Result<Turn<'a>, Error> {
        let mut parts = thinking(place, message, self.losses);
        let (calls, function) = (message.tool_calls.take(), message.function_call.take());
        let refusal = message.refusal.take();
        if message.audio.is_some() {
            let note = "audio of earlier answers has no counterpart";
            self.losses.dropped(place.field("audio"), note);
        }
        parts.extend(self.content(place, message)?);
        if let Some(text) = refusal {
            parts.push(part(place.field("refusal"), Body::Refusal(text)));
        }
        for (index, call) in calls.unwrap_or_default().into_iter().enumerate() {
            let place = place.field("tool_calls").at(index);
            let call = self.call(place, call)?;
            parts.push(part(place, Body::ToolCall(call)));
        }
        if let Some(call) = function {
            let place = place.field("function_call");
            let id = format!("call_{}", self.legacy.len());
            let call = self::call(place, id.clone().into(), call)?;
            self.legacy.push((call.name.to_string(), id));
            parts.push(part(place, Body::ToolCall(call)));
        }
        Ok(Turn { role: Role::Assistant, parts, place })
    }

    fn call<'a>(&mut self, place: Place, wire: WireCall<'a>) -> Result<ToolCall<'a>, Error> {
        let id = wire.id.ok_or_else(|| Error::new(place, "`id` is missing"))?;
        if wire.extra_content.is_some() {
            let note = "means nothing to the upstream";
            self.losses.dropped_often(format!("{place}.extra_content"), note);
        }
        if let Some(custom) = wire.custom {
            self.losses.approximated(place, "a custom tool's input is sent as {\"input\": text}");
            let arguments = openai_fields::custom_arguments(&custom.input);
            return Ok(ToolCall { id, name: custom.name, arguments, signature: None });
        }
        let function = wire.function.ok_or_else(|| Error::new(place, "`function` is missing"))?;
        call(place, id, function)
    }

    fn name(&mut self, place: Place, message: &Message<'_>) {
        if message.name.is_some() {
            self.losses.dropped(place.field("name"), "names of speakers have no counterpart");
        }
    }

    /// Members that belong into an assistant's message, in one of another role.
    fn misplaced(&mut self, place: Place, message: &Message<'_>) {
        for (field, there) in [
            ("tool_calls", message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())),
            ("function_call", message.function_call.is_some()),
            ("refusal", message.refusal.is_some()),
            ("audio", message.audio.is_some()),
        ] {
            if there {
                let note = "belongs into an assistant message";
                self.losses.dropped(place.field(field), note);
            }
        }
    }

    fn tool<'a>(&mut self, place: Place, message: &mut Message<'a>) -> Result<Turn<'a>, Error> {
        self.name(place, message);
        let id = message.tool_call_id.take();
        let id = id.ok_or_else(|| Error::new(place.field("tool_call_id"), "is missing"))?;
        self.result(place, id, message)
    }

    fn function<'a>(&mut self, place: Place, message: &mut Message<'a>) -> Result<Turn<'a>, Error> {
        let name = message.name.as_deref().unwrap_or_default();
        let call = self.legacy.iter().rev().find(|(known, _)| known == name);
        let id = call.map(|(_, id)| Str::from(id.clone())).ok_or_else(|| {
            Error::new(place.field("name"), format!("no function `{name}` was called before"))
        })?;
        self.result(place, id, message)
    }

    fn result<'a>(
        &mut self,
        place: Place,
        id: Str<'a>,
        message: &mut Message<'a>,
    ) -> Result<Turn<'a>, Error> {
        // A marker on the whole message stands for one on the tool result, not on its last part.
        let cache = cache(message.cache_control.take().as_ref(), place, self.losses);
        self.misplaced(place, message);
        let content = self.content(place, message)?;
        let body = Body::ToolResult(ToolResult { id, content, is_error: false });
        let parts = vec![Part { place, cache, body }];
        Ok(Turn { role: Role::User, parts, place })
    }

    /// Parts of the content. A cache marker on the message counts for its last part.
    fn content<'a>(
        &mut self,
        message_place: Place,
        message: &mut Message<'a>,
    ) -> Result<Vec<Part<'a>>, Error> {
        let place = message_place.field("content");
        let mut parts = match message.content.take() {
            None => Vec::new(),
            Some(StrOr::Str(text)) => vec![part(place, Body::Text(text))],
            Some(StrOr::Other(list)) => list
                .into_iter()
                .enumerate()
                .map(|(index, p)| self.content_part(place.at(index), p))
                .collect::<Result<_, _>>()?,
        };
        if let Some(cache) = cache(message.cache_control.as_ref(), message_place, self.losses) {
            match parts.last_mut() {
                Some(last) => last.cache = Some(cache),
                None => {
                    let path = message_place.field("cache_control");
                    self.losses.dropped(path, "there is no content to mark");
                }
            }
        }
        Ok(parts)
    }

    fn content_part<'a>(&mut self, place: Place, wire: ContentPart<'a>) -> Result<Part<'a>, Error> {
        let missing = |field: &str| Error::new(place, format!("`{field}` is missing"));
        let body = match &*wire.kind {
            "text" => Body::Text(wire.text.ok_or_else(|| missing("text"))?),
            "refusal" => Body::Refusal(wire.refusal.ok_or_else(|| missing("refusal"))?),
            "image_url" => {
                let image = wire.image_url.ok_or_else(|| missing("image_url"))?;
                let (body, detail) = media::read_image(image, place)?;
                if detail.is_some_and(|detail| &*detail != "auto") {
                    let path = format!("{place}.image_url.detail");
                    self.losses.dropped(path, "the upstream chooses the resolution");
                }
                body
            }
            "file" => {
                let file = wire.file.ok_or_else(|| missing("file"))?;
                media::read_file(file, place)?
            }
            kind => {
                let message = format!("content of type `{kind}` cannot be sent to this upstream");
                return Err(Error::new(place, message));
            }
        };
        let mut cache = cache(wire.cache_control.as_ref(), place, self.losses);
        if wire.prompt_cache_breakpoint.is_some() && cache.is_none() {
            let path = format!("{place}.prompt_cache_breakpoint");
            self.losses.approximated(path, "cached for the upstream's default lifetime");
            cache = Some(Cache::Default);
        }
        Ok(Part { place, cache, body })
    }
}

fn part(place: Place, body: Body<'_>) -> Part<'_> {
    Part { place, cache: None, body }
}

fn call<'a>(place: Place, id: Str<'a>, function: FunctionCall<'a>) -> Result<ToolCall<'a>, Error> {
    let name = function.name.ok_or_else(|| Error::new(place, "the function's name is missing"))?;
    Ok(ToolCall { id, name, arguments: arguments(function.arguments), signature: None })
}

/// Arguments as a string, or as the object that some servers and clients send instead.
pub(super) fn arguments<'a>(given: Option<StrOr<Text<'a>, Raw<'a>>>) -> Arguments<'a> {
    match given {
        None => Arguments::Text(Text::default()),
        Some(StrOr::Str(text)) => Arguments::Text(text),
        Some(StrOr::Other(raw)) => Arguments::Json(raw),
    }
}

/// Thinking of an earlier answer: signed blocks as Gantry showed them, else bare reasoning text.
/// The blocks repeat the text, so only one of the two is taken.
fn thinking<'a>(place: Place, message: &mut Message<'a>, losses: &mut Losses) -> Vec<Part<'a>> {
    if let Some(blocks) = message.thinking_blocks.take().filter(|blocks| !blocks.is_empty()) {
        let place = place.field("thinking_blocks");
        let parts = blocks.into_iter().enumerate();
        return parts.map(|(index, block)| part(place.at(index), thinking_block(block))).collect();
    }
    let (field, text) = match (message.reasoning_content.take(), message.reasoning.take()) {
        (Some(text), _) => ("reasoning_content", text),
        (None, Some(StrOr::Str(text))) => ("reasoning", text),
        (None, Some(StrOr::Other(_))) => {
            losses.dropped(place.field("reasoning"), "is no text");
            return Vec::new();
        }
        (None, None) => return Vec::new(),
    };
    if text.is_empty() {
        return Vec::new();
    }
    vec![part(place.field(field), Body::Thinking { text, signature: None })]
}

/// One block of `thinking_blocks`.
pub(super) fn thinking_block(block: ThinkingBlock<'_>) -> Body<'_> {
    match block.data {
        Some(data) => Body::RedactedThinking(data),
        None => Body::Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: marks::foreign(block.signature),
        },
    }
}
