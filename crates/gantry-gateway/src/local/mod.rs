//! What the gateway answers by itself: one function for each name in the rows of operations.
//!
//! The pipeline calls it for a row without an upstream, once the caller is known. A function here
//! reads no body and asks nobody.

mod models;

use crate::authenticate::Identified;
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::Snapshot;
use gantry_llm::operation::Matched;

/// A request that needs no upstream.
pub(crate) struct Asked<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) identified: &'a Identified,
    pub(crate) matched: &'a Matched,
}

/// Gives JSON, or says why not.
type Answering = fn(&Asked<'_>) -> Result<Vec<u8>, Refusal>;

const HANDLERS: &[(&str, Answering)] =
    &[("openai-models", models::openai), ("anthropic-models", models::anthropic)];

/// Answers by the function of this name.
pub(crate) fn answer(name: &str, asked: &Asked<'_>) -> Result<Vec<u8>, Refusal> {
    match HANDLERS.iter().find(|(own, _)| *own == name) {
        Some((_, answering)) => answering(asked),
        None => {
            let public = format!("this gateway does not answer `{}`", asked.matched.operation.name);
            Err(Refusal::operator(RefusalKind::Unavailable, public))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HANDLERS;
    use gantry_llm::operation::{ALL, Handler};

    #[test]
    fn every_row_without_an_upstream_has_a_function_and_every_function_a_row() {
        let mut named: Vec<&str> = Vec::new();
        for row in ALL {
            if let Handler::Local(name) = row.handler {
                named.push(name);
            }
        }
        let functions: Vec<&str> = HANDLERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, functions);
    }
}
