//! Parses content blocks into neutral parts.
//!
//! The request parser uses it. Blocks of tools that run at Anthropic are left out and reported;
//! content that the model must see and that cannot be carried is an error.

use super::wire_block::{Block, CacheControl, Message, Source, says_something};
use crate::context::Error;
use crate::dialect::wire;
use crate::marks;
use crate::neutral::{
    Arguments, Body, Cache, Document, Losses, Media, Part, Place, Raw, Role, Str, StrOr, Text,
    ToolCall, ToolResult, Turn,
};

/// Deepest nesting of content in content: a result, a document in it, its blocks. Beyond it only
/// an attack on the stack nests.
const DEPTH_MAX: u8 = 3;

/// Parses all messages, in order.
pub(super) fn read<'a>(
    messages: Vec<Message<'a>>,
    turns: &mut Vec<Turn<'a>>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let begin = turns.len();
    for (index, message) in messages.into_iter().enumerate() {
        let place = Place::message(index);
        let role = match &*message.role {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            role => {
                let message = format!("`{role}` is none of user, assistant, system");
                return Err(Error::new(place.field("role"), message));
            }
        };
        let mut reader = Reader { losses, depth: 0, signature: None, role, summary: None };
        let parts = reader.content(place.field("content"), message.content)?;
        if let Some(summary) = reader.summary {
            // Anthropic passes over all messages before a summary.
            turns.truncate(begin);
            turns.push(Turn { role: Role::User, parts: vec![summary], place });
            if parts.is_empty() {
                continue;
            }
        }
        turns.push(Turn { role, parts, place });
    }
    Ok(())
}

/// Parses the system prompt: a string or a list of blocks.
pub(super) fn system<'a>(
    place: Place,
    content: StrOr<Text<'a>, Vec<Block<'a>>>,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, Error> {
    let mut reader =
        Reader { losses, depth: 0, signature: None, role: Role::System, summary: None };
    reader.content(place, content)
}

struct Reader<'l, 'a> {
    losses: &'l mut Losses,
    depth: u8,
    /// The signature of the call that comes next.
    signature: Option<Text<'a>>,
    /// Who speaks.
    role: Role,
    /// The summary of what came before, if the message holds one.
    summary: Option<Part<'a>>,
}

/// Blocks of tools that run at Anthropic, and marks of what happened there: of no use elsewhere.
fn of_server(kind: &str) -> bool {
    kind.ends_with("_tool_result")
        || matches!(kind, "server_tool_use" | "mcp_tool_use" | "mcp_tool_listing" | "fallback")
}

impl<'a> Reader<'_, 'a> {
    /// Parses a string or a list of blocks.
    fn content(
        &mut self,
        place: Place,
        content: StrOr<Text<'a>, Vec<Block<'a>>>,
    ) -> Result<Vec<Part<'a>>, Error> {
        let blocks = match content {
            StrOr::Str(text) => return Ok(vec![text_part(place, text)]),
            StrOr::Other(blocks) => blocks,
        };
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, each) in blocks.into_iter().enumerate() {
            self.block(place.at(index), each, &mut parts)?;
        }
        Ok(parts)
    }

    fn block(
        &mut self,
        place: Place,
        block: Block<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Error> {
        let missing = |field: &str| Error::new(place, format!("`{field}` is missing"));
        let cache = block.cache_control.as_ref().map(CacheControl::read);
        let body = match &*block.kind {
            "text" => {
                if says_something(block.citations) {
                    self.losses.dropped_often(format!("{place}.citations"), "has no counterpart");
                }
                Body::Text(block.text.ok_or_else(|| missing("text"))?)
            }
            "image" => {
                let source = block.source.ok_or_else(|| missing("source"))?;
                Body::Image(media(source, place)?)
            }
            "document" => return self.document(place, block, parts),
            "search_result" if block.content.is_some() => {
                return self.search_result(place, block, parts);
            }
            "tool_use" => {
                if block.caller.is_some_and(|caller| !caller.direct) {
                    self.losses.dropped_often(format!("{place}.caller"), "has no counterpart");
                }
                let input = block.input;
                Body::ToolCall(ToolCall {
                    id: marks::original_id(block.id.ok_or_else(|| missing("id"))?),
                    name: block.name.ok_or_else(|| missing("name"))?,
                    arguments: input.map_or(Arguments::Text(Text::default()), Arguments::Json),
                    signature: self.signature.take(),
                })
            }
            "tool_result" => {
                let id = block.tool_use_id.ok_or_else(|| missing("tool_use_id"))?;
                Body::ToolResult(ToolResult {
                    id: marks::original_id(id),
                    content: self.tool_content(place, block.content)?,
                    is_error: block.is_error.unwrap_or(false),
                })
            }
            "tool_reference" if block.tool_name.is_some() => {
                self.losses.approximated(place, "sent as the tool's name");
                Body::Text(Text::Owned(block.tool_name.unwrap_or_default().to_string()))
            }
            "thinking" => {
                let of_call = block.signature.as_ref().and_then(marks::of_call);
                if of_call.is_some() {
                    self.signature = of_call;
                    return Ok(());
                }
                let signature = marks::foreign(block.signature);
                Body::Thinking { text: block.thinking.unwrap_or_default(), signature }
            }
            "redacted_thinking" => {
                Body::RedactedThinking(block.data.ok_or_else(|| missing("data"))?)
            }
            "compaction" => return self.compaction(place, block, parts),
            kind => return self.foreign(place, kind),
        };
        parts.push(Part { place, cache, body });
        Ok(())
    }

    /// A block that no other dialect has: what the user sent must not be missed.
    fn foreign(&mut self, place: Place, kind: &str) -> Result<(), Error> {
        if self.role != Role::Assistant && !of_server(kind) {
            let message = format!("blocks of type `{kind}` cannot be sent to this upstream");
            return Err(Error::new(place, message));
        }
        self.losses.dropped_often(place, &format!("blocks of type `{kind}` have no counterpart"));
        Ok(())
    }

    /// A document; one that consists of blocks becomes these blocks.
    fn document(
        &mut self,
        place: Place,
        block: Block<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Error> {
        let cache = block.cache_control.as_ref().map(CacheControl::read);
        let source = block.source.ok_or_else(|| Error::new(place, "`source` is missing"))?;
        if says_something(block.citations) && block.citations.is_some_and(enabled) {
            self.losses.dropped(format!("{place}.citations"), "has no counterpart");
        }
        if let StrOr::Other(Source { content: Some(StrOr::Other(raw)), .. }) = source {
            self.losses.approximated(place, "a document of blocks is sent as its blocks");
            let begin = parts.len();
            let title = block.title.map(|title| headed("Document: ", &title));
            let context = block.context.map(|context| headed("About the document: ", &context));
            parts.extend(title.into_iter().chain(context).map(|text| text_part(place, text)));
            parts.extend(self.tool_content(place, Some(StrOr::Other(raw)))?);
            mark(parts, begin, cache);
            return Ok(());
        }
        let media = media(source, place)?;
        let body = Body::Document(Document {
            media,
            title: block.title.map(Text::into_str),
            context: block.context,
        });
        parts.push(Part { place, cache, body });
        Ok(())
    }

    /// A search result becomes its title and its text.
    fn search_result(
        &mut self,
        place: Place,
        block: Block<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Error> {
        self.losses.approximated(place, "a search result is sent as its text");
        let cache = block.cache_control.as_ref().map(CacheControl::read);
        let begin = parts.len();
        let source = match block.source {
            Some(StrOr::Str(source)) => Some(Text::Owned(source.to_string())),
            Some(StrOr::Other(_)) | None => None,
        };
        let head = block.title.into_iter().chain(source);
        parts.extend(head.map(|text| text_part(place, text)));
        parts.extend(self.tool_content(place, block.content)?);
        mark(parts, begin, cache);
        Ok(())
    }

    /// The summary of a conversation that became too long. One without content says that there is
    /// none.
    fn compaction(
        &mut self,
        place: Place,
        block: Block<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Error> {
        let text = match block.content {
            Some(StrOr::Str(text)) => text,
            None if block.encrypted_content.is_none() => return Ok(()),
            None | Some(StrOr::Other(_)) => {
                return Err(Error::new(place, "a summary that only Anthropic can read"));
            }
        };
        let note = "a summary is sent as text, in the user's name, without what came before it";
        self.losses.approximated(place, note);
        parts.clear();
        let cache = block.cache_control.as_ref().map(CacheControl::read);
        let summary = headed("Summary of the conversation so far:\n\n", &text);
        self.summary = Some(Part { cache, ..text_part(place, summary) });
        Ok(())
    }

    /// The content of a tool result, one level deeper in the path.
    fn tool_content(
        &mut self,
        place: Place,
        content: Option<StrOr<Text<'a>, Raw<'a>>>,
    ) -> Result<Vec<Part<'a>>, Error> {
        let raw = match content {
            None => return Ok(Vec::new()),
            Some(StrOr::Str(text)) => return Ok(vec![text_part(place, text)]),
            Some(StrOr::Other(raw)) => raw,
        };
        let path = format!("{place}.content");
        let mut blocks: Vec<Block<'a>> = Vec::new();
        let unknown = wire::parse_whole_text_into(&mut blocks, raw.get())
            .map_err(|error| Error::new(&path, error.message))?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new(place, "content is nested too deeply"));
        }
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, each) in blocks.into_iter().enumerate() {
            self.block(place.inside(index), each, &mut parts)?;
        }
        self.losses.unknown(&path, unknown);
        self.depth -= 1;
        Ok(parts)
    }
}

fn text_part(place: Place, text: Text<'_>) -> Part<'_> {
    Part { place, cache: None, body: Body::Text(text) }
}

fn headed(head: &str, text: &Text<'_>) -> Text<'static> {
    Text::Owned(format!("{head}{}", text.decode()))
}

/// Moves the cache marker of a block to the last of the parts that it became.
fn mark(parts: &mut [Part<'_>], begin: usize, cache: Option<Cache>) {
    let last = parts.get_mut(begin..).and_then(|parts| parts.last_mut());
    if let (Some(last), Some(cache)) = (last, cache) {
        last.cache = Some(cache);
    }
}

fn media<'a>(source: StrOr<Str<'a>, Source<'a>>, place: Place) -> Result<Media<'a>, Error> {
    let StrOr::Other(source) = source else {
        return Err(Error::new(place, "`source` must be an object"));
    };
    if let Some(StrOr::Str(text)) = source.content {
        return Ok(Media::Text(text));
    }
    match (&*source.kind, source.data, source.url) {
        ("base64", Some(data), _) => {
            let media_type =
                source.media_type.ok_or_else(|| Error::new(place, "`media_type` is missing"))?;
            Ok(Media::Base64 { media_type, data })
        }
        ("text", Some(text), _) => Ok(Media::Text(text)),
        ("url", _, Some(url)) => Ok(Media::Url(url)),
        ("file", ..) => {
            let message = "a file id is known to one provider only: send the bytes as base64";
            Err(Error::new(place, message))
        }
        (kind, ..) => {
            let message = format!("source of type `{kind}` is unknown or lacks its content");
            Err(Error::new(place, message))
        }
    }
}

fn enabled(citations: Raw<'_>) -> bool {
    citations.get().contains("true")
}
