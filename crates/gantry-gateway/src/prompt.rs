//! What a prompt comes to, where the upstream does not say.

use crate::aside;
use crate::decode::Call;
use bytes::Bytes;
use gantry_llm::dialect::Dialect;

/// About what providers count for one image of a megapixel, or a page of a document.
const TOKENS_PER_ATTACHMENT: u64 = 1_000;

/// The prompt, for an estimate of its tokens in case the upstream reports none.
pub(crate) enum Prompt {
    Body(Bytes),
    /// Larger bodies are counted at once, so that a stream does not keep them.
    Tokens(u64),
}

/// Bodies up to this size are kept for the length of a stream.
const KEPT_PROMPT_BYTES_MAX: usize = 32 * 1024;

impl Prompt {
    pub(crate) async fn of(call: &Call) -> Self {
        if !call.stream || call.body.len() <= KEPT_PROMPT_BYTES_MAX {
            return Self::Body(call.body.clone());
        }
        let (dialect, body) = (call.dialect(), &call.body);
        if aside::is_long(body) {
            let body = body.clone();
            let count = move || prompt_tokens(dialect, &body);
            return Self::Tokens(aside::aside(count).await.unwrap_or_default());
        }
        Self::Tokens(prompt_tokens(dialect, body))
    }

    /// How much of the request's body is kept.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Tokens(_) => 0,
        }
    }

    /// Estimated tokens.
    pub(crate) fn tokens(&self, dialect: &dyn Dialect) -> u64 {
        match self {
            Self::Body(body) => prompt_tokens(dialect, body),
            Self::Tokens(tokens) => *tokens,
        }
    }
}

/// Estimated tokens of a prompt: its text, and a round number for each image and document.
pub(crate) fn prompt_tokens(dialect: &dyn Dialect, body: &[u8]) -> u64 {
    let size = gantry_llm::translate::prompt_text_bytes(dialect, body);
    let attached = (size.images + size.documents) as u64;
    gantry_model::estimate::prompt_tokens(size.text_bytes as u64, size.messages as u64)
        .saturating_add(attached.saturating_mul(TOKENS_PER_ATTACHMENT))
}
