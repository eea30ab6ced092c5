//! The header fields of a head: where they stand in it, made into values when asked for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::ops::Range;

/// Longer than any name that is looked for in a list.
pub const LOWERED_BYTES: usize = 40;

/// A message's header fields in the order in which they came. Cheap to move, one allocation to
/// make.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    raw: Bytes,
    places: Vec<Place>,
}

/// Where one field stands. A head is far smaller than 4 GiB.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    raw: &'a Bytes,
    place: Place,
}

impl Fields {
    /// The fields of a parsed head, whose text lies in `raw`.
    pub fn of(raw: Bytes, parsed: &[httparse::Header<'_>]) -> Self {
        let begin = raw.as_ptr().addr();
        let place = |part: &[u8]| {
            if part.is_empty() {
                return (0, 0);
            }
            let at = part.as_ptr().addr().wrapping_sub(begin);
            let end = at.wrapping_add(part.len());
            (u32::try_from(at).unwrap_or_default(), u32::try_from(end).unwrap_or_default())
        };
        let places = parsed
            .iter()
            .map(|field| Place { name: place(field.name.as_bytes()), value: place(field.value) })
            .collect();
        Self { raw, places }
    }

    /// The fields of a map, as HTTP/2 brings them.
    #[must_use]
    pub fn from_map(map: &HeaderMap) -> Self {
        map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.places.iter().map(|place| Field { raw: &self.raw, place: *place })
    }

    /// The value of the first field of a name, in any case of letters.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|field| field.is(name)).map(|field| field.value())
    }

    /// The same as text, when it is ASCII.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok().filter(|text| text.is_ascii())
    }

    /// Whether there is a field of a name, in any case of letters.
    #[must_use]
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// As a map; what is no valid field there is left out.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        self.iter()
            .filter_map(|field| Some((field.header_name()?, field.header_value()?)))
            .collect()
    }
}

impl<'a> Field<'a> {
    /// Whether this is its name, in any case of letters.
    #[must_use]
    #[inline]
    pub fn is(&self, name: &str) -> bool {
        // Most names differ in length already, which costs nothing to see.
        let (start, end) = self.place.name;
        (end - start) as usize == name.len() && self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether its name begins so, in any case of letters.
    #[must_use]
    #[inline]
    pub fn begins(&self, prefix: &str) -> bool {
        let begin = self.name().get(..prefix.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
    }

    /// In the case in which it came.
    #[must_use]
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.raw.get(range(self.place.name)).unwrap_or_default()
    }

    /// Its name in small letters, in `room`; cut off where that ends.
    #[inline]
    pub fn lowered<'b>(&self, room: &'b mut [u8; LOWERED_BYTES]) -> &'b [u8] {
        let name = self.name();
        let len = name.len().min(LOWERED_BYTES);
        for (to, from) in room.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        room.get(..len).unwrap_or_default()
    }

    #[must_use]
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        self.raw.get(range(self.place.value)).unwrap_or_default()
    }

    fn header_name(&self) -> Option<HeaderName> {
        HeaderName::from_bytes(self.name()).ok()
    }

    /// Shares the head's memory.
    fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.raw.slice(range(self.place.value))).ok()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        pairs.into_iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
    }
}

impl<'a> FromIterator<(&'a [u8], &'a [u8])> for Fields {
    fn from_iter<T: IntoIterator<Item = (&'a [u8], &'a [u8])>>(pairs: T) -> Self {
        let (mut raw, mut places) = (Vec::new(), Vec::new());
        let mut add = |text: &[u8]| {
            let at = raw.len();
            raw.extend_from_slice(text);
            let end = |at: usize| u32::try_from(at).unwrap_or_default();
            (end(at), end(raw.len()))
        };
        for (name, value) in pairs {
            places.push(Place { name: add(name), value: add(value) });
        }
        Self { raw: raw.into(), places }
    }
}

#[inline]
fn range((start, end): (u32, u32)) -> Range<usize> {
    start as usize..end as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_in_any_case_and_keeps_their_order() {
        let fields: Fields =
            [("Set-Cookie", "a=1"), ("X-Id", "7"), ("set-cookie", "b=2")].into_iter().collect();
        assert_eq!(fields.get("x-id"), Some(&b"7"[..]));
        assert_eq!(fields.get("x-none"), None);
        let map = fields.to_map();
        let cookies: Vec<_> = map.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!((fields.len(), map.len()), (3, 3));
    }
}
