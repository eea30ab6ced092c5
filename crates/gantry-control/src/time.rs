//! Dates as manifests and REST spell them.

use gantry_model::ids::UnixMs;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// The start of a day `yyyy-mm-dd`, UTC; `None` when the text is no date.
pub(crate) fn day_ms(text: &str) -> Option<UnixMs> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?.checked_mul(1000)
}

/// A moment in RFC 3339, or a day as in [`day_ms`].
pub(crate) fn moment_ms(text: &str) -> Option<UnixMs> {
    day_ms(text).or_else(|| {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
    })
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn rfc3339(ms: UnixMs) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanos = i128::from(ms).saturating_mul(1_000_000);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_else(|| "9999-12-31T00:00:00.000Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_moments_and_prints_moments() {
        assert_eq!(day_ms("2026-11-21"), Some(1_795_219_200_000));
        assert_eq!(day_ms("21.11.2026"), None);
        assert_eq!(moment_ms("2026-11-21T01:00:00+01:00"), Some(1_795_219_200_000));
        assert_eq!(rfc3339(1_795_219_200_123), "2026-11-21T00:00:00.123Z");
    }
}
