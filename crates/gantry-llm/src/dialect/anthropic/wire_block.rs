//! Wire structs of content blocks, which requests and replies share.
//!
//! One struct stands for all types of block; the parsers look at `type` and take what belongs to
//! it. Members whose shape differs between types stay raw.

use crate::neutral::{Cache, Str, StrOr};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) text: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) source: Option<StrOr<'a, Source<'a>>>,
    pub(super) title: Option<Str<'a>>,
    pub(super) context: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
    pub(super) cache_control: Option<CacheControl<'a>>,
    pub(super) id: Option<Str<'a>>,
    pub(super) name: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    pub(super) tool_use_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
    pub(super) thinking: Option<Str<'a>>,
    pub(super) signature: Option<Str<'a>>,
    pub(super) data: Option<Str<'a>>,
}

/// Where an image or a document comes from.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Source<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) media_type: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Str<'a>>,
    pub(super) url: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CacheControl<'a> {
    #[serde(borrow)]
    pub(super) ttl: Option<Str<'a>>,
}

impl CacheControl<'_> {
    /// The lifetime asked for.
    pub(super) fn read(&self) -> Cache {
        match self.ttl.as_deref() {
            Some("1h") => Cache::OneHour,
            Some(_) | None => Cache::Default,
        }
    }
}

/// Whether a member is there and says something: not null, empty or false.
pub(super) fn says_something(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "[]" | "{}" | "null" | "false"))
}
