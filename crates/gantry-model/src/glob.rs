//! Patterns for model names. Called by the look-ups of prices and of what models take.
//!
//! `*` stands for any text, `#` for one digit, everything else for itself. `!` after a pattern
//! begins a pattern that must not match: `gemini-2.5-pro*!*-tts`.

/// Whether a name, in lower case, matches a pattern with its exceptions.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('!');
    parts.next().is_some_and(|wanted| matches_one(wanted.as_bytes(), name.as_bytes()))
        && !parts.any(|unwanted| matches_one(unwanted.as_bytes(), name.as_bytes()))
}

/// Walks both texts once; on a mismatch it goes back to the latest `*` and lets it take one more
/// byte, which is at most a product of the two lengths.
fn matches_one(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((found, others))) if fits(*wanted, *found) => {
                pattern = rest;
                name = others;
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, taken_from)) = retry else { return false };
                let Some((_, shorter)) = taken_from.split_first() else { return false };
                retry = Some((after_star, shorter));
                pattern = after_star;
                name = shorter;
            }
        }
    }
}

fn fits(wanted: u8, found: u8) -> bool {
    if wanted == b'#' { found.is_ascii_digit() } else { wanted == found }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_names_as_the_pattern_says() {
        let cases = [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o", "gpt-4", false),
            ("claude-3-5-haiku*", "claude-3-5-haiku-20241022", true),
            ("claude-3-5-haiku*", "claude-3-5-haiku", true),
            ("claude-3-5-haiku*", "us.claude-3-5-haiku", false),
            ("*claude-3-haiku*", "us.anthropic.claude-3-haiku-20240307-v1:0", true),
            ("*-tts", "gemini-2.5-pro-tts", true),
            ("*-tts", "gemini-tts-pro", false),
            ("*aab*", "aaaab", true),
            ("*a*b", "acab", true),
            ("gpt-6-sol-####-##-##", "gpt-6-sol-2026-10-01", true),
            ("gpt-6-sol-####-##-##", "gpt-6-sol-2026-10-1x", false),
            ("gpt-6-sol-####-##-##", "gpt-6-sol-2026-10-011", false),
            ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-preview", true),
            ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-tts", false),
            ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-tts-preview", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
