//! Decimal text as integers. Called wherever a price is read; it never goes through `f64`.

/// Reads `12.345` as a count of units of `10^-decimals`: 12_345 for three decimals.
///
/// Digits beyond `decimals` round half up. `None` for anything but digits and at most one point
/// (so for signs, exponents, `NaN` and `inf`), and for what does not fit.
#[must_use]
pub fn units(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = fraction.get(..decimals).unwrap_or(fraction);
    let digits = format!("{whole}{kept:0<decimals$}");
    let round_up = fraction.as_bytes().get(decimals).is_some_and(|digit| *digit >= b'5');
    digits.parse::<u64>().ok()?.checked_add(u64::from(round_up))
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn reads_decimals_exactly_and_rounds_half_up() {
        let cases = [
            ("2.5", 6, Some(2_500_000)),
            ("0.00015", 9, Some(150_000)),
            ("15", 6, Some(15_000_000)),
            ("0", 6, Some(0)),
            ("1.", 2, Some(100)),
            ("0.08333333333333334", 6, Some(83_333)),
            ("0.0000005", 6, Some(1)),
            ("0.00000049", 6, Some(0)),
            ("18446744073709.551615", 6, Some(u64::MAX)),
            ("18446744073709.5516155", 6, None),
            ("18446744073710", 6, None),
            ("", 6, None),
            (".5", 6, None),
            ("-1", 6, None),
            ("+1", 6, None),
            ("1e-6", 6, None),
            ("1.2.3", 6, None),
            ("NaN", 6, None),
            ("inf", 6, None),
        ];
        for (text, decimals, expected) in cases {
            assert_eq!(units(text, decimals), expected, "{text} to {decimals} decimals");
        }
    }
}
