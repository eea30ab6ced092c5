//! Wire structs of messages and of their content blocks, which requests and replies share.
//!
//! One struct stands for all types of block; the parsers look at `type` and take what belongs to
//! it. Members whose shape differs between types stay raw.

use crate::dialect::reader::{Read, Reader, is_hollow};
use crate::dialect::wire::{self, FromJson, Skipped, wire};
use crate::neutral::{Cache, Raw, Str, StrOr, Text};

wire! {
    /// A message of a request.
    pub(super) struct Message<'a> {
        must role: Str<'a>,
        must content: StrOr<Text<'a>, Vec<Block<'a>>>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct Block<'a> {
        must kind as "type": Str<'a>,
        may text: Text<'a>,
        may source: StrOr<Str<'a>, Source<'a>>,
        may title: Text<'a>,
        may context: Text<'a>,
        may citations: Raw<'a>,
        may cache_control: CacheControl<'a>,
        may id: Str<'a>,
        may name: Str<'a>,
        may input: Raw<'a>,
        may caller: Caller,
        may tool_use_id: Str<'a>,
        may content: StrOr<Text<'a>, Raw<'a>>,
        may is_error: bool,
        may thinking: Text<'a>,
        may signature: Text<'a>,
        may data: Text<'a>,
        may tool_name: Str<'a>,
        may encrypted_content: Skipped,
    }

    /// Where an image or a document comes from.
    #[derive(Clone, Debug)]
    pub(super) struct Source<'a> {
        must kind as "type": Str<'a>,
        may media_type: Str<'a>,
        may data: Text<'a>,
        may url: Text<'a>,
        may content: StrOr<Text<'a>, Raw<'a>>,
    }

    struct CallerKind<'a> {
        may kind as "type": Str<'a>,
    }

    #[derive(Clone, Debug)]
    pub(super) struct CacheControl<'a> {
        may kind as "type": Skipped,
        may ttl: Str<'a>,
    }
}

/// Who made a tool call. Clients send it back with each call of an earlier answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caller {
    /// The model itself, and no code that runs at Anthropic.
    pub(super) direct: bool,
}

impl<'a> FromJson<'a> for Caller {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        let caller = wire::parse_text::<CallerKind<'_>>(reader.raw()?.get()).unwrap_or_default();
        self.direct = caller.kind.as_deref() == Some("direct");
        Ok(())
    }
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
pub(super) fn says_something(raw: Option<Raw<'_>>) -> bool {
    raw.is_some_and(|raw| !is_hollow(raw.get()))
}
