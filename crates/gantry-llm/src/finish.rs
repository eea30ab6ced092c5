//! Why answers end: one table of the reasons that servers name, whatever their dialect.
//!
//! The observer judges replies by it, at the gate and in streams, and the readers of replies and
//! streams translate by it. Names are compared without case and punctuation, so that `MAX_TOKENS`,
//! `maxTokens` and `max-tokens` are one row. It never decides on retries.

use crate::neutral::StopReason;

/// What the name of a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The answer is there, whole or cut at a limit.
    Ends(StopReason),
    /// The provider kept the answer back, or the rest of it: an answer too.
    Filtered,
    /// The model or its server gave up: what came is no answer.
    Failed,
    /// The answer goes on: what some servers write in place of null.
    GoesOn,
    /// In no list.
    Unknown,
}

use Finish::{Ends, Failed, Filtered, GoesOn, Unknown};

/// Rows in lower case without punctuation. From the references and sources of OpenAI, Anthropic,
/// Gemini and Vertex, Bedrock, Cohere, Mistral, DeepSeek, Z.ai, Tencent, Baidu, OpenRouter,
/// watsonx, vLLM, SGLang, TGI, llama.cpp and Ollama.
const ROWS: &[(Finish, &[&str])] = &[
    (
        Ends(StopReason::End),
        &[
            "stop",
            "endturn",
            "complete",
            "completed",
            "finished",
            "normal",
            "eos",
            "eostoken",
            "endoftext",
            "endofturn",
            "stopped",
            "success",
        ],
    ),
    (Ends(StopReason::StopSequence), &["stopsequence", "stopsequencereached", "stopword"]),
    (
        Ends(StopReason::MaxTokens),
        &[
            "length",
            "maxtokens",
            "maxoutputtokens",
            "maxlength",
            "maximumtokens",
            "maxnewtokens",
            "tokenlimit",
            "toolong",
        ],
    ),
    (
        Ends(StopReason::ContextWindow),
        &["modellength", "modelcontextwindowexceeded", "contextlength", "errorlimit"],
    ),
    (
        Ends(StopReason::ToolUse),
        &["toolcalls", "toolcall", "tooluse", "functioncall", "functioncalls"],
    ),
    (Ends(StopReason::Pause), &["pauseturn", "compaction"]),
    (
        Filtered,
        &[
            "contentfilter",
            "contentfiltered",
            "refusal",
            "sensitive",
            "safety",
            "recitation",
            "language",
            "blocklist",
            "prohibitedcontent",
            "spii",
            "imagesafety",
            "imageprohibitedcontent",
            "imagerecitation",
            "modelarmor",
            "guardrail",
            "guardrailintervened",
            "guardrailsintervened",
            "errortoxic",
            "moderation",
            "blocked",
        ],
    ),
    (
        Failed,
        &[
            "error",
            "errored",
            "failed",
            "failure",
            "networkerror",
            "servererror",
            "internalerror",
            "internalservererror",
            "modelerror",
            "upstreamerror",
            "insufficientsystemresource",
            "overloaded",
            "engineoverloaded",
            "abort",
            "aborted",
            "cancel",
            "canceled",
            "cancelled",
            "usercancel",
            "usercancelled",
            "interrupted",
            "timeout",
            "timelimit",
            "preempted",
            "load",
            "unload",
            "repetition",
            "repetitiondetected",
            "malformedfunctioncall",
            "malformedtooluse",
            "malformedtoolcall",
            "malformedmodeloutput",
            "malformedresponse",
            "unexpectedtoolcall",
            "toomanytoolcalls",
            "missingthoughtsignature",
            "imageother",
            "noimage",
            "other",
        ],
    ),
    (GoesOn, &["", "null", "none", "notfinished", "unspecified"]),
];

/// What Google's enums may begin with.
const PREFIX: &str = "FINISH_REASON_";

/// What `reason` means.
pub(crate) fn of(reason: &str) -> Finish {
    let reason = reason.strip_prefix(PREFIX).unwrap_or(reason);
    let plain = || {
        let letters = reason.bytes().filter(u8::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase())
    };
    if reason.bytes().any(|byte| !byte.is_ascii()) {
        return Unknown;
    }
    let is = |name: &&str| plain().eq(name.bytes());
    let row = ROWS.iter().find(|(_, names)| names.iter().any(|name| is(&name)));
    row.map_or(Unknown, |(finish, _)| *finish)
}

/// Whether an answer that ended for `reason` is none; `said` says whether it holds anything. A
/// reason that nobody knows is believed only where there is an answer beside it.
pub(crate) fn fails(reason: &str, said: bool) -> bool {
    match of(reason) {
        Failed => true,
        Unknown => !said,
        Ends(_) | Filtered | GoesOn => false,
    }
}

/// Whether `reason` says that the answer ended, as `null` in a string does not.
pub(crate) fn ends(reason: &str) -> bool {
    of(reason) != GoesOn
}

/// Says so, for callers and records.
pub(crate) fn sentence(reason: &str) -> String {
    /// Longer names, in characters, are cut.
    const CHARS_MAX: usize = 64;
    let reason: String = reason.chars().take(CHARS_MAX).collect();
    format!("the model gave no answer: it ended with `{reason}`")
}

#[cfg(test)]
mod tests {
    use super::{Ends, Failed, Filtered, GoesOn, ROWS, Unknown, fails, of};
    use crate::neutral::StopReason;
    use std::collections::HashSet;

    #[test]
    fn a_reason_means_the_same_however_it_is_spelled() {
        let cases = [
            ("stop", Ends(StopReason::End)),
            ("STOP", Ends(StopReason::End)),
            ("end_turn", Ends(StopReason::End)),
            ("COMPLETE", Ends(StopReason::End)),
            ("eos_token", Ends(StopReason::End)),
            ("length", Ends(StopReason::MaxTokens)),
            ("MAX_TOKENS", Ends(StopReason::MaxTokens)),
            ("maxTokens", Ends(StopReason::MaxTokens)),
            ("FINISH_REASON_MAX_TOKENS", Ends(StopReason::MaxTokens)),
            ("model_context_window_exceeded", Ends(StopReason::ContextWindow)),
            ("tool_calls", Ends(StopReason::ToolUse)),
            ("stop_sequence", Ends(StopReason::StopSequence)),
            ("content_filter", Filtered),
            ("sensitive", Filtered),
            ("SAFETY", Filtered),
            ("PROHIBITED_CONTENT", Filtered),
            ("guardrail_intervened", Filtered),
            ("error", Failed),
            ("insufficient_system_resource", Failed),
            ("network_error", Failed),
            ("abort", Failed),
            ("malformed_function_call", Failed),
            ("MALFORMED_FUNCTION_CALL", Failed),
            ("OTHER", Failed),
            ("null", GoesOn),
            ("FINISH_REASON_UNSPECIFIED", GoesOn),
            ("vibes", Unknown),
            ("stöp", Unknown),
        ];
        for (reason, expected) in cases {
            assert_eq!(of(reason), expected, "{reason}");
        }
    }

    #[test]
    fn every_row_is_plain_and_stands_once() {
        let mut seen = HashSet::new();
        for (_, names) in ROWS {
            for name in *names {
                assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
                assert!(seen.insert(*name), "{name} twice");
            }
        }
    }

    #[test]
    fn an_unknown_reason_fails_only_without_an_answer() {
        for (reason, said, expected) in [
            ("vibes", false, true),
            ("vibes", true, false),
            ("error", true, true),
            ("stop", false, false),
            ("SAFETY", false, false),
        ] {
            assert_eq!(fails(reason, said), expected, "{reason} {said}");
        }
    }
}
