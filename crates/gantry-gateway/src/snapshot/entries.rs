//! Reads the entries of sections that the compilation of a snapshot goes by.

use gantry_model::snapshot::{LoggingSettings, RetryConfig, Section, Setting, Unread};
use serde::de::DeserializeOwned;

/// The entries of a section; none when there is no such section.
pub(super) fn read<T: DeserializeOwned>(section: Option<&Section>) -> Vec<Result<T, Unread>> {
    section.map(Section::read).unwrap_or_default()
}

/// The tenant's settings. One that cannot be read is as if not set, but that no bodies are logged
/// when it is about logging: it may be stricter than what is known here.
pub(super) fn settings(
    section: Option<&Section>,
) -> (Option<RetryConfig>, Option<LoggingSettings>) {
    let (mut retry, mut logging) = (None, None);
    for setting in read::<Setting>(section) {
        match setting {
            Ok(Setting::Retry(config)) => retry = Some(config),
            Ok(Setting::Logging(settings)) => logging = Some(settings),
            Err(unread) => {
                let name = unread.field::<String>("name").unwrap_or_default();
                tracing::warn!(setting = name, reason = unread.reason, "setting is not in force");
                if name == Setting::LOGGING {
                    logging = Some(LoggingSettings::Never);
                }
            }
        }
    }
    (retry, logging)
}

/// The bytes of a SHA-256 digest in hex.
pub(super) fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
