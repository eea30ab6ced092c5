//! Parses the items of `input`: messages, calls, their outputs, reasoning.
//!
//! Each becomes a turn of its own. Joining turns is the printer's business.

use super::seal::Sealed;
use super::wire_request::{Content, Item};
use crate::context::Error;
use crate::dialect::{data_url, openai_fields};
use crate::neutral::{
    Arguments, Body, Document, Losses, Media, Part, Place, Role, Str, StrOr, Text, ToolCall,
    ToolResult, Turn,
};

/// Appends the turns of all items, in order.
pub(super) fn read<'a>(
    items: Vec<Item<'a>>,
    turns: &mut Vec<Turn<'a>>,
    losses: &mut Losses,
) -> Result<(), Error> {
    turns.reserve(items.len());
    let mut reader = Reader { losses, of_call: None };
    for (index, item) in items.into_iter().enumerate() {
        let place = Place::top("input").at(index);
        if let Some((role, parts)) = reader.item(place, item)? {
            turns.push(Turn { role, parts, place });
        }
    }
    Ok(())
}

struct Reader<'a, 'l> {
    losses: &'l mut Losses,
    /// The signature of the call that comes next.
    of_call: Option<Str<'a>>,
}

type Said<'a> = Option<(Role, Vec<Part<'a>>)>;

impl<'a> Reader<'a, '_> {
    fn item(&mut self, place: Place, item: Item<'a>) -> Result<Said<'a>, Error> {
        let kind = item.kind.as_deref().unwrap_or("message");
        match kind {
            "message" => self.message(place, item).map(Some),
            "function_call" => {
                let text = item.arguments.unwrap_or_default();
                self.call(place, (item.call_id, item.name), Arguments::Text(text)).map(Some)
            }
            "custom_tool_call" => {
                let input = item.input.unwrap_or_default();
                let arguments = openai_fields::custom_arguments(&input);
                self.call(place, (item.call_id, item.name), arguments).map(Some)
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = item.call_id.ok_or_else(|| missing(place, "call_id"))?;
                let content = self.content(place, item.output)?;
                let body = Body::ToolResult(ToolResult { id, content, is_error: false });
                Ok(Some((Role::User, vec![part(place, body)])))
            }
            "reasoning" => Ok(self.reasoning(place, item)),
            "item_reference" => Err(Error::new(
                place,
                "Gantry keeps no items for this model: send the item itself in place of its id",
            )),
            kind => {
                let message = format!("an item of type `{kind}` cannot be sent to this upstream");
                Err(Error::new(place, message))
            }
        }
    }

    fn message(&mut self, place: Place, item: Item<'a>) -> Result<(Role, Vec<Part<'a>>), Error> {
        let role = match item.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some(role) => {
                let message = format!("`{role}` is none of user, assistant, system, developer");
                return Err(Error::new(format_args!("{place}.role"), message));
            }
            None => return Err(missing(place, "role")),
        };
        let parts = self.content(place, item.content)?;
        let told = matches!(role, Role::System | Role::Developer);
        match parts.iter().find(|part| told && !matches!(part.body, Body::Text(_))) {
            Some(part) => Err(Error::new(part.place, "must be text in a system message")),
            None => Ok((role, parts)),
        }
    }

    fn call(
        &mut self,
        place: Place,
        (id, name): (Option<Str<'a>>, Option<Str<'a>>),
        arguments: Arguments<'a>,
    ) -> Result<(Role, Vec<Part<'a>>), Error> {
        let id = id.ok_or_else(|| missing(place, "call_id"))?;
        let name = name.ok_or_else(|| missing(place, "name"))?;
        let signature = self.of_call.take().map(|text| Text::Owned(text.to_string()));
        let call = ToolCall { id, name, arguments, signature };
        Ok((Role::Assistant, vec![part(place, Body::ToolCall(call))]))
    }

    /// Reasoning of an earlier answer, as Gantry showed it.
    fn reasoning(&mut self, place: Place, item: Item<'a>) -> Said<'a> {
        let sealed = item.encrypted_content.filter(|text| !text.is_empty()).map(Sealed::read);
        let text = item.summary.into_iter().flatten().filter_map(|part| part.text);
        let text = joined(text.collect());
        let owned = |text: Str<'a>| Text::Owned(text.to_string());
        let body = match sealed {
            Some(Sealed::OfCall(signature)) => {
                self.of_call = Some(signature);
                return None;
            }
            Some(Sealed::Redacted(data)) => Body::RedactedThinking(owned(data)),
            Some(Sealed::Signed(signature)) => {
                Body::Thinking { text, signature: Some(owned(signature)) }
            }
            Some(Sealed::Foreign) => {
                let note = "reasoning that only the provider it came from can read";
                self.losses.dropped_often(format!("{place}.encrypted_content"), note);
                Body::Thinking { text, signature: None }
            }
            None => Body::Thinking { text, signature: None },
        };
        match &body {
            Body::Thinking { text, signature: None } if text.is_empty() => None,
            _ => Some((Role::Assistant, vec![part(place, body)])),
        }
    }

    fn content(
        &mut self,
        place: Place,
        content: Option<StrOr<Text<'a>, Vec<Content<'a>>>>,
    ) -> Result<Vec<Part<'a>>, Error> {
        match content {
            None => Ok(Vec::new()),
            Some(StrOr::Str(text)) => Ok(vec![part(place, Body::Text(text))]),
            Some(StrOr::Other(list)) => list
                .into_iter()
                .enumerate()
                .map(|(index, content)| {
                    let place = place.inside(index);
                    self.part(place, content).map(|body| part(place, body))
                })
                .collect(),
        }
    }

    fn part(&mut self, place: Place, content: Content<'a>) -> Result<Body<'a>, Error> {
        Ok(match &*content.kind {
            "input_text" | "output_text" | "text" => {
                Body::Text(content.text.ok_or_else(|| missing(place, "text"))?)
            }
            "refusal" => Body::Refusal(content.refusal.ok_or_else(|| missing(place, "refusal"))?),
            "input_image" => {
                if content.detail.is_some_and(|detail| &*detail != "auto") {
                    let note = "the upstream chooses the resolution";
                    self.losses.dropped(format!("{place}.detail"), note);
                }
                image(place, content.image_url)?
            }
            "input_file" => file(place, content)?,
            kind => {
                let message = format!("content of type `{kind}` cannot be sent to this upstream");
                return Err(Error::new(place, message));
            }
        })
    }
}

fn part(place: Place, body: Body<'_>) -> Part<'_> {
    Part { place, cache: None, body }
}

fn missing(place: Place, field: &str) -> Error {
    Error::new(place, format!("`{field}` is missing"))
}

fn joined(mut texts: Vec<Text<'_>>) -> Text<'_> {
    match texts.len() {
        0 => Text::default(),
        1 => texts.pop().unwrap_or_default(),
        _ => {
            let texts: Vec<_> = texts.iter().map(Text::decode).collect();
            Text::Owned(texts.join("\n\n"))
        }
    }
}

const BY_ID: &str = "a file id is known to one provider only: send the bytes or a URL";

fn image<'a>(place: Place, url: Option<Text<'a>>) -> Result<Body<'a>, Error> {
    let url = url.ok_or_else(|| Error::new(place, BY_ID))?;
    if !data_url::is_data(&url) {
        return Ok(Body::Image(Media::Url(url)));
    }
    let (media_type, data) = data_url::read(url)
        .ok_or_else(|| Error::new(place, "a `data:` URL must read `data:TYPE;base64,BYTES`"))?;
    data_url::body(media_type, data, None, place)
}

fn file<'a>(place: Place, content: Content<'a>) -> Result<Body<'a>, Error> {
    let title = content.filename;
    match (content.file_data, content.file_url) {
        (Some(data), _) if data_url::is_data(&data) => {
            let (media_type, data) = data_url::read(data).ok_or_else(|| {
                Error::new(place, "`file_data` must be base64 or `data:TYPE;base64,BYTES`")
            })?;
            data_url::body(media_type, data, title, place)
        }
        (Some(data), _) => data_url::body(Str::default(), data, title, place),
        (None, Some(url)) => {
            let media = Media::Url(url);
            Ok(Body::Document(Document { media, title, context: None }))
        }
        (None, None) => Err(Error::new(place, BY_ID)),
    }
}
