//! Token estimates for accounting. Called when an upstream reports no usage: streams that the
//! caller cancelled, servers that never send it. Never used where a provider's own count is known,
//! and no substitute for a tokenizer where a limit must be exact.

/// Bytes of UTF-8 text for one token.
///
/// Measured with OpenAI's tokenizers, o200k_base and cl100k_base in this order: English prose 4.7
/// and 4.7, technical English 4.1 and 4.1, Rust 4.0 and 4.0, Python 4.5 and 4.5, JSON 3.0 and 3.0,
/// German 4.4 and 3.8, Russian 7.2 and 4.0, Japanese 3.5 and 2.7, Chinese 3.4 and 2.4, Hindi 9.3
/// and 2.8. Counting bytes instead of characters is what keeps the ratio near four for scripts that
/// take two or three bytes a character. OpenAI's own rule of thumb is four characters of English.
pub const BYTES_PER_TOKEN: u64 = 4;

/// Tokens that OpenAI's chat format adds for each message (OpenAI's cookbook, "How to count tokens
/// with tiktoken"), and again once to open the answer.
pub const TOKENS_PER_MESSAGE: u64 = 3;

/// Estimates the tokens of a text from its length in bytes, rounded up.
///
/// Pass the bytes of the text itself, without JSON around it and without images.
#[must_use]
pub fn tokens_from_text_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Estimates the tokens of a prompt from the bytes of all its texts and its message count, which is
/// zero where no messages are framed: for embeddings and completions.
#[must_use]
pub fn prompt_tokens(text_bytes: u64, messages: u64) -> u64 {
    let opened = u64::from(messages > 0);
    let framing = messages.saturating_add(opened).saturating_mul(TOKENS_PER_MESSAGE);
    tokens_from_text_bytes(text_bytes).saturating_add(framing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_text_up_to_whole_tokens() {
        let cases = [(0, 0), (1, 1), (4, 1), (5, 2), (4_000, 1_000), (u64::MAX, 1 << 62)];
        for (bytes, tokens) in cases {
            assert_eq!(tokens_from_text_bytes(bytes), tokens, "{bytes} bytes");
        }
    }

    #[test]
    fn counts_the_framing_of_messages() {
        // 44 bytes are 11 tokens (o200k_base: 10), two messages and the opening are 3 * 3.
        let text = "The quick brown fox jumps over the lazy dog.";
        assert_eq!(prompt_tokens(text.len() as u64, 2), 11 + 9);
        assert_eq!(prompt_tokens(text.len() as u64, 0), 11, "a text alone has no framing");
        assert_eq!(prompt_tokens(800, 200), 200 + 603);
        assert_eq!(prompt_tokens(u64::MAX, u64::MAX), u64::MAX);
    }
}
