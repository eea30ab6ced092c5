//! The last event of a stream whose body ends in good order but without a blank line: it counts
//! when its data is whole, in every dialect, framing and translation.

use crate::harness::{Harness, chat_stream, messages, text};
use gantry_model::record::RequestRecord;
use gantry_runtime::tasks::spawn;
use gantry_testkit::snapshot::{anthropic, openai, source};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Chunked,
    Close,
}

/// What the last event is, all after a first token but for `ErrorAlone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    ErrorAlone,
    Error,
    Content,
    End,
    /// Cut off inside of its JSON.
    Torn,
}

const LASTS: [Last; 5] = [Last::ErrorAlone, Last::Error, Last::Content, Last::End, Last::Torn];

/// Events before the last one, and the last one without its blank line.
fn openai_stream(last: Last) -> (String, &'static str) {
    let delta = r#"data: {"choices":[{"index":0,"delta":{"content":"early"}}]}"#;
    let stop = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    match last {
        Last::ErrorAlone | Last::Error => {
            let before = if last == Last::Error { format!("{delta}\n\n") } else { String::new() };
            (before, r#"data: {"error":{"message":"overheated","type":"server_error"}}"#)
        }
        Last::Content => (
            format!("{delta}\n\n"),
            r#"data: {"choices":[{"index":0,"delta":{"content":"late"}}]}"#,
        ),
        Last::End => (format!("{delta}\n\n{stop}\n\n"), "data: [DONE]"),
        Last::Torn => (format!("{delta}\n\n"), r#"data: {"choices":[{"index":0,"delta":{"cont"#),
    }
}

fn anthropic_stream(last: Last) -> (String, &'static str) {
    let start = r#"data: {"type":"message_start","message":{"usage":{"input_tokens":3}}}"#;
    let open = "data: {\"type\":\"content_block_start\",\"index\":0,\
        \"content_block\":{\"type\":\"text\",\"text\":\"\"}}";
    let delta = "data: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\"early\"}}";
    let close = r#"data: {"type":"content_block_stop","index":0}"#;
    let stop = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
        \"usage\":{\"output_tokens\":2}}";
    let early = format!("{start}\n\n{open}\n\n{delta}\n\n");
    match last {
        Last::ErrorAlone | Last::Error => {
            let error = "event: error\ndata: \
                {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"overheated\"}}";
            (if last == Last::Error { early } else { format!("{start}\n\n") }, error)
        }
        Last::Content => (
            early,
            "data: {\"type\":\"content_block_delta\",\"index\":0,\
                \"delta\":{\"type\":\"text_delta\",\"text\":\"late\"}}",
        ),
        Last::End => (
            format!("{early}{close}\n\n{stop}\n\n"),
            "event: message_stop\ndata: {\"type\":\"message_stop\"}",
        ),
        Last::Torn => (early, r#"data: {"type":"content_block_delta","index":0,"del"#),
    }
}

/// An upstream that answers every request with this body and closes.
async fn upstream(body: String, framing: Framing) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (field, body) = match framing {
        Framing::Close => ("connection: close", body),
        Framing::Chunked => {
            ("transfer-encoding: chunked", format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
        }
    };
    let reply =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{field}\r\n\r\n{body}");
    spawn("upstream", async move {
        while let Ok((connection, _)) = listener.accept().await {
            answer(connection, &reply).await;
        }
    });
    address
}

/// Reads a request with its body, whose length is declared, and answers.
async fn answer(mut connection: TcpStream, reply: &str) {
    let (mut request, mut room) = (String::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut room).await.unwrap();
        request.push_str(std::str::from_utf8(&room[..count]).unwrap());
        let whole = request.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            body.len() >= length.unwrap_or(0)
        });
        if whole || count == 0 {
            break;
        }
    }
    connection.write_all(reply.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
}

/// One stream through a gateway: status, text and record.
async fn stream(
    account: &str,
    path: &str,
    last: Last,
    framing: Framing,
) -> (u16, String, RequestRecord) {
    let (before, end) = match account {
        "gpt" => openai_stream(last),
        _ => anthropic_stream(last),
    };
    let address = upstream(format!("{before}{end}"), framing).await;
    let url = format!("http://{address}");
    let entries =
        [openai("gpt", &url, &["m"]).unwrap(), anthropic("claude", &url, &["m"]).unwrap()];
    let gateway = Harness::start(source(&entries).unwrap()).await;
    let model = format!("{account}/m");
    let body = match path {
        "/v1/messages" => messages(&model, true),
        _ => chat_stream(&model),
    };
    let retry = [("x-tfy-retry-config", r#"{"attempts":0}"#)];
    let answer = gateway.send(http::Method::POST, path, &body, &retry).await;
    (answer.status.as_u16(), text(&answer), gateway.record())
}

#[tokio::test]
async fn the_last_event_without_a_blank_line_counts_when_its_data_is_whole() {
    let paths = ["/v1/chat/completions", "/v1/messages"];
    for (account, path, framing) in ["gpt", "claude"].into_iter().flat_map(|account| {
        let framings = [Framing::Chunked, Framing::Close];
        paths.into_iter().flat_map(move |path| framings.map(|framing| (account, path, framing)))
    }) {
        for last in LASTS {
            let what = format!("{account} {path} {framing:?} {last:?}");
            let (status, text, record) = stream(account, path, last, framing).await;
            let outcome = record.attempts.last().unwrap().outcome.as_ref();
            let mark = match path {
                "/v1/messages" => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                _ => "data: [DONE]\n\n",
            };
            let expected = match last {
                Last::ErrorAlone | Last::Error => "stream_error",
                Last::Content | Last::Torn => "reset",
                Last::End => "ok",
            };
            assert_eq!(outcome, expected, "{what}: {text}");
            assert_eq!(status == 200, last != Last::ErrorAlone, "{what}: {text}");
            assert_eq!(text.contains("early"), last != Last::ErrorAlone, "{what}: {text}");
            assert_eq!(text.contains("late"), last == Last::Content, "{what}: {text}");
            assert_eq!(text.ends_with(mark), last == Last::End, "{what}: {text}");
            let told = matches!(last, Last::ErrorAlone | Last::Error);
            assert_eq!(text.contains("overheated"), told, "{what}: {text}");
            if last != Last::ErrorAlone {
                assert!(text.ends_with("\n\n"), "{what}: {text:?}");
            }
        }
    }
}
