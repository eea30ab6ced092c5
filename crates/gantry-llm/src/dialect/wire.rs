//! What the wire structs of all dialects share: how values are read, the macro that makes the
//! structs, and errors that name the field.
//!
//! Wire structs are plain structs with optional fields, because servers and clients leave out what
//! they like. Null counts as absent, unknown fields are checked and left out.

use super::reader::{Fault, Read, Reader};
use crate::context::Error;
use crate::neutral::{Number, Raw, Str, StrOr, Text, Unknown};

/// What can be read from JSON. Values are filled where they lie, because moving them costs more
/// than reading them.
pub(crate) trait FromJson<'a>: Default {
    /// Reads one value into `self`, which is its default.
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()>;
}

/// A value of which only the presence counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skipped;

/// A list that mostly has one element, which then needs no memory of its own.
#[derive(Clone, Debug)]
pub(crate) struct Few<T> {
    pub(crate) first: Option<T>,
    pub(crate) rest: Vec<T>,
}

/// Makes structs that are read from JSON objects. Fields marked `must` have to be there; an absent
/// `sub` is as good as an empty one; all others are optional. `as` gives a key that is no Rust
/// name. A `lax` one stands beside what matters: a value of another type is as good as none, and of
/// several the last one counts. With `keep` the members that the struct does not know go, in order,
/// into a field of that name, unless they are null.
macro_rules! wire {
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@rest $self:ident $reader:ident $key:ident) => { $reader.stray() };
    (@rest $self:ident $reader:ident $key:ident $rest:ident) => {
        crate::dialect::wire::keep(&mut $self.$rest, $key, $reader)
    };
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $(must $must:ident $(as $must_key:literal)? : $must_ty:ty,)*
            $(sub $sub:ident : $sub_ty:ty,)*
            $(may $may:ident $(as $may_key:literal)? : $may_ty:ty,)*
            $(lax $lax:ident : $lax_ty:ty,)*
            $(keep $rest:ident,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Default)]
        $vis struct $name $(<$life>)? {
            $($vis $must: $must_ty,)*
            $($vis $sub: $sub_ty,)*
            $($vis $may: Option<$may_ty>,)*
            $($vis $lax: Option<$lax_ty>,)*
            $($vis $rest: Vec<(String, crate::neutral::Raw<'a>)>,)?
        }

        impl<'a> crate::dialect::wire::FromJson<'a> for $name $(<$life>)? {
            fn fill(
                &mut self,
                reader: &mut crate::dialect::reader::Reader<'a>,
            ) -> crate::dialect::reader::Read<()> {
                $(let mut $must = false;)*
                $(let mut $sub = false;)*
                reader.object(|reader, key| {
                    $(if key == wire!(@key $must $($must_key)?).as_bytes() {
                        return crate::dialect::wire::must(
                            reader, key, &mut $must, &mut self.$must,
                        );
                    })*
                    $(if key == stringify!($sub).as_bytes() {
                        return crate::dialect::wire::sub(reader, key, &mut $sub, &mut self.$sub);
                    })*
                    $(if key == wire!(@key $may $($may_key)?).as_bytes() {
                        return crate::dialect::wire::may(reader, key, &mut self.$may);
                    })*
                    $(if key == stringify!($lax).as_bytes() {
                        return crate::dialect::wire::lax(reader, &mut self.$lax);
                    })*
                    wire!(@rest self reader key $($rest)?)
                })?;
                $(if !$must {
                    return Err(reader.missing(wire!(@key $must $($must_key)?)));
                })*
                Ok(())
            }
        }
    )*};
}
pub(crate) use wire;

/// Reads the member `key` into its field. Null is as good as absent.
#[inline]
pub(crate) fn may<'a, T: FromJson<'a>>(
    reader: &mut Reader<'a>,
    key: &[u8],
    field: &mut Option<T>,
) -> Read<()> {
    if reader.null()? {
        return Ok(());
    }
    if field.is_some() {
        return Err(reader.duplicate(key));
    }
    field.insert(T::default()).fill(reader)
}

/// Reads a member that must not cost what it stands beside: null and what is of another type are as
/// good as absent. Only what is no JSON is an error.
#[inline]
pub(crate) fn lax<'a, T: FromJson<'a>>(reader: &mut Reader<'a>, field: &mut Option<T>) -> Read<()> {
    if reader.null()? {
        return Ok(());
    }
    let raw = reader.raw()?;
    let mut value = T::default();
    if value.fill(&mut Reader::new(raw.get())).is_ok() {
        *field = Some(value);
    }
    Ok(())
}

/// Reads the member `key`, which has to be there, into its field.
#[inline]
pub(crate) fn must<'a, T: FromJson<'a>>(
    reader: &mut Reader<'a>,
    key: &[u8],
    seen: &mut bool,
    field: &mut T,
) -> Read<()> {
    if std::mem::replace(seen, true) {
        return Err(reader.duplicate(key));
    }
    field.fill(reader)
}

/// Reads the member `key`, of which null and absence are as good as empty, into its field.
#[inline]
pub(crate) fn sub<'a, T: FromJson<'a>>(
    reader: &mut Reader<'a>,
    key: &[u8],
    seen: &mut bool,
    field: &mut T,
) -> Read<()> {
    if reader.null()? {
        return Ok(());
    }
    must(reader, key, seen, field)
}

/// Keeps a member that a struct does not know, unless it is null.
pub(crate) fn keep<'a>(
    rest: &mut Vec<(String, Raw<'a>)>,
    key: &[u8],
    reader: &mut Reader<'a>,
) -> Read<()> {
    let raw = reader.raw()?;
    if raw.get() != "null" {
        rest.push((String::from_utf8_lossy(key).into_owned(), raw));
    }
    Ok(())
}

impl<'a> FromJson<'a> for Text<'a> {
    #[inline]
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        *self = reader.string()?;
        Ok(())
    }
}

impl<'a> FromJson<'a> for Str<'a> {
    #[inline]
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        *self = reader.string()?.into_str();
        Ok(())
    }
}

impl<'a> FromJson<'a> for Raw<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        *self = reader.raw()?;
        Ok(())
    }
}

impl<'a> FromJson<'a> for Number<'a> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        *self = reader.number()?;
        Ok(())
    }
}

impl FromJson<'_> for Skipped {
    fn fill(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        reader.skip()
    }
}

impl FromJson<'_> for bool {
    fn fill(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        *self = reader.bool()?;
        Ok(())
    }
}

impl FromJson<'_> for u64 {
    fn fill(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        *self = reader.unsigned()?;
        Ok(())
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Vec<T> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        reader.list(|reader| {
            self.push(T::default());
            self.last_mut().map_or(Ok(()), |last| last.fill(reader))
        })
    }
}

impl<T> Few<T> {
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.rest)
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<'a, T: FromJson<'a>> FromJson<'a> for Few<T> {
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        reader.list(|reader| {
            if self.first.is_none() {
                return self.first.insert(T::default()).fill(reader);
            }
            self.rest.push(T::default());
            self.rest.last_mut().map_or(Ok(()), |last| last.fill(reader))
        })
    }
}

impl<S: Default, T> Default for StrOr<S, T> {
    fn default() -> Self {
        Self::Str(S::default())
    }
}

impl<'a, S: FromJson<'a>, T: FromJson<'a>> FromJson<'a> for StrOr<S, T> {
    #[inline]
    fn fill(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        if reader.peek() == Some(b'"') {
            let mut text = S::default();
            text.fill(reader)?;
            *self = Self::Str(text);
            return Ok(());
        }
        let start = reader.at();
        *self = Self::Other(T::default());
        let Self::Other(other) = self else { return Ok(()) };
        other.fill(reader).map_err(|mut fault| {
            if fault.at == start {
                fault.message = fault.message.replace("expected a ", "expected a string or a ");
            }
            fault
        })
    }
}

/// Parses a body into its default; an error names the field where the body stopped making sense.
pub(crate) fn parse_into<'a, T: FromJson<'a>>(to: &mut T, body: &'a [u8]) -> Result<(), Error> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    fill(to, &mut Reader::new(text)).map_err(|fault| error(body, *fault))
}

/// The same, and which members no struct knows, but for those that are null or empty.
pub(crate) fn parse_whole_into<'a, T: FromJson<'a>>(
    to: &mut T,
    body: &'a [u8],
) -> Result<Unknown, Error> {
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    parse_whole_text_into(to, text)
}

/// The same of text.
pub(crate) fn parse_whole_text_into<'a, T: FromJson<'a>>(
    to: &mut T,
    text: &'a str,
) -> Result<Unknown, Error> {
    let mut reader = Reader::noting_strays(text);
    fill(to, &mut reader).map_err(|fault| error(text.as_bytes(), *fault))?;
    let strays = reader.take_strays();
    Ok(Unknown { paths: paths_at(text.as_bytes(), &strays.at), more: strays.more })
}

/// The same for the rest of an object, whose first `known` bytes are members that need not be read
/// and a comma.
pub(crate) fn parse_rest_into<'a, T: FromJson<'a>>(
    to: &mut T,
    body: &'a [u8],
    known: usize,
) -> Result<(), Error> {
    let rest = body.get(known..).unwrap_or_default();
    let text = std::str::from_utf8(rest);
    let text = text.map_err(|error| not_utf8(body, known + error.valid_up_to()))?;
    fill(to, &mut Reader::inside_object(text)).map_err(|fault| {
        let Fault { at, message } = *fault;
        error(body, Fault { at: known + at, message })
    })
}

fn not_utf8(body: &[u8], at: usize) -> Error {
    error(body, Fault { at, message: "invalid UTF-8".to_owned() })
}

fn error(body: &[u8], fault: Fault) -> Error {
    Error::new(path_at(body, fault.at), fault.message)
}

/// Parses JSON text.
pub(crate) fn parse_text<'a, T: FromJson<'a>>(text: &'a str) -> Result<T, Error> {
    let mut value = T::default();
    let filled = fill(&mut value, &mut Reader::new(text));
    filled.map(|()| value).map_err(|fault| error(text.as_bytes(), *fault))
}

fn fill<'a, T: FromJson<'a>>(to: &mut T, reader: &mut Reader<'a>) -> Read<()> {
    to.fill(reader)?;
    reader.end()
}

/// Whether `text` is a JSON object and nothing else.
pub(crate) fn is_object(text: &str) -> bool {
    text.starts_with('{') && parse_text::<Skipped>(text).is_ok()
}

/// One level of nesting on the way to an offset.
enum Level {
    Object(String),
    List(usize),
}

/// Path of the value at an offset, such as `messages[1].content`; empty at the top.
fn path_at(body: &[u8], offset: usize) -> String {
    paths_at(body, &[offset.min(body.len())]).pop().unwrap_or_default()
}

/// Paths of the values at ascending offsets, in one pass.
fn paths_at(body: &[u8], offsets: &[usize]) -> Vec<String> {
    let mut trail = Trail::default();
    let mut from = 0;
    let path = |to: &usize| {
        body.get(from..*to).unwrap_or_default().iter().for_each(|byte| trail.step(*byte));
        from = *to;
        join(&trail.levels)
    };
    offsets.iter().map(path).collect()
}

/// Where a pass over JSON text stands.
#[derive(Default)]
struct Trail {
    levels: Vec<Level>,
    /// The string that is being read, as it is spelled.
    string: Option<Vec<u8>>,
    last: String,
    escaped: bool,
}

impl Trail {
    fn step(&mut self, byte: u8) {
        if let Some(text) = &mut self.string {
            if byte == b'"' && !self.escaped {
                self.last = String::from_utf8_lossy(text).into_owned();
                self.string = None;
            } else {
                self.escaped = byte == b'\\' && !self.escaped;
                text.push(byte);
            }
            return;
        }
        match (byte, self.levels.last_mut()) {
            (b'"', _) => self.string = Some(Vec::new()),
            (b'{', _) => self.levels.push(Level::Object(String::new())),
            (b'[', _) => self.levels.push(Level::List(0)),
            (b'}' | b']', _) => drop(self.levels.pop()),
            (b':', Some(Level::Object(key))) => *key = std::mem::take(&mut self.last),
            (b',', Some(Level::List(index))) => *index += 1,
            _ => {}
        }
    }
}

fn join(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::List(index) => path.push_str(&format!("[{index}]")),
            Level::Object(key) if key.is_empty() => {}
            Level::Object(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests;
