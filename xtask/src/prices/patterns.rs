//! Turns the match rules of the price package into the catalogue's patterns (`*`, `#`, `!`).
//!
//! Called by the import. Regular expressions come in few shapes there; one of a new shape is an
//! error, so that no model is ever matched by half a rule.

use anyhow::{Context, bail, ensure};

use super::python::Value;

/// Names that end in `-tts` or have `-tts-` inside, which some rules leave out.
const NOT_SPEECH: &str = "^(?!.*-[tT][tT][sS](?:$|-))";

/// Patterns of which one must match, in lower case.
pub(super) fn from_rule(rule: &Value) -> anyhow::Result<Vec<String>> {
    let name = rule.call()?.name.as_str();
    let patterns = match name {
        "ClauseEquals" => vec![literal(rule.text("equals")?)?],
        "ClauseStartsWith" => vec![format!("{}*", literal(rule.text("starts_with")?)?)],
        "ClauseEndsWith" => vec![format!("*{}", literal(rule.text("ends_with")?)?)],
        "ClauseContains" => vec![format!("*{}*", literal(rule.text("contains")?)?)],
        "ClauseRegex" => from_regex(rule.text("regex")?)?,
        "ClauseOr" => {
            let rules = rule.get("or_").context("no `or_`")?.list()?;
            let nested: anyhow::Result<Vec<_>> = rules.iter().map(from_rule).collect();
            nested?.into_iter().flatten().collect()
        }
        "ClauseAnd" => from_both(rule.get("and_").context("no `and_`")?.list()?)?,
        other => bail!("unknown match rule `{other}`"),
    };
    Ok(patterns)
}

/// A rule together with "and it is not speech", the one conjunction in use.
fn from_both(rules: &[Value]) -> anyhow::Result<Vec<String>> {
    let [rule, exception] = rules else { bail!("expected two rules in `and_`") };
    ensure!(exception.text("regex")? == NOT_SPEECH, "unknown second rule in `and_`");
    let patterns = from_rule(rule)?;
    Ok(patterns.into_iter().map(|pattern| format!("{pattern}!*-tts!*-tts-*")).collect())
}

fn literal(text: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_graphic() && !"*#!".contains(c);
    ensure!(!text.is_empty() && text.chars().all(plain), "{text:?} cannot stand in a pattern");
    Ok(text.to_ascii_lowercase())
}

/// Reads `^name-\d{8}$` and the like: literals, `\.`, `\d`, `\d{n}`, `[-@]`, `$` or no end.
fn from_regex(regex: &str) -> anyhow::Result<Vec<String>> {
    let unknown = || format!("regular expression `{regex}` has an unknown shape");
    let mut rest = regex.strip_prefix('^').with_context(unknown)?;
    let mut patterns = vec![String::new()];
    let mut open_end = true;
    while let Some(next) = rest.chars().next() {
        let (adds, after) = if let Some(after) = rest.strip_prefix("\\d") {
            let (digits, after) = repeated(after).with_context(unknown)?;
            (vec!["#".repeat(digits)], after)
        } else if let Some(after) = rest.strip_prefix("\\.") {
            (vec![".".to_owned()], after)
        } else if let Some(after) = rest.strip_prefix("[-@]") {
            (vec!["-".to_owned(), "@".to_owned()], after)
        } else if rest == "$" {
            open_end = false;
            (vec![String::new()], "")
        } else {
            ensure!(next.is_ascii_alphanumeric() || "-/_:".contains(next), unknown());
            (vec![next.to_ascii_lowercase().to_string()], rest.split_at(1).1)
        };
        let extend = |start: &String| adds.iter().map(|add| format!("{start}{add}")).collect();
        patterns = patterns.iter().flat_map(|start| -> Vec<String> { extend(start) }).collect();
        rest = after;
    }
    let end = if open_end { "*" } else { "" };
    Ok(patterns.into_iter().map(|pattern| format!("{pattern}{end}")).collect())
}

/// The count in `{8}`, or one when there is none.
fn repeated(text: &str) -> Option<(usize, &str)> {
    match text.strip_prefix('{') {
        Some(counted) => {
            let (count, after) = counted.split_once('}')?;
            Some((count.parse().ok()?, after))
        }
        None => Some((1, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::python::assigned;

    fn patterns(rule: &str) -> anyhow::Result<Vec<String>> {
        from_rule(&assigned(&format!("\nx: R = {rule}\n"), "x")?)
    }

    #[test]
    fn turns_rules_into_patterns() {
        let cases = [
            ("ClauseEquals(equals='GPT-4o')", "gpt-4o"),
            (
                "ClauseOr(or_=[ClauseStartsWith(starts_with='a'), ClauseContains(contains='b')])",
                "a* *b*",
            ),
            ("ClauseEndsWith(ends_with='-x')", "*-x"),
            (
                r"ClauseRegex(regex='^gpt-6\\.1-sol-\\d{4}-\\d{2}-\\d{2}$')",
                "gpt-6.1-sol-####-##-##",
            ),
            (r"ClauseRegex(regex='^opus-5[-@]\\d{2}$')", "opus-5-## opus-5@##"),
            (r"ClauseRegex(regex='^gemini-4-\\d')", "gemini-4-#*"),
            (
                "ClauseAnd(and_=[ClauseStartsWith(starts_with='g'), \
                 ClauseRegex(regex='^(?!.*-[tT][tT][sS](?:$|-))')])",
                "g*!*-tts!*-tts-*",
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(patterns(rule).unwrap().join(" "), expected, "{rule}");
        }
    }

    #[test]
    fn refuses_rules_of_an_unknown_shape() {
        let rules = [
            "ClauseRegex(regex='gpt')",
            "ClauseRegex(regex='^gpt|x')",
            "ClauseRegex(regex='^a.b')",
            "ClauseEquals(equals='two words')",
            "ClauseEquals(equals='a*')",
            "ClauseNot(not_=1)",
        ];
        for rule in rules {
            assert!(patterns(rule).is_err(), "{rule}");
        }
    }
}
