//! The answers of the mock upstream, as bytes with their HTTP framing.
//!
//! Built once at start. Shapes follow the public references of OpenAI chat completions and
//! Anthropic messages; sizes are those of a short real answer.

use super::request::Asked;
use crate::cases::{SLOW_TICKS, TICKS, UPLOAD_BYTES};
use std::time::Duration;

/// One answer.
pub(super) enum Reply {
    Whole(Vec<u8>),
    Stream(Script),
}

/// A streamed answer: `opening`, `events` times `event` with a `gap` before each, `closing`.
pub(super) struct Script {
    pub(super) opening: Vec<u8>,
    pub(super) event: Vec<u8>,
    pub(super) closing: Vec<u8>,
    pub(super) events: u64,
    pub(super) gap: Duration,
}

/// All answers, for chat (`.0`) and messages (`.1`).
pub(super) struct Replies {
    whole: (Reply, Reply),
    ticks: (Reply, Reply),
    slow: (Reply, Reply),
    wrong: Reply,
}

impl Default for Replies {
    fn default() -> Self {
        let pair = |events, gap_ms| {
            let gap = Duration::from_millis(gap_ms);
            (stream(&CHAT, events, gap), stream(&MESSAGES, events, gap))
        };
        Self {
            whole: (whole("200 OK", CHAT_WHOLE), whole("200 OK", MESSAGES_WHOLE)),
            ticks: pair(TICKS, 10),
            slow: pair(SLOW_TICKS, 500),
            wrong: whole("400 Bad Request", "{\"error\":{\"message\":\"not in the bench\"}}"),
        }
    }
}

impl Replies {
    /// The answer to a request; status 400 to one that the benchmark does not send.
    pub(super) fn pick(&self, asked: &Asked) -> &Reply {
        let pair = match asked.model.as_slice() {
            b"plain" => &self.whole,
            b"upload" if asked.body_bytes >= UPLOAD_BYTES => &self.whole,
            b"ticks" => &self.ticks,
            b"slow" => &self.slow,
            _ => return &self.wrong,
        };
        if asked.messages { &pair.1 } else { &pair.0 }
    }
}

fn whole(status: &str, body: &str) -> Reply {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    Reply::Whole(text.into_bytes())
}

fn stream(parts: &Parts, events: u64, gap: Duration) -> Reply {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    Reply::Stream(Script {
        opening: format!("{head}{}", chunk(parts.opening)).into_bytes(),
        event: chunk(parts.event).into_bytes(),
        closing: format!("{}0\r\n\r\n", chunk(parts.closing)).into_bytes(),
        events,
        gap,
    })
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// The events of a stream.
struct Parts {
    opening: &'static str,
    event: &'static str,
    closing: &'static str,
}

const CHAT_WHOLE: &str = concat!(
    r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1753000000,"model":"plain","#,
    r#""choices":[{"index":0,"message":{"role":"assistant","content":"First, link with a faster "#,
    r#"linker; second, put the tests of a crate into one binary; third, cache what does not "#,
    r#"change. Compare the median of a week before and after. zqtick","refusal":null},"#,
    r#""logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":92,"#,
    r#""completion_tokens":48,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":0},"#,
    r#""completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default","#,
    r#""system_fingerprint":"fp_bench"}"#
);

const MESSAGES_WHOLE: &str = concat!(
    r#"{"id":"msg_bench","type":"message","role":"assistant","model":"plain","content":["#,
    r#"{"type":"text","text":"First, link with a faster linker; second, put the tests of a crate "#,
    r#"into one binary; third, cache what does not change. Compare the median of a week before "#,
    r#"and after. zqtick"}],"stop_reason":"end_turn","stop_sequence":null,"usage":"#,
    r#"{"input_tokens":92,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"#,
    r#""output_tokens":48}}"#
);

const CHAT: Parts = Parts {
    opening: concat!(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1753000000,"#,
        r#""model":"plain","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":"#,
        r#"{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#,
        "\n\n"
    ),
    event: concat!(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1753000000,"#,
        r#""model":"plain","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":"#,
        r#"{"content":" zqtick"},"logprobs":null,"finish_reason":null}]}"#,
        "\n\n"
    ),
    closing: concat!(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1753000000,"#,
        r#""model":"plain","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":{},"#,
        r#""logprobs":null,"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1753000000,"#,
        r#""model":"plain","system_fingerprint":"fp_bench","choices":[],"usage":"#,
        r#"{"prompt_tokens":92,"completion_tokens":200,"total_tokens":292}}"#,
        "\n\ndata: [DONE]\n\n"
    ),
};

const MESSAGES: Parts = Parts {
    opening: concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_bench","type":"message","#,
        r#""role":"assistant","model":"plain","content":[],"stop_reason":null,"#,
        r#""stop_sequence":null,"usage":{"input_tokens":92,"output_tokens":1}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":"#,
        r#"{"type":"text","text":""}}"#,
        "\n\n"
    ),
    event: concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"#,
        r#""delta":{"type":"text_delta","text":" zqtick"}}"#,
        "\n\n"
    ),
    closing: concat!(
        "event: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","#,
        r#""stop_sequence":null},"usage":{"output_tokens":200}}"#,
        "\n\nevent: message_stop\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n"
    ),
};
