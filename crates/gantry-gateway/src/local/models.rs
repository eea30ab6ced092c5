//! The list of models that a caller may use, in OpenAI's and Anthropic's shapes.

use super::Asked;
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::{Entry, Listing};
use gantry_model::ids::UnixMs;
use serde::Serialize;
use time::OffsetDateTime;

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
    created_at: String,
}

/// All models, or the one that the path names, as OpenAI lists them.
pub(super) fn openai(asked: &Asked<'_>) -> Result<Vec<u8>, Refusal> {
    Ok(match found(asked)? {
        Found::One(model) => json(&OpenAiModel::from(model)),
        Found::All(models) => {
            let data = models.into_iter().map(OpenAiModel::from).collect();
            json(&OpenAiList { object: "list", data })
        }
    })
}

/// The same as Anthropic lists them.
pub(super) fn anthropic(asked: &Asked<'_>) -> Result<Vec<u8>, Refusal> {
    Ok(match found(asked)? {
        Found::One(model) => json(&AnthropicModel::from(model)),
        Found::All(models) => json(&AnthropicList {
            first_id: models.first().map(|one| one.name),
            last_id: models.last().map(|one| one.name),
            data: models.into_iter().map(AnthropicModel::from).collect(),
            has_more: false,
        }),
    })
}

impl<'a> From<Named<'a>> for OpenAiModel<'a> {
    fn from(one: Named<'a>) -> Self {
        let created = one.released_ms() / 1_000;
        Self { id: one.name, object: "model", created, owned_by: owner(one.entry) }
    }
}

impl<'a> From<Named<'a>> for AnthropicModel<'a> {
    fn from(one: Named<'a>) -> Self {
        Self {
            kind: "model",
            id: one.name,
            display_name: one.title(),
            created_at: day(one.released_ms()),
        }
    }
}

/// A model by one of its names.
struct Named<'a> {
    name: &'a str,
    entry: &'a Entry,
}

impl<'a> Named<'a> {
    fn listing(&self) -> Option<&'a Listing> {
        match self.entry {
            Entry::Real(model) => Some(&model.listing),
            Entry::Virtual(_) | Entry::Broken(_) => None,
        }
    }

    /// When the vendor released it; the epoch, as Anthropic's reference has it, where that is not
    /// known or means nothing.
    fn released_ms(&self) -> UnixMs {
        self.listing().and_then(|listing| listing.released_ms).unwrap_or_default()
    }

    fn title(&self) -> &'a str {
        self.listing().and_then(|listing| listing.title.as_deref()).unwrap_or(self.name)
    }
}

enum Found<'a> {
    One(Named<'a>),
    All(Vec<Named<'a>>),
}

fn found<'a>(asked: &'a Asked<'_>) -> Result<Found<'a>, Refusal> {
    let caller = &asked.identified.caller;
    let Some(wanted) = asked.matched.captures.get("model") else {
        let usable = asked.snapshot.models.iter().filter(|(_, one)| one.access().allows(caller));
        let mut models: Vec<Named<'_>> =
            usable.map(|(name, entry)| Named { name, entry }).collect();
        models.sort_unstable_by_key(|one| one.name);
        return Ok(Found::All(models));
    };
    let one = asked.snapshot.models.get_key_value(wanted);
    match one.filter(|(_, one)| one.access().allows(caller)) {
        Some((name, entry)) => Ok(Found::One(Named { name, entry })),
        None => {
            let public = format!("there is no model `{wanted}` that you may use");
            Err(Refusal::caller(RefusalKind::UnknownModel, public))
        }
    }
}

/// Midnight of a day as RFC 3339 has it; the epoch for what no calendar knows.
fn day(at_ms: UnixMs) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or_default();
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = date.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T00:00:00Z", u8::from(month))
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
