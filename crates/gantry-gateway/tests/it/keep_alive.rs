//! What an upstream sends to keep a stream alive reaches the caller, in the caller's own dialect.

use crate::harness::Harness;
use crate::held::{self, STREAM_HEAD, ask, until};
use gantry_testkit::snapshot::{anthropic, openai, source};

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const COMMENT: &str = ": still here\n\n";

/// The beginning of a stream, up to its first token.
fn beginning(account: &str) -> &'static str {
    match account {
        "gpt" => "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"early\"}}]}\n\n",
        _ => concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"early\"}}\n\n",
        ),
    }
}

#[tokio::test]
async fn comments_and_pings_reach_the_caller_in_every_dialect_and_shape() {
    let strict = "x-tfy-strict-openai: true\r\n";
    let (chat, messages) = ("/v1/chat/completions", "/v1/messages");
    let ours = ": keep-alive\n\n";
    let our_ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    // The upstream's dialect and what it sends; the caller's, its header, and what it gets.
    for (account, sent, path, lines, got) in [
        ("gpt", COMMENT, chat, "", COMMENT),
        ("gpt", COMMENT, chat, strict, COMMENT),
        ("gpt", COMMENT, messages, "", our_ping),
        ("claude", PING, chat, "", ours),
        ("claude", PING, chat, strict, ours),
        ("claude", COMMENT, chat, "", ours),
        ("claude", PING, messages, "", PING),
        ("claude", COMMENT, messages, "", COMMENT),
    ] {
        let (url, pieces) = held::upstream().await;
        let accounts =
            [openai("gpt", &url, &["m"]).unwrap(), anthropic("claude", &url, &["m"]).unwrap()];
        let gateway = Harness::start(source(&accounts).unwrap()).await;
        let mut connection = ask(&gateway, path, &format!("{account}/m"), lines).await;
        let first = format!("{STREAM_HEAD}{}", beginning(account));
        pieces.send(Some(first)).await.unwrap();
        let text = until(&mut connection, "early", 1).await;
        assert!(!text.contains(got), "{account} {path} {sent}: {text}");
        for _ in 0..2 {
            pieces.send(Some(sent.to_owned())).await.unwrap();
            let text = until(&mut connection, got, 1).await;
            assert!(text.contains(got), "{account} {path} {sent}: {text}");
        }
    }
}

#[tokio::test]
async fn a_chunk_on_several_lines_reaches_the_caller_whole() {
    let lines = concat!(
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":\ndata:{\"content\":\"whole\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\n",
        "data: \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n",
        "data: [DONE]\n\n"
    );
    for (path, header) in [
        ("/v1/chat/completions", ""),
        ("/v1/chat/completions", "x-tfy-strict-openai: true\r\n"),
        ("/v1/chat/completions", "x-tfy-strict-openai: false\r\n"),
        ("/v1/messages", ""),
    ] {
        let (url, pieces) = held::upstream().await;
        let gateway =
            Harness::start(source(&[openai("gpt", &url, &["m"]).unwrap()]).unwrap()).await;
        let mut connection = ask(&gateway, path, "gpt/m", header).await;
        // The usage comes with the same read as the rest, so that it has to be taken out of it.
        pieces.send(Some(format!("{STREAM_HEAD}{lines}"))).await.unwrap();
        pieces.send(None).await.unwrap();
        let text = until(&mut connection, "\r\n0\r\n\r\n", 1).await;
        let events = text.split_once("\r\n\r\n").unwrap().1;
        let data: Vec<_> = gantry_llm::sse::events(events.as_bytes())
            .map(|event| String::from_utf8(event.data.to_vec()).unwrap())
            .collect();
        assert!(data.iter().any(|data| data.contains("whole")), "{path} {header}: {text}");
        let usage = data.iter().any(|data| data.contains("prompt_tokens"));
        assert!(!usage, "nobody asked for it: {path} {header}: {text}");
        for data in data.iter().filter(|data| *data != "[DONE]") {
            assert!(serde_json::from_str::<serde_json::Value>(data).is_ok(), "{path}: {data}");
        }
        assert_eq!(gateway.record().usage.input, 3);
    }
}
