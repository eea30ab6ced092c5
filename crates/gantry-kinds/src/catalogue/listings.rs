//! What models are called for people, and when they were released: `data/listings.tsv`, which is
//! compiled in.
//!
//! Read when a snapshot is compiled, for what `/v1/models` shows. A model that is not known has
//! neither, and nothing is made up for it.

use gantry_model::ids::UnixMs;

static LISTINGS: &str = include_str!("../../data/listings.tsv");

/// What a list of models shows of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub title: Option<String>,
    /// Midnight UTC of the day of release.
    pub released_ms: Option<UnixMs>,
}

/// What is known of the model that an upstream calls so: `gpt-4o`, `anthropic/claude-haiku-4.5`,
/// `eu.anthropic.claude-opus-4-1-20250805-v1:0`.
#[must_use]
pub fn listing(upstream_name: &str) -> Listing {
    let name = bare(&upstream_name.to_ascii_lowercase());
    if let Some(found) = find(&name) {
        return found;
    }
    // A dated name is the model without the date, released on that day.
    let Some((base, released_ms)) = dated(&name) else {
        return find(&name.replace('.', "-")).unwrap_or_default();
    };
    let title = find(base).and_then(|found| found.title);
    Listing { title, released_ms: Some(released_ms) }
}

/// A name without owner, region, version of the host's own, and variant.
fn bare(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.rsplit_once("anthropic.").map_or(name, |(_, own)| own);
    let name = name.split(':').next().unwrap_or(name);
    let version = name.rsplit_once("-v").filter(|(_, version)| {
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())
    });
    version.map_or(name, |(own, _)| own).to_owned()
}

fn find(name: &str) -> Option<Listing> {
    let row = LISTINGS.lines().find(|row| row.split('\t').next() == Some(name))?;
    let mut columns = row.split('\t').skip(1);
    let title = columns.next().map(str::to_owned);
    Some(Listing { title, released_ms: columns.next().and_then(midnight_ms) })
}

/// The name and the day at its end: `-20250929`, `@20250929`, `-2025-09-29`.
fn dated(name: &str) -> Option<(&str, UnixMs)> {
    let split = |length: usize| {
        let at = name.len().checked_sub(length)?;
        let (base, date) = (name.get(..at)?, name.get(at..)?);
        let base = base.strip_suffix('-').or_else(|| base.strip_suffix('@'))?;
        Some((base, date))
    };
    let dashed = split(10).and_then(|(base, date)| Some((base, midnight_ms(date)?)));
    dashed.or_else(|| {
        let (base, date) = split(8)?;
        let dashed = format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?);
        Some((base, midnight_ms(&dashed)?))
    })
}

fn midnight_ms(date: &str) -> Option<UnixMs> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(date, format).ok()?;
    u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn models_of_all_spellings_have_their_title_and_day() {
        let cases = [
            ("gpt-4o", "GPT-4o", 19_856),
            ("GPT-4o-Mini", "GPT-4o mini", 19_922),
            ("gpt-4o-2024-08-06", "GPT-4o (2024-08-06)", 19_941),
            ("openai/gpt-4.1", "GPT-4.1", 20_192),
            ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", 20_360),
            ("claude-sonnet-4-5@20250929", "Claude Sonnet 4.5", 20_360),
            ("anthropic/claude-haiku-4.5", "Claude Haiku 4.5", 20_376),
            ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude Sonnet 4.5", 20_360),
            ("gpt-5.4-mini-2026-03-17", "GPT-5.4 mini", 20_529),
        ];
        for (name, title, day) in cases {
            let expected =
                Listing { title: Some(title.to_owned()), released_ms: Some(day * DAY_MS) };
            assert_eq!(listing(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        for name in ["my-deployment", "", "llama3:8b", "x-99999999", "-2024-08-06x"] {
            assert_eq!(listing(name), Listing::default(), "{name}");
        }
        let day = Some(20_360 * DAY_MS);
        assert_eq!(listing("own-2025-09-29"), Listing { title: None, released_ms: day });
    }

    #[test]
    fn every_row_is_complete_and_in_order() {
        let rows = LISTINGS.lines().filter(|row| !row.starts_with('#'));
        let names: Vec<&str> = rows
            .map(|row| {
                let columns: Vec<&str> = row.split('\t').collect();
                assert!(columns.len() == 3 && !columns[1].is_empty(), "{row}");
                assert!(columns[2] == "-" || midnight_ms(columns[2]).is_some(), "{row}");
                columns[0]
            })
            .collect();
        assert!(names.len() > 200 && names.is_sorted());
    }
}
