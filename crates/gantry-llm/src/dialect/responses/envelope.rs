//! The response object around the output: what it says of itself, and what it repeats of the
//! request.

use super::usage;
use crate::dialect::json::{Json, Piece};
use crate::dialect::wire::{self, wire};
use crate::neutral::{Raw, StopReason};
use gantry_model::usage::TokenUsage;

wire! {
    /// What a response repeats.
    struct Repeated<'a> {
        may instructions: Raw<'a>,
        may max_output_tokens: Raw<'a>,
        may metadata: Raw<'a>,
        may parallel_tool_calls: Raw<'a>,
        may prompt_cache_key: Raw<'a>,
        may reasoning: Raw<'a>,
        may safety_identifier: Raw<'a>,
        may service_tier: Raw<'a>,
        may temperature: Raw<'a>,
        may text: Raw<'a>,
        may tool_choice: Raw<'a>,
        may tools: Raw<'a>,
        may top_p: Raw<'a>,
        may truncation: Raw<'a>,
        may user: Raw<'a>,
    }
}

/// What is longer is not repeated: a stream says all of it three times.
const REPEATED_BYTES_MAX: usize = 4096;

/// The members of a request that its response repeats, or their defaults; each has a comma behind.
pub(super) fn echo(body: &[u8]) -> String {
    let mut given = Repeated::default();
    // A request that cannot be read was refused before.
    if wire::parse_into(&mut given, body).is_err() {
        given = Repeated::default();
    }
    let mut echo = String::new();
    for (name, raw, default) in [
        ("instructions", given.instructions, "null"),
        ("max_output_tokens", given.max_output_tokens, "null"),
        ("metadata", given.metadata, "{}"),
        ("parallel_tool_calls", given.parallel_tool_calls, "true"),
        ("prompt_cache_key", given.prompt_cache_key, "null"),
        ("reasoning", given.reasoning, r#"{"effort":null,"summary":null}"#),
        ("safety_identifier", given.safety_identifier, "null"),
        ("service_tier", given.service_tier, r#""default""#),
        ("temperature", given.temperature, "1.0"),
        ("text", given.text, r#"{"format":{"type":"text"},"verbosity":"medium"}"#),
        ("tool_choice", given.tool_choice, r#""auto""#),
        ("tools", given.tools, "[]"),
        ("top_p", given.top_p, "1.0"),
        ("truncation", given.truncation, r#""disabled""#),
        ("user", given.user, "null"),
    ] {
        let given = raw.map(|raw| raw.get()).filter(|raw| raw.len() <= REPEATED_BYTES_MAX);
        echo.push_str(&format!("\"{name}\":{},", given.unwrap_or(default)));
    }
    echo
}

/// How a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    Completed,
    /// Cut off, and by what.
    Incomplete(&'static str),
}

impl State {
    /// Where a reason to stop leaves the response.
    pub(super) fn of(reason: StopReason) -> Self {
        match reason {
            StopReason::End
            | StopReason::StopSequence
            | StopReason::ToolUse
            | StopReason::Pause => Self::Completed,
            StopReason::MaxTokens | StopReason::ContextWindow => {
                Self::Incomplete("max_output_tokens")
            }
            StopReason::Refusal => Self::Incomplete("content_filter"),
        }
    }

    pub(super) fn status(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }

    /// Why the answer ended, for records.
    pub(super) fn finish_reason(self) -> &'static str {
        match self {
            Self::InProgress | Self::Completed => "completed",
            Self::Incomplete(why) => why,
        }
    }
}

/// What is known of a response from its beginning.
pub(super) struct Envelope<'a> {
    pub(super) request_id: &'a str,
    pub(super) model: &'a str,
    pub(super) created_s: u64,
    pub(super) echo: &'a str,
}

impl Envelope<'_> {
    /// Prints the object; `output` holds whole items and the commas between them.
    pub(super) fn print(
        &self,
        state: State,
        output: &[u8],
        tokens: Option<&TokenUsage>,
        json: &mut Json<'_>,
    ) {
        json.open(b'{');
        json.key("id");
        json.concat(["resp_", self.request_id].map(Piece::Str));
        json.run(r#","object":"response","created_at":"#);
        json.u64(self.created_s);
        json.member_str("status", state.status());
        json.run(r#","background":false,"error":null,"incomplete_details":"#);
        match state {
            State::Incomplete(why) => {
                json.open(b'{');
                json.member_str("reason", why);
                json.close(b'}');
            }
            State::InProgress | State::Completed => json.run("null"),
        }
        json.run(",");
        json.out.extend_from_slice(self.echo.as_bytes());
        json.run(r#""max_tool_calls":null,"model":"#);
        json.str(self.model);
        json.run(r#","output":["#);
        json.out.extend_from_slice(output);
        json.run(r#"],"previous_response_id":null,"store":false,"top_logprobs":0,"usage":"#);
        match tokens {
            Some(tokens) => usage::print(tokens, json),
            None => json.run("null"),
        }
        json.close(b'}');
    }
}
