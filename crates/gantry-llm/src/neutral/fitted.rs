//! Strings that an upstream does not take, made so that it does.
//!
//! `tool_names` and the fits of dialects call it. What it makes of a string depends on nothing but
//! the string and the limit: a call and its result stay together, and the prompt stays the same
//! from turn to turn, so that caches keep working.

use gantry_model::facts::Limit;

/// Hexadecimal digits that stand for what was changed: 48 bits.
const DIGITS: usize = 12;

/// Most characters of what is made where the limit names none.
const CHARS_MAX: usize = 64;

/// The string to send in place of `text`; `None`: as it is.
#[must_use]
pub(crate) fn fitted(text: &str, limit: &Limit) -> Option<String> {
    if limit.takes(text) {
        return None;
    }
    let most = limit.chars_max.map_or(CHARS_MAX, |most| most as usize);
    // FNV-1a, whose values are the same in every version of everything.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let also = limit.also.as_deref();
    let gap = also.is_none_or(|also| also.contains('_'));
    if limit.exact || !gap || most <= DIGITS || limit.no_address {
        return Some(digits(hash, most.min(2 * DIGITS)));
    }
    let plain = |letter: char| match also {
        Some(also) if !letter.is_ascii_alphanumeric() && !also.contains(letter) => '_',
        Some(_) | None => letter,
    };
    let kept: String = text.chars().take(most - DIGITS - 1).map(plain).collect();
    Some(format!("{kept}_{:012x}", hash >> 16))
}

/// A hash as so many digits and small letters.
fn digits(mut hash: u64, count: usize) -> String {
    let mut out = String::with_capacity(count);
    for _ in 0..count {
        let digit = u32::try_from(hash % 36).unwrap_or_default();
        out.push(char::from_digit(digit, 36).unwrap_or('0'));
        // One digit more needs more bits than are left: they are stirred.
        hash = (hash / 36) ^ hash.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Limit, fitted};

    fn limit(chars_max: u32, also: Option<&str>) -> Limit {
        let also = also.map(str::to_owned);
        Limit { chars_max: Some(chars_max), also, ..Limit::default() }
    }

    #[test]
    fn short_names_are_as_long_as_may_be_and_differ_where_the_whole_ones_do() {
        let name = limit(64, None);
        let long = "mcp__server__".to_owned() + &"a".repeat(80);
        let other = format!("{long}b");
        assert_eq!(fitted(&long, &name), fitted(&long, &name));
        assert_ne!(fitted(&long, &name), fitted(&other, &name));
        for text in [&long, &other, &"é".repeat(90)] {
            assert_eq!(fitted(text, &name).unwrap().chars().count(), 64, "{text}");
        }
        // Pinned: caches of prompts outlive a version.
        assert_eq!(
            fitted(&long, &name).as_deref(),
            Some("mcp__server__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_656c6204b3f3")
        );
    }

    #[test]
    fn what_is_made_is_taken() {
        let exact = Limit { exact: true, ..limit(9, Some("")) };
        let user = Limit { no_address: true, ..limit(256, None) };
        for limit in [limit(64, Some("_-")), limit(40, None), limit(10, Some("_-")), exact, user] {
            for text in [
                "functions.read:0",
                "a/b.c",
                "",
                "toolu_01",
                "jane.doe@example.com",
                "é",
                "$filter",
            ] {
                for text in [text.to_owned(), text.repeat(50)] {
                    let made = fitted(&text, &limit);
                    let sent = made.as_deref().unwrap_or(&text);
                    assert!(limit.takes(sent), "{text} {limit:?} {made:?}");
                    assert_eq!(made, fitted(&text, &limit));
                }
            }
        }
    }
}
