//! The caller's place in a trace (W3C Trace Context, `traceparent`) and the ids of Gantry's spans.
//!
//! The gateway reads and writes the header, the exporter of spans uses the same ids. Pure.

use crate::ids::RequestId;
use std::fmt;

/// Bits of the flags that Gantry hands on: sampled, and random trace id (level 2).
const FLAGS: u8 = 0b11;

/// The flags of a trace that Gantry begins: sampled.
pub const SAMPLED: u8 = 0b01;

/// A span of some process, as the header `traceparent` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Never zero.
    pub trace_id: u128,
    /// Never zero.
    pub span_id: u64,
    pub flags: u8,
}

impl TraceParent {
    /// Reads the header's value: `00-{32 hex}-{16 hex}-{2 hex}`, lower case. Versions to come may
    /// add fields behind these. `None` for everything else, which the specification says to ignore.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version = hex::<2>(fields.next()?)?;
        let trace_id = hex::<32>(fields.next()?)?;
        let span_id = u64::try_from(hex::<16>(fields.next()?)?).ok()?;
        let flags = u8::try_from(hex::<2>(fields.next()?)?).ok()? & FLAGS;
        let more = fields.next().is_some();
        let known = version != 0xff && (version > 0 || !more);
        (known && trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, flags })
    }
}

impl fmt::Display for TraceParent {
    /// The header's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Id of a request's span: number 0 is its own, 1 that of its first upstream call, and so on.
///
/// The ids differ within a request, are never zero, and are the same whenever they are asked for.
#[must_use]
pub fn span_id(request: RequestId, number: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the random half of the id is wanted")]
    let random = request.0 as u64;
    random.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1)
}

/// Exactly `DIGITS` lower-case hex digits.
fn hex<const DIGITS: usize>(text: &str) -> Option<u128> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == DIGITS && text.bytes().all(digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_specification_allows_and_nothing_else() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let found = |flags| {
            let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
            Some(TraceParent { trace_id, span_id: 0xb7ad_6b71_6920_3331, flags })
        };
        let cases = [
            (format!("00-{trace}-{span}-01"), found(1)),
            (format!("00-{trace}-{span}-00"), found(0)),
            (format!("00-{trace}-{span}-ff"), found(3)),
            (format!("cc-{trace}-{span}-01"), found(1)),
            (format!("cc-{trace}-{span}-01-more"), found(1)),
            (format!("00-{trace}-{span}-01-more"), None),
            (format!("ff-{trace}-{span}-01"), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{trace}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{span}-01", trace.to_uppercase()), None),
            (format!("00-{trace}-{span}"), None),
            (format!("00-{trace}-{span}-1"), None),
            (format!("00-+{}-{span}-01", &trace[1..]), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(TraceParent::parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn prints_what_it_reads() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-00ad6b7169203331-01";
        assert_eq!(TraceParent::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn spans_of_a_request_differ_and_are_never_zero() {
        let ids: Vec<u64> = (0..4).map(|number| span_id(RequestId(7 << 64), number)).collect();
        assert_eq!(ids.len(), ids.iter().collect::<std::collections::BTreeSet<_>>().len());
        assert!(!ids.contains(&0));
    }
}
