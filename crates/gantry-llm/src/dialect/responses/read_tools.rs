//! Parses the tools of a request and which of them are to be called.
//!
//! Functions go on as they are. A custom tool takes text in place of JSON: it becomes a function of
//! one text, and `Carried` remembers it, so that its calls come back as those of a custom tool.

use super::wire_request::{Tool as WireTool, ToolChoice as WireChoice, ToolFormat};
use crate::context::Error;
use crate::neutral::{LeftOut, Losses, Place, Raw, Str, StrOr, Text, Tool, ToolChoice};

/// The arguments of a function that stands for a custom tool.
const TEXT_SCHEMA: &str = concat!(
    r#"{"type":"object","properties":{"input":{"type":"string"}},"#,
    r#""required":["input"],"additionalProperties":false}"#
);

/// Reads the list of tools. What only OpenAI runs is left out, and the first such is told.
pub(super) fn tools<'a>(
    wire: Vec<WireTool<'a>>,
    losses: &mut Losses,
) -> Result<(Vec<Tool<'a>>, Option<LeftOut>), Error> {
    let mut list = Vec::new();
    let mut left_out = None;
    for (index, tool) in wire.into_iter().enumerate() {
        let place = Place::top("tools").at(index);
        match &*tool.kind {
            "function" => list.push(function(tool, place)?),
            "custom" => list.push(custom(tool, place, losses)?),
            kind => {
                let why = format!("the upstream has no tool of type `{kind}`");
                losses.dropped(place, &why);
                left_out = left_out.or(Some(LeftOut { place, why }));
            }
        }
    }
    Ok((list, left_out))
}

fn function<'a>(wire: WireTool<'a>, place: Place) -> Result<Tool<'a>, Error> {
    Ok(Tool {
        place,
        name: wire.name.ok_or_else(|| Error::new(place, "`name` is missing"))?,
        description: wire.description,
        schema: wire.parameters,
        // This API's default is the opposite of chat completions'. Whether a schema is fit for it
        // is known to its author alone, so nothing is made strict unasked.
        strict: wire.strict.unwrap_or(false),
        cache: None,
        custom: false,
    })
}

fn custom<'a>(wire: WireTool<'a>, place: Place, losses: &mut Losses) -> Result<Tool<'a>, Error> {
    let name = wire.name.ok_or_else(|| Error::new(place, "`name` is missing"))?;
    losses.approximated(place, "a custom tool is sent as a function with one text, `input`");
    Ok(Tool {
        place,
        name,
        description: described(wire.description, wire.format),
        schema: Some(Raw::new(TEXT_SCHEMA)),
        strict: false,
        cache: None,
        custom: true,
    })
}

/// A grammar cannot be enforced by other upstreams; the model is told of it.
fn described<'a>(text: Option<Text<'a>>, format: Option<ToolFormat<'a>>) -> Option<Text<'a>> {
    let grammar = format
        .filter(|format| &*format.kind == "grammar")
        .and_then(|format| Some((format.syntax.unwrap_or_default(), format.definition?)));
    let Some((syntax, definition)) = grammar else { return text };
    let mut told = text.map_or_else(String::new, |text| format!("{}\n\n", text.decode()));
    told.push_str(&format!("`input` must follow this {} grammar:\n", &*syntax));
    definition.push_to(&mut told);
    Some(Text::Owned(told))
}

type Choice<'a> = (Option<ToolChoice<'a>>, Option<Vec<Str<'a>>>);

/// Reads `tool_choice`.
pub(super) fn choice<'a>(
    wire: Option<StrOr<Str<'a>, WireChoice<'a>>>,
) -> Result<Choice<'a>, Error> {
    let wire = match wire {
        None => return Ok((None, None)),
        Some(StrOr::Str(mode)) => return Ok((Some(mode_of(&mode)?), None)),
        Some(StrOr::Other(wire)) => wire,
    };
    match (&*wire.kind, wire.name) {
        ("function" | "custom", Some(name)) => Ok((Some(ToolChoice::Tool(name)), None)),
        ("allowed_tools", _) => {
            let mode = mode_of(wire.mode.as_deref().unwrap_or("auto"))?;
            let mut names = Vec::new();
            for tool in wire.tools.unwrap_or_default() {
                match tool.name {
                    Some(name) => names.push(name),
                    None => return Err(unknown(tool.kind.as_deref().unwrap_or_default())),
                }
            }
            Ok((Some(mode), Some(names)))
        }
        (kind, _) => Err(unknown(kind)),
    }
}

fn unknown(kind: &str) -> Error {
    Error::new("tool_choice", format!("`{kind}` names no function, and the upstream has no other"))
}

fn mode_of(mode: &str) -> Result<ToolChoice<'static>, Error> {
    Ok(match mode {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Any,
        _ => {
            let message = format!("`{mode}` is none of auto, none, required");
            return Err(Error::new("tool_choice", message));
        }
    })
}
