//! Translates requests and whole replies between dialects, through the neutral form.
//!
//! The gateway calls it when caller and upstream speak different dialects; with the same dialect
//! it forwards the bytes, so asking for that here is an error. Nothing is lost silently: what the
//! upstream cannot be told is in `Translated::losses`, and what the answer would be wrong without
//! is an `Error`.
//!
//! Decisions that hold for all requests:
//! - Signed thinking is sent back to Anthropic only. OpenAI upstreams with the quirk
//!   `reasoning_back` get the text of thinking beside the tool calls that it led to.
//! - Tool results stand behind their calls, whatever the caller put between.
//! - A request whose only tools cannot be sent is refused; of several, the others are sent.
//! - Parameters without a counterpart are dropped and reported; content without one (audio, file
//!   ids) is refused.

mod size;

pub use crate::context::{Code, Error, ReplyContext, RequestContext};
pub use crate::neutral::Carried;
pub use crate::whole::TranslatedReply;

use crate::dialect::Dialect;
use crate::neutral::{
    self, Arguments, Body, Document, LeftOut, Losses, Media, Part, Raw, Request, Text, ToolChoice,
    fit_ids,
};
use crate::whole;
use gantry_model::record::Loss;

/// A body in another dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    pub body: Vec<u8>,
    /// What was dropped or approximated, in the order it was found.
    pub losses: Vec<Loss>,
    /// Defaults that were added, which take nothing from the caller's request.
    pub added: Vec<Loss>,
    /// Header fields that the body needs, such as `anthropic-beta`.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What the reply's translation must be given.
    pub carried: Carried,
}

/// Text and pictures of a prompt, for an estimate of its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptSize {
    /// Bytes of UTF-8 text: messages, system prompt, documents of text, tools and their schemas.
    pub text_bytes: usize,
    pub images: usize,
    /// Documents whose text is not known, such as PDF files.
    pub documents: usize,
    /// Messages of a chat; none of a text alone, as for embeddings and completions.
    pub messages: usize,
}

/// Translates a request body from the caller's dialect to the upstream's.
///
/// # Errors
/// When the body is not a request in dialect `from`, or holds content that `to` has no form for.
pub fn request(
    from: &dyn Dialect,
    to: &dyn Dialect,
    body: &[u8],
    ctx: &RequestContext<'_>,
) -> Result<Translated, Error> {
    refuse_same(from, to)?;
    let mut losses = Losses::default();
    let mut request = from.read_request(body, &mut losses)?;
    request.stream = ctx.stream.unwrap_or(request.stream);
    neutral::results_first(&mut request.turns);
    refuse_without_tools(&request)?;
    let limits = &ctx.quirks.limits;
    fit_ids(&mut request, limits, &mut losses);
    let mut schemas = Vec::new();
    let mut carried = Carried::of(&mut request, limits, &mut schemas, &mut losses);
    carried.echo = from.echo(body);
    for (index, json) in &schemas {
        if let Some(tool) = request.tools.get_mut(*index) {
            tool.schema = Some(Raw::new(json));
        }
    }
    let mut out = Vec::with_capacity(body.len() + body.len() / 4 + 256);
    to.print_request(&request, ctx, &mut losses, &mut out)?;
    let headers = to.needed_headers(&request);
    let added = losses.take_added();
    Ok(Translated { body: out, losses: losses.into_vec(), added, headers, carried })
}

/// Translates a whole reply from the upstream's dialect to the caller's.
///
/// # Errors
/// When the body is not a reply in dialect `from`, or is an error sent with status 200.
pub fn reply(
    from: &dyn Dialect,
    to: &dyn Dialect,
    body: &[u8],
    ctx: &ReplyContext<'_>,
) -> Result<TranslatedReply, Error> {
    refuse_same(from, to)?;
    let mut losses = Losses::default();
    let reply = whole::read(from, body, ctx, &mut losses)?;
    Ok(whole::print(to, &reply, ctx, (losses, body.len() + 512)))
}

/// Measures the prompt of a request. One that no translation takes, as with audio, is measured by
/// its texts and attachments too. A body that is no JSON counts as text as a whole, so that an
/// estimate made of it is too high rather than too low.
#[must_use]
pub fn prompt_text_bytes(dialect: &dyn Dialect, body: &[u8]) -> PromptSize {
    let Ok(request) = dialect.read_request(body, &mut Losses::default()) else {
        let none = PromptSize { text_bytes: body.len(), ..PromptSize::default() };
        return size::of(body).unwrap_or(none);
    };
    let mut size = PromptSize { messages: request.turns.len(), ..PromptSize::default() };
    request.turns.iter().flat_map(|turn| &turn.parts).for_each(|part| size.add(part));
    for tool in &request.tools {
        size.text_bytes += tool.name.len()
            + tool.description.as_ref().map_or(0, Text::len)
            + tool.schema.map_or(0, |schema| schema.get().len());
    }
    size
}

impl PromptSize {
    fn add(&mut self, part: &Part<'_>) {
        match &part.body {
            Body::Text(text) | Body::Refusal(text) | Body::Thinking { text, .. } => {
                self.text_bytes += text.len();
            }
            Body::Image(_) => self.images += 1,
            Body::Document(document) => self.document(document),
            Body::ToolCall(call) => {
                self.text_bytes += call.name.len();
                self.text_bytes += match &call.arguments {
                    Arguments::Text(text) => text.len(),
                    Arguments::Json(raw) => raw.get().len(),
                };
            }
            Body::ToolResult(result) => result.content.iter().for_each(|part| self.add(part)),
            Body::RedactedThinking(_) => {}
        }
    }

    fn document(&mut self, document: &Document<'_>) {
        self.text_bytes += document.title.as_ref().map_or(0, |title| title.len());
        self.text_bytes += document.context.as_ref().map_or(0, Text::len);
        match &document.media {
            Media::Text(text) => self.text_bytes += text.len(),
            Media::Base64 { .. } | Media::Url(_) => self.documents += 1,
        }
    }
}

/// Refuses a request whose only tools cannot be sent: what the model made up in their place would
/// pass for what they found.
fn refuse_without_tools(request: &Request<'_>) -> Result<(), Error> {
    let unused = request.tool_choice == Some(ToolChoice::None);
    match &request.left_out {
        Some(LeftOut { place, why }) if request.tools.is_empty() && !unused => {
            Err(Error::new(place, format!("{why}, and the request has no other tool")))
        }
        _ => Ok(()),
    }
}

fn refuse_same(from: &dyn Dialect, to: &dyn Dialect) -> Result<(), Error> {
    if from == to {
        return Err(Error::new("", "caller and upstream speak the same dialect"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PromptSize, prompt_text_bytes};
    use crate::dialect::anthropic::Anthropic;
    use crate::dialect::openai::OpenAi;

    #[test]
    fn a_prompt_is_measured_alike_in_both_dialects() {
        let chat = br#"{"messages":[{"role":"system","content":"four"},{"role":"user","content":[
            {"type":"text","text":"five5"},{"type":"image_url","image_url":{"url":"https://x"}}]}],
            "tools":[{"type":"function","function":{"name":"ab","parameters":{}}}]}"#;
        let messages = br#"{"system":"four","messages":[{"role":"user","content":[
            {"type":"text","text":"five5"},
            {"type":"image","source":{"type":"url","url":"https://x"}}]}],
            "tools":[{"name":"ab","input_schema":{}}]}"#;
        let expected =
            PromptSize { text_bytes: 4 + 5 + 2 + 2, images: 1, documents: 0, messages: 2 };
        assert_eq!(prompt_text_bytes(&OpenAi, chat), expected);
        assert_eq!(prompt_text_bytes(&Anthropic, messages), expected);
    }

    #[test]
    fn a_document_of_text_counts_by_its_length() {
        let body = br#"{"messages":[{"role":"user","content":[
            {"type":"document","title":"ab","context":"abc",
             "source":{"type":"text","media_type":"text/plain","data":"four"}},
            {"type":"document",
             "source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#;
        let expected = PromptSize { text_bytes: 2 + 3 + 4, images: 0, documents: 1, messages: 1 };
        assert_eq!(prompt_text_bytes(&Anthropic, body), expected);
    }

    /// Bodies that no parser of a dialect takes.
    #[test]
    fn a_prompt_without_a_neutral_form_is_measured_without_its_attachments() {
        let base64 = "QUJD".repeat(1_000_000);
        let chat = |part: &str| {
            let text = r#"{"type":"text","text":"five5"}"#;
            let part = part.replace("BASE64", &base64);
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{text},{part}]}}]}}"#)
        };
        let size = |text_bytes, images, documents| PromptSize {
            text_bytes,
            images,
            documents,
            ..PromptSize::default()
        };
        let cases = [
            (
                chat(r#"{"type":"input_audio","input_audio":{"data":"BASE64","format":"wav"}}"#),
                size(5, 0, 1),
            ),
            (chat(r#"{"input_audio":{"data":"BASE64"},"type":"input_audio"}"#), size(5, 0, 1)),
            (chat(r#"{"type":"video_url","video_url":{"url":"BASE64"}}"#), size(5, 0, 1)),
            (
                chat(r#"{"type":"new","new":{"url":"data:application/pdf;base64,BASE64"}}"#),
                size(5, 0, 1),
            ),
            (chat(r#"{"type":"new","new":"data:image/png;base64,BASE64"}"#), size(5, 1, 0)),
            (chat(r#"{"type":"new","text":"data: six"}"#), size(5 + 9, 0, 0)),
            (
                chat(r#"{"type":"new","content":[{"type":"text","text":"a\u00e9b"}]}"#),
                size(5 + 4, 0, 0),
            ),
            (r#"{"input":"text"}"#.to_owned(), size(4, 0, 0)),
            (r#"{"input":["text",[1,20,300]],"model":"longer"}"#.to_owned(), size(4 + 12, 0, 0)),
            (r#"{"prompt":"text","suffix":"end"}"#.to_owned(), size(7, 0, 0)),
            (r#"{"system":"s","messages":[],"tools":[{"a":1}]}"#.to_owned(), size(1 + 9, 0, 0)),
            ("no JSON".to_owned(), size(7, 0, 0)),
            (r#"{"input":"cut"#.to_owned(), size(13, 0, 0)),
        ];
        for (body, expected) in cases {
            let shown = body.get(..120).unwrap_or(&body);
            let expected = PromptSize { messages: body.matches("\"role\"").count(), ..expected };
            let found = prompt_text_bytes(&OpenAi, body.as_bytes());
            assert_eq!(found, expected, "{shown}");
        }
    }
}
