//! Rewrites a JSON Schema as Anthropic takes it for answers and strict tools.
//!
//! The request printer calls it. Anthropic compiles a subset of JSON Schema into a grammar and
//! refuses the rest: objects have to be closed, and most limits on values are not known. What a
//! description can say goes there, as in Anthropic's own SDKs (`lib/_parse/_transform.py` of the
//! Python one). Where closing an object would leave no way to say what it holds, and where the
//! grammar would be without end, the schema is refused, for the caller to find another way. It
//! reads the text level by level and must never build a tree.

use super::schema_report::Changes;
use crate::dialect::json::{Json, Piece};
use crate::dialect::reader::{Read, Reader};
use crate::dialect::wire::{self, FromJson};
use crate::neutral::{Raw, Str, StrOr, Text};
use std::collections::BTreeMap;

/// Why a schema cannot be sent, to follow "takes no".
pub(super) type Unfit = &'static str;

const MAP: Unfit = "objects of any keys";
const ANY: Unfit = "values of any type";
const RECURSIVE: Unfit = "recursive schema";
const REFERENCE: Unfit = "references to anything but a definition";
const COMBINED: Unfit = "alternatives beside other demands";
const TUPLE: Unfit = "tuples";
const DEEP: Unfit = "schema of more than 32 levels";
const LARGE: Unfit = "more than 24 optional properties and 16 alternatives";

/// Most levels of schemas in schemas. Each is read once for each level above it, so that this also
/// bounds the work. OpenAI takes 10.
const LEVELS_MAX: usize = 32;

/// Formats of strings that Anthropic knows.
const FORMATS: [&str; 10] = [
    r#""date-time""#,
    r#""time""#,
    r#""date""#,
    r#""duration""#,
    r#""email""#,
    r#""hostname""#,
    r#""uri""#,
    r#""ipv4""#,
    r#""ipv6""#,
    r#""uuid""#,
];

/// What one request may still hold: Anthropic counts over the answer and all strict tools, see
/// "schema complexity limits" on platform.claude.com, structured outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) tools: usize,
    optional: usize,
    unions: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { tools: 20, optional: 24, unions: 16 }
    }
}

/// Annotations for a schema that has none of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Titles<'t> {
    pub(super) title: Option<&'t str>,
    pub(super) description: Option<&'t str>,
}

impl Titles<'_> {
    fn any(&self) -> bool {
        self.title.is_some() || self.description.is_some()
    }
}

/// Prints the schema `raw`. When it cannot be sent, nothing is printed and `room` stays.
pub(super) fn print(
    raw: Raw<'_>,
    titles: Titles<'_>,
    room: &mut Room,
    json: &mut Json<'_>,
) -> Result<Changes, Unfit> {
    let mark = json.out.len();
    let mut walk = Walk { room: *room, ..Walk::default() };
    let done = walk.schema(raw, At { levels: LEVELS_MAX, root: Some(titles) }, json);
    if let Err(unfit) = done.and_then(|()| walk.check_cycles()) {
        json.out.truncate(mark);
        return Err(unfit);
    }
    *room = walk.room;
    Ok(walk.changes)
}

/// The members of an object.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(Str<'a>, Raw<'a>)>);

impl<'a> FromJson<'a> for Members<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        reader.object(|reader, key| {
            let name = String::from_utf8_lossy(key).into_owned();
            self.0.push((Str::from(name), reader.raw()?));
            Ok(())
        })
    }
}

impl<'a> Members<'a> {
    fn of(raw: Raw<'a>) -> Option<Self> {
        wire::parse_text(raw.get()).ok()
    }

    /// Takes a member out.
    fn take(&mut self, name: &str) -> Option<Raw<'a>> {
        let at = self.0.iter().position(|(key, _)| **key == *name)?;
        Some(self.0.remove(at).1)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| **key == *name)
    }
}

/// Where in the schema a part of it stands.
#[derive(Clone, Copy)]
struct At<'t> {
    /// How many levels may still follow.
    levels: usize,
    root: Option<Titles<'t>>,
}

impl At<'_> {
    fn below(self) -> At<'static> {
        At { levels: self.levels - 1, root: None }
    }
}

/// One schema on its way.
#[derive(Default)]
struct Walk {
    room: Room,
    changes: Changes,
    /// Pointers to the definitions, `#/$defs/Name`, and their numbers.
    definitions: BTreeMap<String, usize>,
    /// The definition that is being read.
    inside: Option<usize>,
    /// References: the definition that holds one, and what it points to.
    references: Vec<(usize, String)>,
}

impl Walk {
    fn schema(&mut self, raw: Raw<'_>, at: At<'_>, json: &mut Json<'_>) -> Result<(), Unfit> {
        if at.levels == 0 {
            return Err(DEEP);
        }
        let mut members = Members::of(raw).ok_or(ANY)?;
        json.open(b'{');
        for name in ["$defs", "definitions"] {
            if let Some(definitions) = members.take(name) {
                self.definitions(name, definitions, at, json)?;
            }
        }
        if let Some(target) = members.take("$ref") {
            self.reference(target, json)?;
            let titled = at.root.is_some_and(|titles| titles.any());
            self.changes.beside_reference |= titled || !members.0.is_empty();
        } else {
            self.value(&mut members, at, json)?;
        }
        json.close(b'}');
        Ok(())
    }

    fn definitions(
        &mut self,
        name: &'static str,
        raw: Raw<'_>,
        at: At<'_>,
        json: &mut Json<'_>,
    ) -> Result<(), Unfit> {
        let members = Members::of(raw).ok_or(REFERENCE)?;
        json.key(name);
        json.open(b'{');
        for (key, schema) in &members.0 {
            let outer = self.inside;
            if at.root.is_some() {
                let number = self.definitions.len();
                self.definitions.insert(format!("#/{name}/{}", &**key), number);
                self.inside = Some(number);
            }
            member(key, json);
            self.schema(*schema, at.below(), json)?;
            self.inside = outer;
        }
        json.close(b'}');
        Ok(())
    }

    fn reference(&mut self, target: Raw<'_>, json: &mut Json<'_>) -> Result<(), Unfit> {
        let pointer = wire::parse_text::<Str<'_>>(target.get()).map_err(|_| REFERENCE)?;
        let name =
            ["#/$defs/", "#/definitions/"].iter().find_map(|place| pointer.strip_prefix(place));
        if name.is_none_or(|name| name.contains(['/', '~', '%'])) {
            return Err(if *pointer == *"#" { RECURSIVE } else { REFERENCE });
        }
        if let Some(inside) = self.inside {
            self.references.push((inside, pointer.to_string()));
        }
        json.member_raw("$ref", target.get());
        Ok(())
    }

    /// A schema that says itself what the value is.
    fn value(
        &mut self,
        members: &mut Members<'_>,
        at: At<'_>,
        json: &mut Json<'_>,
    ) -> Result<(), Unfit> {
        let kinds = Kinds::of(members);
        let literal = literals(members, json)?;
        let union = self.union(members, at, json)?;
        let is_object = kinds.has("object") || kinds.none() && members.has("properties");
        if union && (literal || members.has("properties")) {
            return Err(COMBINED);
        }
        if kinds.none() && !union && !literal && !is_object {
            return Err(ANY);
        }
        let several = kinds.0.len() > 1;
        match members.take("type") {
            Some(kind) if union => members.0.push((Str::from("type"), kind)),
            // The values say it already.
            Some(_) if literal && several => {}
            Some(kind) => {
                json.member_raw("type", kind.get());
                self.spend_union(several)?;
            }
            None if is_object => json.member_str("type", "object"),
            None => {}
        }
        if is_object && !union {
            self.object(members, at, json)?;
        }
        if kinds.has("array") && !union {
            self.array(members, at, json)?;
        }
        if let Some(format) = members.take("format") {
            if FORMATS.contains(&format.get()) {
                json.member_raw("format", format.get());
            } else {
                members.0.push((Str::from("format"), format));
            }
        }
        self.annotations(members, at, json);
        Ok(())
    }

    /// `anyOf`, or what means the same.
    fn union(
        &mut self,
        members: &mut Members<'_>,
        at: At<'_>,
        json: &mut Json<'_>,
    ) -> Result<bool, Unfit> {
        let names = ["anyOf", "oneOf", "allOf"];
        let mut found = names.iter().filter_map(|name| Some((*name, members.take(name)?)));
        let (first, second) = (found.next(), found.next());
        let Some((name, list)) = first else { return Ok(false) };
        let list: Vec<Raw<'_>> = wire::parse_text(list.get()).map_err(|_| COMBINED)?;
        if second.is_some() || list.is_empty() || name == "allOf" && list.len() > 1 {
            return Err(COMBINED);
        }
        self.changes.one_of |= name == "oneOf" && list.len() > 1;
        self.spend_union(list.len() > 1)?;
        json.key("anyOf");
        json.open(b'[');
        list.iter().try_for_each(|schema| self.schema(*schema, at.below(), json))?;
        json.close(b']');
        Ok(true)
    }

    fn spend_union(&mut self, spend: bool) -> Result<(), Unfit> {
        self.room.unions = self.room.unions.checked_sub(usize::from(spend)).ok_or(LARGE)?;
        Ok(())
    }

    fn object(
        &mut self,
        members: &mut Members<'_>,
        at: At<'_>,
        json: &mut Json<'_>,
    ) -> Result<(), Unfit> {
        let properties = members.take("properties").map(|raw| Members::of(raw).ok_or(ANY));
        let properties = properties.transpose()?.unwrap_or_default();
        match members.take("additionalProperties").map(|raw| raw.get()) {
            Some("false") => {}
            None if !properties.0.is_empty() => self.changes.closed = true,
            Some(_) | None => return Err(MAP),
        }
        if members.has("patternProperties") {
            return Err(MAP);
        }
        json.key("properties");
        json.open(b'{');
        for (key, schema) in &properties.0 {
            member(key, json);
            self.schema(*schema, at.below(), json)?;
        }
        json.close(b'}');
        let mut required = 0;
        if let Some(list) = members.take("required") {
            required = wire::parse_text::<Vec<Str<'_>>>(list.get()).map_or(0, |list| list.len());
            json.member_raw("required", list.get());
        }
        let optional = properties.0.len().saturating_sub(required);
        self.room.optional = self.room.optional.checked_sub(optional).ok_or(LARGE)?;
        json.member_raw("additionalProperties", "false");
        Ok(())
    }

    fn array(
        &mut self,
        members: &mut Members<'_>,
        at: At<'_>,
        json: &mut Json<'_>,
    ) -> Result<(), Unfit> {
        let items = members.take("items").ok_or(ANY)?;
        if members.has("prefixItems") || items.get().starts_with('[') {
            return Err(TUPLE);
        }
        json.key("items");
        self.schema(items, at.below(), json)?;
        match members.take("minItems") {
            Some(least) if ["0", "1"].contains(&least.get()) => {
                json.member_raw("minItems", least.get());
            }
            Some(least) => members.0.push((Str::from("minItems"), least)),
            None => {}
        }
        Ok(())
    }

    /// Title, default and description; what is left of the members goes into the last.
    fn annotations(&mut self, members: &mut Members<'_>, at: At<'_>, json: &mut Json<'_>) {
        let titles = at.root.unwrap_or_default();
        match (members.take("title"), titles.title) {
            (Some(title), _) => json.member_raw("title", title.get()),
            (None, Some(title)) => json.member_str("title", title),
            (None, None) => {}
        }
        for name in ["default", "$schema"] {
            if let Some(raw) = members.take(name) {
                json.member_raw(name, raw.get());
            }
        }
        let own = members.take("description");
        let own = own.and_then(|raw| wire::parse_text::<Text<'_>>(raw.get()).ok());
        let text = own.as_ref().map(Piece::Text).or(titles.description.map(Piece::Str));
        let kept = members.0.iter().filter(|(name, _)| !MEANINGLESS.contains(&&**name));
        let rest: Vec<&(Str<'_>, Raw<'_>)> = kept.collect();
        if text.is_none() && rest.is_empty() {
            return;
        }
        json.key("description");
        let gap = text.is_some() && !rest.is_empty();
        let mut pieces = Vec::with_capacity(2 + 4 * rest.len());
        pieces.extend(text);
        pieces.extend(gap.then_some(Piece::Str("\n\n")));
        for (index, (name, value)) in rest.iter().enumerate() {
            self.changes.moved(name);
            pieces.push(Piece::Str(if index == 0 { "{" } else { ", " }));
            pieces.extend([Piece::Str(name), Piece::Str(": "), Piece::Str(value.get())]);
        }
        pieces.extend((!rest.is_empty()).then_some(Piece::Str("}")));
        json.concat(pieces);
    }

    /// Refuses definitions that need themselves: those that wait for none are taken away, until
    /// only those in a circle are left (Kahn's algorithm).
    fn check_cycles(&self) -> Result<(), Unfit> {
        let number = |pointer: &String| self.definitions.get(pointer).copied();
        let edges = self.references.iter().filter_map(|(from, to)| Some((*from, number(to)?)));
        let mut edges: Vec<(usize, usize)> = edges.collect();
        edges.sort_unstable();
        let mut users = vec![0_usize; self.definitions.len()];
        for (_, to) in &edges {
            users.get_mut(*to).into_iter().for_each(|users| *users += 1);
        }
        let mut free: Vec<usize> = (0..users.len()).filter(|n| users.get(*n) == Some(&0)).collect();
        let mut left = users.len();
        while let Some(taken) = free.pop() {
            left -= 1;
            let first = edges.partition_point(|(from, _)| *from < taken);
            let rest = edges.get(first..).unwrap_or_default();
            for (_, to) in rest.iter().take_while(|(from, _)| *from == taken) {
                let Some(users) = users.get_mut(*to) else { continue };
                *users -= 1;
                if *users == 0 {
                    free.push(*to);
                }
            }
        }
        if left > 0 { Err(RECURSIVE) } else { Ok(()) }
    }
}

/// Members that say nothing about values of the other types.
const MEANINGLESS: [&str; 4] = ["additionalProperties", "properties", "required", "items"];

/// The key of a member with any name; its value comes next.
fn member(name: &str, json: &mut Json<'_>) {
    json.str(name);
    json.out.push(b':');
}

/// The types that a value may have.
struct Kinds<'a>(Vec<Str<'a>>);

impl<'a> Kinds<'a> {
    fn of(members: &Members<'a>) -> Self {
        let raw = members.0.iter().find(|(name, _)| **name == *"type").map(|(_, raw)| raw);
        let kinds = raw.and_then(|raw| wire::parse_text(raw.get()).ok());
        Self(match kinds {
            None => Vec::new(),
            Some(StrOr::Str(one)) => vec![one],
            Some(StrOr::Other(list)) => list,
        })
    }

    fn none(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|own| **own == *kind)
    }
}

/// Prints `enum` and `const`, which must hold simple values; says whether there is one.
fn literals(members: &mut Members<'_>, json: &mut Json<'_>) -> Result<bool, Unfit> {
    let simple = |raw: &Raw<'_>| !raw.get().starts_with(['{', '[']);
    let mut found = false;
    if let Some(list) = members.take("enum") {
        let values: Vec<Raw<'_>> = wire::parse_text(list.get()).map_err(|_| ANY)?;
        if values.is_empty() || !values.iter().all(simple) {
            return Err(ANY);
        }
        json.member_raw("enum", list.get());
        found = true;
    }
    if let Some(value) = members.take("const") {
        if !simple(&value) {
            return Err(ANY);
        }
        json.member_raw("const", value.get());
        found = true;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
