//! Patterns of paths with captures, and the matching of paths against them.
//!
//! `table` asks. A path is matched without its leading slash and query, and captures are
//! percent-decoded.

/// Values of the captures of a path, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(Vec<(&'static str, String)>);

impl Captures {
    /// The value of a capture.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }
}

/// The capture that may hold slashes: names of models do (`account/model`).
const MODEL: &str = "model";

/// A pattern, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: &'static str,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Literal(&'static str),
    Capture(&'static str),
}

impl Pattern {
    /// Takes a pattern apart; a brace without its other half is a literal.
    pub(super) fn new(text: &'static str) -> Self {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else { break };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal));
            }
            parts.push(Part::Capture(name));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest));
        }
        Self { text, parts }
    }

    /// How much a pattern leaves open: of two that match, the one that leaves less counts. Captures
    /// first, then the literal text, of which more is better.
    pub(super) fn openness(&self) -> (usize, usize) {
        let (mut captures, mut literal) = (0, 0);
        for part in &self.parts {
            match part {
                Part::Capture(_) => captures += 1,
                Part::Literal(text) => literal += text.len(),
            }
        }
        (captures, usize::MAX - literal)
    }

    /// The captures of `path`, if it has this pattern.
    pub(super) fn matches(&self, path: &str) -> Option<Captures> {
        if let [Part::Literal(text)] = self.parts.as_slice() {
            return (path == *text).then(Captures::default);
        }
        let mut captures = Vec::new();
        let mut rest = path;
        let mut parts = self.parts.as_slice();
        while let [part, after @ ..] = parts {
            parts = after;
            match *part {
                Part::Literal(text) => rest = rest.strip_prefix(text)?,
                Part::Capture(name) => {
                    let (value, behind) = captured(rest, name, after)?;
                    captures.push((name, decoded(value)));
                    rest = behind;
                }
            }
        }
        rest.is_empty().then_some(Captures(captures))
    }

    /// How many whole segments `path` shares with the beginning of the pattern.
    pub(super) fn shared_segments(&self, path: &str) -> usize {
        let pairs = self.text.split('/').zip(path.split('/'));
        pairs.take_while(|(own, other)| own == other).count()
    }
}

/// What a capture takes of `rest`, and what is left; `after` are the parts behind it.
fn captured<'p>(rest: &'p str, name: &str, after: &[Part]) -> Option<(&'p str, &'p str)> {
    let end = match after {
        [] => rest.len(),
        // The last literal ends the path, so that a name may hold the same text.
        [Part::Literal(text)] => rest.strip_suffix(text)?.len(),
        [Part::Literal(text), ..] => rest.find(text)?,
        [Part::Capture(_), ..] => return None,
    };
    let (value, behind) = rest.split_at_checked(end)?;
    let whole = !value.is_empty() && (name == MODEL || !value.contains('/'));
    whole.then_some((value, behind))
}

/// Percent-decoded; a stray percent sign stays as it is.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        // The number's own parser takes a sign too.
        let digits = tail.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|hex| std::str::from_utf8(hex).ok());
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, value) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &'static str, path: &str, expected: Option<&[(&'static str, &str)]>) {
        let found = Pattern::new(pattern).matches(path);
        let owned = |list: &[(&'static str, &str)]| {
            list.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(found.map(|found| found.0), expected.map(owned), "{pattern} {path}");
    }

    #[test]
    fn captures_hold_models_with_slashes_and_single_segments() {
        let deployment = "openai/deployments/{model}/chat/completions";
        check(deployment, "openai/deployments/a/chat/completions", Some(&[("model", "a")]));
        check(deployment, "openai/deployments/a/b/chat/completions", Some(&[("model", "a/b")]));
        check(deployment, "openai/deployments/a%2Fb/chat/completions", Some(&[("model", "a/b")]));
        check(
            deployment,
            "openai/deployments/a%+fb%2/chat/completions",
            Some(&[("model", "a%+fb%2")]),
        );
        check(deployment, "openai/deployments/chat/completions", None);
        check(deployment, "openai/deployments//chat/completions", None);
        let gemini = "v1beta/models/{model}:streamGenerateContent";
        check(gemini, "v1beta/models/g/x:y:streamGenerateContent", Some(&[("model", "g/x:y")]));
        check(gemini, "v1beta/models/g:generateContent", None);
        let bedrock = "model/{model}/converse-stream";
        let arn = "model/arn%3Aaws%3Abedrock%3A1/converse-stream";
        check(bedrock, arn, Some(&[("model", "arn:aws:bedrock:1")]));
        check("v1/files/{id}/content", "v1/files/f-1/content", Some(&[("id", "f-1")]));
        check("v1/files/{id}/content", "v1/files/f/1/content", None);
        check("v1/files/{id}", "v1/files/", None);
        let both = "t/{thread}/runs/{run}";
        check(both, "t/1/runs/2", Some(&[("thread", "1"), ("run", "2")]));
        check("v1/models", "v1/models", Some(&[]));
        check("v1/models", "v1/models/x", None);
    }

    #[test]
    fn a_brace_alone_is_text() {
        check("v1/{x", "v1/{x", Some(&[]));
        check("v1/{x", "v1/y", None);
    }
}
