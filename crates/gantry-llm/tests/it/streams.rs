//! A translated stream, put together again, is the translated whole reply, however the upstream
//! cut it into events.

use crate::support::{ANTHROPIC, OPENAI, join_chat, join_message, reply, stream};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// What a reply says, to be written in either dialect.
#[derive(Clone, Debug)]
struct Said {
    thinking: Option<String>,
    text: Option<String>,
    calls: Vec<(String, Value)>,
    stop: usize,
    usage: (u64, u64, u64),
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zäß語😀\"\\\\\n/{} ]{1,20}"
}

prop_compose! {
    fn said()(
        thinking in proptest::option::of(text()),
        text in proptest::option::of(text()),
        calls in proptest::collection::vec(("[a-z]{2,6}", text(), any::<bool>()), 0..4),
        stop in 0_usize..3,
        // Zeros alone say nothing, and then the count that a stream begins with stands.
        usage in (0_u64..1000, 0_u64..1000, 1_u64..1000),
    ) -> Said {
        let calls = calls.into_iter().map(|(name, text, empty)| {
            (name, if empty { json!({}) } else { json!({"q": text}) })
        });
        Said { thinking, text, calls: calls.collect(), stop, usage }
    }
}

/// Cuts a text into pieces at char boundaries.
fn cut(text: &str, cuts: &[Index]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut at: Vec<usize> = cuts.iter().map(|index| index.index(chars.len() + 1)).collect();
    at.extend([0, chars.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| chars[pair[0]..pair[1]].iter().collect()).collect()
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    proptest::collection::vec(any::<Index>(), 0..5)
}

impl Said {
    fn chat_usage(&self) -> Value {
        let (fresh, cached, output) = self.usage;
        json!({
            "prompt_tokens": fresh + cached, "completion_tokens": output,
            "prompt_tokens_details": {"cached_tokens": cached}
        })
    }

    fn finish(&self) -> &'static str {
        if self.calls.is_empty() {
            ["stop", "length", "content_filter"][self.stop]
        } else {
            "tool_calls"
        }
    }

    fn completion(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if let Some(text) = &self.thinking {
            message["reasoning_content"] = text.clone().into();
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().enumerate().map(|(index, (name, arguments))| {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                json!({"id": format!("call_{index}"), "type": "function", "function": function})
            });
            message["tool_calls"] = calls.collect();
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish()});
        json!({"choices": [choice], "usage": self.chat_usage()})
    }

    fn chunks(&self, cuts: &[Index], interleave: bool) -> Vec<Value> {
        let chunk = |delta: Value, finish: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
            json!({"choices": [choice]})
        };
        let mut list = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        for (key, text) in [("reasoning_content", &self.thinking), ("content", &self.text)] {
            for piece in text.iter().flat_map(|text| cut(text, cuts)) {
                list.push(chunk(json!({key: piece}), Value::Null));
            }
        }
        let mut fragments: Vec<(usize, usize, Value)> = Vec::new();
        for (index, (name, arguments)) in self.calls.iter().enumerate() {
            fragments.push((
                0,
                index,
                json!({
                    "index": index, "id": format!("call_{index}"), "type": "function",
                    "function": {"name": name, "arguments": ""}
                }),
            ));
            for (step, piece) in cut(&arguments.to_string(), cuts).into_iter().enumerate() {
                let function = json!({"arguments": piece});
                fragments.push((step + 1, index, json!({"index": index, "function": function})));
            }
        }
        if interleave {
            fragments.sort_by_key(|(step, index, _)| (*step, *index));
        }
        for (_, _, fragment) in fragments {
            list.push(chunk(json!({"tool_calls": [fragment]}), Value::Null));
        }
        list.push(chunk(json!({}), self.finish().into()));
        list.push(json!({"choices": [], "usage": self.chat_usage()}));
        list
    }

    fn stop_reason(&self) -> &'static str {
        if self.calls.is_empty() {
            ["end_turn", "max_tokens", "refusal"][self.stop]
        } else {
            "tool_use"
        }
    }

    fn blocks(&self) -> Vec<Value> {
        let mut blocks = Vec::new();
        if let Some(text) = &self.thinking {
            blocks.push(json!({"type": "thinking", "thinking": text, "signature": "c2ln"}));
            blocks.push(json!({"type": "redacted_thinking", "data": "cmVk"}));
        }
        blocks.extend(self.text.iter().map(|text| json!({"type": "text", "text": text})));
        for (index, (name, input)) in self.calls.iter().enumerate() {
            let id = format!("toolu_{index}");
            blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
        }
        blocks
    }

    fn message_usage(&self) -> Value {
        let (fresh, cached, output) = self.usage;
        json!({"input_tokens": fresh, "cache_read_input_tokens": cached, "output_tokens": output})
    }

    fn message(&self) -> Value {
        json!({
            "type": "message", "role": "assistant", "content": self.blocks(),
            "stop_reason": self.stop_reason(), "stop_sequence": null, "usage": self.message_usage()
        })
    }

    fn message_events(&self, cuts: &[Index]) -> Vec<Value> {
        let (fresh, cached, output) = self.usage;
        let usage =
            json!({"input_tokens": fresh, "cache_read_input_tokens": cached, "output_tokens": 1});
        let mut list = vec![json!({"type": "message_start", "message": {"usage": usage}})];
        for (index, block) in self.blocks().into_iter().enumerate() {
            list.extend(block_events(index, block, cuts));
            list.push(json!({"type": "ping"}));
        }
        list.push(json!({
            "type": "message_delta", "usage": {"output_tokens": output},
            "delta": {"stop_reason": self.stop_reason(), "stop_sequence": null}
        }));
        list.push(json!({"type": "message_stop"}));
        list
    }
}

fn block_events(index: usize, block: Value, cuts: &[Index]) -> Vec<Value> {
    let (mut start, mut deltas) = (block.clone(), Vec::new());
    let mut pieces = |kind: &str, key: &str, text: &str| {
        for piece in cut(text, cuts) {
            deltas.push(json!({"type": kind, key: piece}));
        }
    };
    match block["type"].as_str().unwrap() {
        "text" => {
            pieces("text_delta", "text", block["text"].as_str().unwrap());
            start["text"] = "".into();
        }
        "thinking" => {
            pieces("thinking_delta", "thinking", block["thinking"].as_str().unwrap());
            pieces("signature_delta", "signature", block["signature"].as_str().unwrap());
            start["thinking"] = "".into();
            start["signature"] = "".into();
        }
        "tool_use" => {
            // An empty input is said by no fragments at all.
            if block["input"] != json!({}) {
                pieces("input_json_delta", "partial_json", &block["input"].to_string());
            }
            start["input"] = json!({});
        }
        _ => {}
    }
    let mut list =
        vec![json!({"type": "content_block_start", "index": index, "content_block": start})];
    list.extend(
        deltas
            .into_iter()
            .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
    );
    list.push(json!({"type": "content_block_stop", "index": index}));
    list
}

proptest! {
    #[test]
    fn a_streamed_message_joins_to_the_whole_completion(said in said(), cuts in cuts()) {
        let whole = reply(ANTHROPIC, OPENAI, &said.message());
        let mut whole: Value = serde_json::from_slice(&whole.body).unwrap();
        let joined = join_chat(&stream(ANTHROPIC, OPENAI, &said.message_events(&cuts)).unwrap());
        // A stream always begins with empty content; without text the whole reply says null.
        let message = whole["choices"][0]["message"].as_object_mut().unwrap();
        message.retain(|key, value| key == "content" || !value.is_null());
        if message["content"].is_null() {
            message["content"] = "".into();
        }
        prop_assert_eq!(&joined["message"], &whole["choices"][0]["message"]);
        prop_assert_eq!(&joined["finish_reason"], &whole["choices"][0]["finish_reason"]);
        prop_assert_eq!(&joined["usage"], &whole["usage"]);
    }

    #[test]
    fn a_streamed_completion_joins_to_the_whole_message(
        said in said(), cuts in cuts(), interleave in any::<bool>(),
    ) {
        let whole = reply(OPENAI, ANTHROPIC, &said.completion());
        let whole: Value = serde_json::from_slice(&whole.body).unwrap();
        let chunks = said.chunks(&cuts, interleave);
        let joined = join_message(&stream(OPENAI, ANTHROPIC, &chunks).unwrap());
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn a_stream_cut_short_is_an_error(said in said(), cuts in cuts(), at in any::<Index>()) {
        let mut events = said.message_events(&cuts);
        events.truncate(at.index(events.len()));
        prop_assert!(stream(ANTHROPIC, OPENAI, &events).is_err());
    }
}
