//! Requests that both dialects can say survive the way there and back.

use crate::support::{ANTHROPIC, OPENAI, request};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Text that is more than whitespace, with all that JSON must escape.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zäß語😀\"\\\\\n\t/{}]{0,12}[a-z.]"
}

fn object() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!([1, null, {"x": []}])),
    ];
    proptest::collection::btree_map("[a-z]{1,4}", scalar, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>()))
}

/// A schema that strict modes of both dialects take.
fn schema() -> impl Strategy<Value = Value> {
    let names = proptest::collection::btree_map("[a-z]{1,4}", text(), 0..4);
    names.prop_map(|names| {
        let required: Vec<String> = names.keys().cloned().collect();
        let property = |(name, about)| (name, json!({"type": "string", "description": about}));
        let properties: Map<String, Value> = names.into_iter().map(property).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    })
}

fn user() -> impl Strategy<Value = Value> {
    let image = prop_oneof![
        Just("data:image/png;base64,iVBORw0KGgo=".to_owned()),
        "https://example.com/[a-z]{1,8}\\.png",
    ];
    let parts = (text(), image).prop_map(|(text, url)| {
        json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}])
    });
    prop_oneof![text().prop_map(Value::from), parts]
        .prop_map(|content| json!({"role": "user", "content": content}))
}

/// An assistant's turn, and the tool messages that answer its calls.
fn assistant() -> impl Strategy<Value = Vec<Value>> {
    let calls = proptest::collection::vec(("[a-z]{3}", "[a-z_]{2,8}", object(), text()), 1..4);
    let tools = (proptest::option::of(text()), calls).prop_map(|(content, calls)| {
        let mut turn = Vec::new();
        let calls: Vec<_> = calls.into_iter().enumerate().collect();
        let list: Vec<Value> = calls
            .iter()
            .map(|(index, (id, name, arguments, _))| {
                let function = json!({"name": name, "arguments": arguments.to_string()});
                json!({"id": format!("{id}{index}"), "type": "function", "function": function})
            })
            .collect();
        turn.push(json!({"role": "assistant", "content": content, "tool_calls": list}));
        for (index, (id, _, _, result)) in &calls {
            turn.push(json!({
                "role": "tool", "tool_call_id": format!("{id}{index}"), "content": result
            }));
        }
        turn
    });
    let plain = text().prop_map(|text| vec![json!({"role": "assistant", "content": text})]);
    prop_oneof![plain, tools]
}

prop_compose! {
    fn conversation()(
        system in proptest::option::of(text()),
        turns in proptest::collection::vec((user(), assistant()), 0..3),
        last in user(),
    ) -> Vec<Value> {
        let mut messages: Vec<Value> =
            system.map(|text| json!({"role": "system", "content": text})).into_iter().collect();
        for (user, mut assistant) in turns {
            // After tool messages a user's message would join the turn of the results and be
            // split from it again: the same messages, so it may stand there.
            messages.push(user);
            messages.append(&mut assistant);
        }
        messages.push(last);
        messages
    }
}

fn tool() -> impl Strategy<Value = Value> {
    ("[a-z_]{2,8}", proptest::option::of(text()), any::<bool>(), schema()).prop_map(
        |(name, about, strict, schema)| {
            let mut function = json!({"name": name});
            if let Some(about) = about {
                function["description"] = about.into();
            }
            function["parameters"] = schema;
            if strict {
                function["strict"] = true.into();
            }
            json!({"type": "function", "function": function})
        },
    )
}

fn choice(name: &Value) -> impl Strategy<Value = Option<Value>> + use<> {
    let named = json!({"type": "function", "function": {"name": name}});
    proptest::option::of(prop_oneof![
        Just(json!("auto")),
        Just(json!("none")),
        Just(json!("required")),
        Just(named),
    ])
}

fn tools() -> impl Strategy<Value = Option<(Value, Option<Value>)>> {
    let some = proptest::collection::vec(tool(), 1..3).prop_flat_map(|tools| {
        let choice = choice(&tools[0]["function"]["name"]);
        (Just(Value::Array(tools)), choice)
    });
    proptest::option::of(some)
}

prop_compose! {
    fn chat()(
        messages in conversation(),
        tools in tools(),
        max_tokens in 1_u64..100_000,
        temperature in proptest::option::of(0_u8..=10),
        stop in proptest::collection::vec("[a-z]{1,5}", 0..4),
        schema in proptest::option::of(schema()),
        user in proptest::option::of("[a-z]{1,60}"),
        tier in proptest::option::of(prop_oneof![Just("auto"), Just("default"), Just("fast")]),
        stream in any::<bool>(),
    ) -> Value {
        let mut chat = json!({"model": "upstream-model", "messages": messages});
        if let Some((tools, choice)) = tools {
            chat["tools"] = tools;
            if let Some(choice) = choice {
                chat["tool_choice"] = choice;
            }
        }
        chat["max_tokens"] = max_tokens.into();
        if let Some(tenths) = temperature {
            chat["temperature"] = (f64::from(tenths) / 10.0).into();
        }
        if !stop.is_empty() {
            chat["stop"] = stop.into();
        }
        if let Some(mut schema) = schema {
            // Where Messages have no field for the name, the title stands for it.
            schema["title"] = "answer".into();
            chat["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": true},
            });
        }
        if let Some(user) = user {
            chat["user"] = user.into();
        }
        if let Some(tier) = tier {
            chat["service_tier"] = tier.into();
        }
        if stream {
            chat["stream"] = true.into();
            chat["stream_options"] = json!({"include_usage": true});
        }
        chat
    }
}

proptest! {
    #[test]
    fn a_chat_survives_the_way_to_messages_and_back(chat in chat()) {
        let there = request(OPENAI, ANTHROPIC, &chat);
        prop_assert_eq!(&there.losses, &[]);
        let messages: Value = serde_json::from_slice(&there.body).unwrap();
        let back = request(ANTHROPIC, OPENAI, &messages);
        prop_assert_eq!(&back.losses, &[]);
        let found: Value = serde_json::from_slice(&back.body).unwrap();
        prop_assert_eq!(found, chat);
    }

    #[test]
    fn tool_results_come_first_and_answer_the_turn_before(chat in chat()) {
        let there = request(OPENAI, ANTHROPIC, &chat);
        let messages: Value = serde_json::from_slice(&there.body).unwrap();
        let messages = messages["messages"].as_array().unwrap();
        for pair in messages.windows(2) {
            prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
            let ids = |message: &Value, kind: &str, id: &str| -> Vec<Value> {
                let blocks = message["content"].as_array().cloned().unwrap_or_default();
                blocks.iter().filter(|b| b["type"] == kind).map(|b| b[id].clone()).collect()
            };
            let results = ids(&pair[1], "tool_result", "tool_use_id");
            prop_assert_eq!(&ids(&pair[0], "tool_use", "id"), &results);
            let first = pair[1]["content"].as_array().into_iter().flatten().take(results.len());
            prop_assert!(first.into_iter().all(|block| block["type"] == "tool_result"));
        }
    }
}
