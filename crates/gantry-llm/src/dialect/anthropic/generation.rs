//! What can be told from the name of a Claude model.
//!
//! The request printer uses it where generations differ: how thinking is asked for, and which
//! sampling fields are taken. Each fact holds from one version on, also for models that come
//! later; a table of names would need a row for each model in each spelling, and would be wrong
//! about the next one.

/// Version of a Claude model, such as (4, 5); `None` for names that do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u32, u32);

/// What the names of all Claude models have in common.
const FAMILY: &[u8] = b"claude-";

/// First generation that takes adaptive thinking and `output_config.effort`.
const ADAPTIVE: Generation = Generation(4, 6);

/// First generation that takes `temperature` or `top_p`, but not both.
const ONE_OF_TWO: Generation = Generation(4, 1);

/// First generation that takes sampling fields at their defaults only.
const FIXED_SAMPLING: Generation = Generation(4, 7);

/// Reads the version out of names such as `claude-3-5-sonnet-20241022`,
/// `eu.anthropic.claude-opus-4-1-20250805-v1:0`, `claude-sonnet-4.5`, `claude-opus-4@20250514`.
pub(super) fn of(model: &str) -> Option<Generation> {
    // Comparing at each place is quicker than a search engine for names this short.
    let at = model.as_bytes().windows(FAMILY.len()).position(|part| part == FAMILY)?;
    let name = model.get(at + FAMILY.len()..)?;
    let mut numbers = name
        .split(['-', '.', '@', ':', '/'])
        .skip_while(|piece| version_number(piece).is_none())
        .map_while(version_number);
    let major = numbers.next()?;
    Some(Generation(major, numbers.next().unwrap_or(0)))
}

/// One or two digits are a version, more are a date.
fn version_number(piece: &str) -> Option<u32> {
    if piece.len() > 2 { None } else { piece.parse().ok() }
}

/// Whether thinking must be asked for with a budget.
pub(super) fn thinks_by_budget(model: &str) -> bool {
    of(model).is_some_and(|generation| generation < ADAPTIVE)
}

/// Whether only one of `temperature` and `top_p` may be sent.
pub(super) fn takes_one_sampling_field(model: &str) -> bool {
    of(model).is_some_and(|generation| generation >= ONE_OF_TWO)
}

/// Whether sampling fields are refused.
pub(super) fn refuses_sampling(model: &str) -> bool {
    of(model).is_some_and(|generation| generation >= FIXED_SAMPLING)
}

#[cfg(test)]
mod tests {
    use super::{Generation, of};

    #[test]
    fn names_of_all_spellings_give_their_version() {
        for (name, expected) in [
            ("claude-3-5-sonnet-20241022", Some(Generation(3, 5))),
            ("claude-3-opus-20240229", Some(Generation(3, 0))),
            ("claude-opus-4-20250514", Some(Generation(4, 0))),
            ("claude-opus-4@20250514", Some(Generation(4, 0))),
            ("claude-sonnet-4-5-20250929", Some(Generation(4, 5))),
            ("anthropic/claude-sonnet-4.5", Some(Generation(4, 5))),
            ("eu.anthropic.claude-opus-4-1-20250805-v1:0", Some(Generation(4, 1))),
            ("claude-sonnet-5", Some(Generation(5, 0))),
            ("claude-instant", None),
            ("my-deployment", None),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }
}
