//! The search for the name that was probably meant. Called for messages about names of manifests
//! and of models.

use std::cmp::Reverse;

/// No name that anybody may give is longer; measuring the distance of two texts takes memory in the
/// order of the product of their lengths, and requests may name anything.
const NEAR_MAX: usize = 256;

/// The known name that was probably meant: of those in which at most a third of the letters differ,
/// or with which it begins, the one with the longest common beginning; else the only one that
/// begins so. Nothing is near to a single letter.
///
/// Beginnings weigh most because names of models say family and version first: `gpt-5-mini` is
/// further from `gpt-4-mini` than from `gpt-5`.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let most = match name.chars().count() {
        0 | 1 => return None,
        _ if name.len() > NEAR_MAX => return None,
        count => (count / 3).max(1),
    };
    let near = known
        .clone()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= most || begins_with(name, known))
        .min_by_key(|(distance, known)| (Reverse(beginning(name, known)), *distance))
        .map(|(_, known)| known);
    let mut longer = known.filter(|known| name.len() >= 3 && known.starts_with(name));
    near.or_else(|| longer.next().filter(|_| longer.next().is_none()))
}

/// Whether the name says more than the known one, as a date or a variant behind it.
fn begins_with(name: &str, known: &str) -> bool {
    let rest = name.strip_prefix(known).filter(|_| known.len() >= 3);
    rest.is_some_and(|rest| rest.starts_with(['-', '.', ':', '@', '_']))
}

/// How many letters two names have in common at their beginning.
fn beginning(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_longest_common_beginning_wins() {
        let models = ["openai/gpt-4-mini", "openai/gpt-5", "openai/gpt-5.1", "anthropic/claude-x"];
        let cases = [
            ("openai/gpt-5-mini", Some("openai/gpt-5")),
            ("openai/gpt-5.1-2025-11-13", Some("openai/gpt-5.1")),
            ("openai/gpt-4-min", Some("openai/gpt-4-mini")),
            ("openai/gpt-4mini", Some("openai/gpt-4-mini")),
            ("opnai/gpt-5", Some("openai/gpt-5")),
            ("anthropic/", Some("anthropic/claude-x")),
            ("mistral/large", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, models.into_iter()), expected, "{name}");
        }
        let fields = ["model_types", "model_id", "name"];
        assert_eq!(nearest("model_di", fields.into_iter()), Some("model_id"));
    }
}
