//! How a reply breaks on its way. What collects and what pumps it say so; `send` and the relay
//! judge.

/// How a reply broke.
#[derive(Debug)]
pub(crate) enum Break {
    /// The connection broke or the framing was wrong.
    Reset(String),
    /// The upstream closed the stream before its end.
    Cut,
    Malformed(String),
    /// A whole reply that is none, or that has no form in the caller's dialect.
    NoReply(String),
    /// The stream came to its end and said nothing.
    Empty,
    /// An event or a reply beyond the limit.
    TooLarge(String),
}

impl Break {
    /// Name in the record, and a sentence.
    pub(crate) fn describe(&self) -> (&'static str, String) {
        match self {
            Self::Reset(error) => ("reset", format!("the upstream's reply broke: {error}")),
            Self::Cut => ("reset", "the upstream's stream ended before its end mark".to_owned()),
            Self::Malformed(error) => {
                ("malformed", format!("the upstream sent a malformed event: {error}"))
            }
            Self::NoReply(error) => ("malformed", error.clone()),
            Self::Empty => ("malformed", "the upstream's stream ended without a word".to_owned()),
            Self::TooLarge(error) => ("too_large", format!("the upstream sent a {error}")),
        }
    }
}
