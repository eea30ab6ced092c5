//! How the commands show times, durations and tables.

use anyhow::ensure;
use comfy_table::ContentArrangement;
use gantry_model::printable;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A table without frame, as wide as the terminal. A cell is one line, whatever it holds.
pub(super) struct Table(comfy_table::Table);

/// An empty table with these titles.
pub(super) fn table(titles: &[&str]) -> Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
        .set_header(titles.iter().map(|title| printable::line(&title.to_uppercase()).into_owned()));
    Table(table)
}

impl Table {
    pub(super) fn add_row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|cell| printable::line(cell.as_ref()).into_owned());
        self.0.add_row(cells.collect::<Vec<_>>());
    }

    /// Prints it.
    ///
    /// # Errors
    /// As [`crate::out::text`].
    pub(super) fn print(&self) -> anyhow::Result<()> {
        crate::out::text(format_args!("{}\n", self.0))
    }
}

/// `2026-03-01T12:00:00Z`.
pub(super) fn time(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// `850 us`, `12.3 ms`, `4.56 s`.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// The moments of `--since` and `--until`.
///
/// # Errors
/// When one is no moment, or nothing lies between them.
pub(super) fn span(
    since: Option<&str>,
    until: Option<&str>,
    now_ms: u64,
) -> anyhow::Result<(Option<u64>, Option<u64>)> {
    let moment = |text: Option<&str>| text.map(|text| moment(text, now_ms)).transpose();
    let (from_ms, to_ms) = (moment(since)?, moment(until)?);
    let empty = from_ms.zip(to_ms).is_some_and(|(from_ms, to_ms)| from_ms >= to_ms);
    ensure!(!empty, "nothing lies between --since and --until: --since is not before --until");
    Ok((from_ms, to_ms))
}

/// A moment given as RFC 3339, `yyyy-mm-dd`, or an age such as `15m`, `2h`, `7d`.
///
/// # Errors
/// When it is none of these.
fn moment(text: &str, now_ms: u64) -> anyhow::Result<u64> {
    if let Some(age_ms) = age_ms(text) {
        return Ok(now_ms.saturating_sub(age_ms));
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let parsed = OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| {
        anyhow::anyhow!(
            "`{text}` is no time: write 2026-03-01, 2026-03-01T12:00:00Z, 15m, 2h or 7d"
        )
    })?;
    Ok(u64::try_from(parsed.unix_timestamp()).unwrap_or_default() * 1000)
}

fn age_ms(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds * 1000)
}

/// `key=value` pairs of `--metadata`.
///
/// # Errors
/// When one has no equals sign.
pub(super) fn pairs(
    texts: &[String],
) -> anyhow::Result<std::collections::BTreeMap<String, String>> {
    texts
        .iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => anyhow::bail!("`{text}` is no condition: write key=value"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_and_ages() {
        let now = 1_800_000_000_000;
        let cases = [
            ("15m", now - 900_000),
            ("2h", now - 7_200_000),
            ("2026-03-01", 1_772_323_200_000),
            ("2026-03-01T01:00:00Z", 1_772_326_800_000),
        ];
        for (text, expected) in cases {
            assert_eq!(moment(text, now).unwrap(), expected, "{text}");
        }
        assert!(moment("yesterday", now).unwrap_err().to_string().contains("15m"));
    }

    #[test]
    fn shows_durations_in_three_digits() {
        assert_eq!(duration(850), "850 us");
        assert_eq!(duration(12_345), "12.3 ms");
        assert_eq!(duration(4_560_000), "4.56 s");
    }
}
