//! The list of models that a caller may use, in OpenAI's and Anthropic's shapes.

use super::Asked;
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::Entry;
use serde::Serialize;

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

/// All models, or the one that the path names, as OpenAI lists them.
pub(super) fn openai(asked: &Asked<'_>) -> Result<Vec<u8>, Refusal> {
    let found = found(asked)?;
    let entry =
        |&(id, owned_by): &(_, _)| OpenAiModel { id, object: "model", created: 0, owned_by };
    Ok(match &found {
        Found::One(model) => json(&entry(model)),
        Found::All(models) => {
            json(&OpenAiList { object: "list", data: models.iter().map(entry).collect() })
        }
    })
}

/// The same as Anthropic lists them.
pub(super) fn anthropic(asked: &Asked<'_>) -> Result<Vec<u8>, Refusal> {
    let found = found(asked)?;
    let entry = |&(id, _): &(_, _)| AnthropicModel {
        kind: "model",
        id,
        display_name: id,
        created_at: "1970-01-01T00:00:00Z",
    };
    Ok(match &found {
        Found::One(model) => json(&entry(model)),
        Found::All(models) => json(&AnthropicList {
            first_id: models.first().map(|(id, _)| *id),
            last_id: models.last().map(|(id, _)| *id),
            data: models.iter().map(entry).collect(),
            has_more: false,
        }),
    })
}

/// Names and owners of models.
enum Found<'a> {
    One((&'a str, &'a str)),
    All(Vec<(&'a str, &'a str)>),
}

fn found<'a>(asked: &'a Asked<'_>) -> Result<Found<'a>, Refusal> {
    let caller = &asked.identified.caller;
    let wanted = asked.matched.captures.get("model");
    let mut models: Vec<(&str, &str)> = asked
        .snapshot
        .models
        .iter()
        .filter(|(name, entry)| {
            entry.access().allows(caller) && wanted.is_none_or(|wanted| wanted == *name)
        })
        .map(|(name, entry)| (name.as_str(), owner(entry)))
        .collect();
    models.sort_unstable();
    match (wanted, models.first()) {
        (None, _) => Ok(Found::All(models)),
        (Some(_), Some(model)) => Ok(Found::One(*model)),
        (Some(wanted), None) => {
            let public = format!("there is no model `{wanted}` that you may use");
            Err(Refusal::caller(RefusalKind::UnknownModel, public))
        }
    }
}

/// Strings and numbers always print; an empty body would show if they did not.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn owner(entry: &Entry) -> &str {
    match entry {
        Entry::Real(model) => &model.upstream.provider,
        Entry::Virtual(_) => "virtual-model",
        Entry::Broken(_) => "unavailable",
    }
}
