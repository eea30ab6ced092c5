//! The requests that are sent, written out before the load starts, and what proves an answer.
//!
//! Used by the driver, and by the mock upstream for the markers. It never builds anything per
//! request.

use crate::spec::Case;

/// Stands once in each answer that is not streamed and once in each stream event with content.
pub(crate) const MARKER: &[u8] = b"zqtick";
/// Events with content of the `ticks` stream and of the `slow` one.
pub(crate) const TICKS: u64 = 200;
pub(crate) const SLOW_TICKS: u64 = 40;
/// Length of the long prompt, in bytes.
pub(crate) const UPLOAD_BYTES: usize = 1 << 20;

/// The token that `cargo xtask bench` gives to Gantry. Other proxies get and ignore it.
const TOKEN: &str = "tfy_bench";

/// A request as bytes, and what its answer must hold.
pub(crate) struct Prepared {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What a right answer holds beside status 200.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// How often [`MARKER`] occurs.
    pub(crate) markers: u64,
    /// What occurs once, at the end of an answer that was not cut short.
    pub(crate) ending: &'static [u8],
    /// Whether the markers are stream events.
    pub(crate) streamed: bool,
}

/// Builds the request of `case`.
pub(crate) fn prepare(case: Case) -> Prepared {
    let prompt = match case {
        Case::Upload => long_prompt(),
        Case::Plain
        | Case::Ticks
        | Case::Slow
        | Case::ChatToMessages
        | Case::ChatToMessagesTicks
        | Case::MessagesToChat
        | Case::MessagesToChatTicks => PROMPT.to_owned(),
    };
    let (model, expect) = model_and_answer(case);
    let bytes = match case {
        Case::MessagesToChat | Case::MessagesToChatTicks => messages(model, &prompt, expect),
        Case::Plain
        | Case::Upload
        | Case::Ticks
        | Case::Slow
        | Case::ChatToMessages
        | Case::ChatToMessagesTicks => chat(model, &prompt, expect),
    };
    Prepared { bytes, expect }
}

fn model_and_answer(case: Case) -> (&'static str, Expect) {
    let whole = Expect { markers: 1, ending: b"\"usage\"", streamed: false };
    let done = |markers| Expect { markers, ending: b"data: [DONE]", streamed: true };
    let stop = Expect { markers: TICKS, ending: b"event: message_stop", streamed: true };
    match case {
        Case::Plain | Case::MessagesToChat => ("bench/plain", whole),
        Case::Upload => ("bench/upload", whole),
        Case::Ticks => ("bench/ticks", done(TICKS)),
        Case::Slow => ("bench/slow", done(SLOW_TICKS)),
        Case::ChatToMessages => ("bench/claude", whole),
        Case::ChatToMessagesTicks => ("bench/claude-ticks", done(TICKS)),
        Case::MessagesToChatTicks => ("bench/ticks", stop),
    }
}

const SYSTEM: &str = "You are the assistant of a software company. Answer in plain sentences, \
    name the files that you refer to, and say so when you do not know.";
const PROMPT: &str = "Our build takes nine minutes on the small runners and four on the large \
    ones. Most of it is the linking of the test binaries. Which three measures would you try \
    first, in which order, and how would we see after a week whether they helped?";

/// Source code, which is what coding agents send: quotes, tabs and line breaks all over.
fn long_prompt() -> String {
    const LINES: &str = concat!(
        r"func (s *Store) Open(name string) (*File, error) {\n",
        r"\tf, err := os.Open(filepath.Join(s.root, name))\n\tif err != nil {\n",
        r#"\t\treturn nil, fmt.Errorf(\"open %q: %w\\n\", name, err)\n\t}\n"#,
        r"\treturn &File{f, s}, nil\n}\n\n",
    );
    LINES.repeat(UPLOAD_BYTES / LINES.len() + 1)
}

fn chat(model: &str, prompt: &str, expect: Expect) -> Vec<u8> {
    let stream = if expect.streamed {
        ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"
    } else {
        ""
    };
    let body = format!(
        "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"system\",\"content\":\"{SYSTEM}\"}},\
         {{\"role\":\"user\",\"content\":\"{prompt}\"}}],\"temperature\":0.2,\"max_tokens\":256\
         {stream}}}"
    );
    post("/v1/chat/completions", "", &body)
}

fn messages(model: &str, prompt: &str, expect: Expect) -> Vec<u8> {
    let stream = if expect.streamed { ",\"stream\":true" } else { "" };
    let body = format!(
        "{{\"model\":\"{model}\",\"max_tokens\":256,\"system\":\"{SYSTEM}\",\"messages\":[\
         {{\"role\":\"user\",\"content\":\"{prompt}\"}}],\"temperature\":0.2{stream}}}"
    );
    post("/v1/messages", "anthropic-version: 2023-06-01\r\n", &body)
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench.test\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\naccept: application/json\r\n\
         user-agent: gantry-bench\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
