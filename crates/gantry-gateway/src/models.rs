//! The list of models that a caller may use, in OpenAI's and Anthropic's shapes.

use crate::authenticate::Identified;
use crate::receive::{Caller, Inbound};
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::{Entry, Snapshot};
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

/// All models, or the one that is `wanted`.
pub(crate) fn list(
    snapshot: &Snapshot,
    identified: &Identified,
    wanted: Option<&str>,
    inbound: &Inbound,
) -> Result<Vec<u8>, Refusal> {
    let allowed = |entry: &Entry| entry.access().allows(&identified.caller);
    let mut models: Vec<(&str, &str)> = snapshot
        .models
        .iter()
        .filter(|(name, entry)| allowed(entry) && wanted.is_none_or(|wanted| wanted == *name))
        .map(|(name, entry)| (name.as_str(), owner(entry)))
        .collect();
    models.sort_unstable();
    let first = models.first().copied();
    let body = match (wanted, first, inbound.caller) {
        (Some(_), Some(model), Caller::Anthropic) => serde_json::to_vec(&anthropic(model)),
        (Some(_), Some(model), Caller::OpenAi | Caller::Azure) => {
            serde_json::to_vec(&openai(model))
        }
        (Some(wanted), None, _) => {
            let public = format!("there is no model `{wanted}` that you may use");
            return Err(Refusal::caller(RefusalKind::UnknownModel, public));
        }
        (None, _, Caller::Anthropic) => serde_json::to_vec(&AnthropicList {
            first_id: first.map(|(id, _)| id),
            last_id: models.last().map(|(id, _)| *id),
            data: models.into_iter().map(anthropic).collect(),
            has_more: false,
        }),
        (None, _, Caller::OpenAi | Caller::Azure) => serde_json::to_vec(&OpenAiList {
            object: "list",
            data: models.into_iter().map(openai).collect(),
        }),
    };
    // Serialising strings and numbers cannot fail; an empty body would show if it did.
    Ok(body.unwrap_or_default())
}

fn owner(entry: &Entry) -> &str {
    match entry {
        Entry::Real(model) => &model.upstream.provider,
        Entry::Virtual(_) => "virtual-model",
        Entry::Broken(_) => "unavailable",
    }
}

fn openai<'a>((id, owned_by): (&'a str, &'a str)) -> OpenAiModel<'a> {
    OpenAiModel { id, object: "model", created: 0, owned_by }
}

fn anthropic<'a>((id, _): (&'a str, &'a str)) -> AnthropicModel<'a> {
    AnthropicModel { kind: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }
}
