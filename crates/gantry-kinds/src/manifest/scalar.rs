//! What a plain YAML scalar means, by the core schema of YAML 1.2 (section 10.3.2).

use super::tree::Tree;
use serde_json::Number;

/// Reads an unquoted scalar.
///
/// # Errors
/// A message for numbers that JSON cannot say.
pub(super) fn plain(text: &str) -> Result<Tree, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Tree::Null),
        "true" | "True" | "TRUE" => return Ok(Tree::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Tree::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is not a number that a manifest may hold"));
    }
    Ok(number(text, unsigned).map_or_else(|| Tree::Text(text.to_owned()), Tree::Number))
}

/// Reads a scalar with one of the core schema's tags, `!!str` and the like.
///
/// # Errors
/// A message for unknown tags and for texts that are not what the tag says.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Tree, String> {
    if tag == "str" {
        return Ok(Tree::Text(text.to_owned()));
    }
    let value = plain(text)?;
    let fits = match (tag, &value) {
        ("null", Tree::Null) | ("bool", Tree::Bool(_)) | ("float", Tree::Number(_)) => true,
        ("int", Tree::Number(number)) => !number.is_f64(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(format!("the tag `!!{tag}` does not fit here")) }
}

fn number(text: &str, unsigned: &str) -> Option<Number> {
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8).then(|| u64::from_str_radix(octal, 8).ok())?.map(Number::from);
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16).then(|| u64::from_str_radix(hex, 16).ok())?.map(Number::from);
    }
    if digits(unsigned, 10) {
        let exact = text.strip_prefix('+').unwrap_or(text);
        if let Ok(whole) = exact.parse::<u64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = exact.parse::<i64>() {
            return Some(whole.into());
        }
    }
    // -? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits = exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), 10));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let mantissa_fits = match (whole.is_empty(), fraction.is_empty()) {
        (true, true) => false,
        (true, false) => digits(fraction, 10),
        (false, true) => digits(whole, 10),
        (false, false) => digits(whole, 10) && digits(fraction, 10),
    };
    if !exponent_fits || !mantissa_fits {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

fn digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_digit(radix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scalars_by_the_core_schema() {
        let cases = [
            ("", "null"),
            ("~", "null"),
            ("True", "true"),
            ("yes", "\"yes\""),
            ("on", "\"on\""),
            ("12", "12"),
            ("+12", "12"),
            ("-12", "-12"),
            ("012", "12"),
            ("0o17", "15"),
            ("0xfF", "255"),
            ("0x", "\"0x\""),
            ("1_000", "\"1_000\""),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("-1e3", "-1000.0"),
            ("1e", "\"1e\""),
            (".", "\".\""),
            ("2024-01-31", "\"2024-01-31\""),
            ("1.2.3", "\"1.2.3\""),
            ("12:30", "\"12:30\""),
            ("18446744073709551616", "1.8446744073709552e+19"),
        ];
        for (text, expected) in cases {
            let node = super::super::Node { value: plain(text).unwrap(), at: Default::default() };
            assert_eq!(super::super::json::plain(&node).to_string(), expected, "{text}");
        }
        assert!(plain(".inf").is_err() && plain("-.NaN").is_err());
    }

    #[test]
    fn tags_must_fit() {
        assert!(matches!(tagged("str", "12"), Ok(Tree::Text(text)) if text == "12"));
        assert!(matches!(tagged("int", "12"), Ok(Tree::Number(_))));
        assert!(tagged("int", "x").is_err() && tagged("binary", "aGk=").is_err());
    }
}
