//! Log output: one line an event on standard error, text for people or JSON for collectors.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Starts logging. `filter` is spelled as in `RUST_LOG`; an unreadable one falls back to `info`.
///
/// A second call in the same process does nothing.
pub fn start(format: Format, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging runs already, which is what was asked for.
    let _ = match format {
        Format::Text => {
            let colour = std::io::stderr().is_terminal();
            builder.with_target(false).with_ansi(colour).try_init()
        }
        Format::Json => builder.json().try_init(),
    };
}
