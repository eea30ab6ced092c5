//! Output hooks see every reply on its one way out: whole or streamed, forwarded or translated.

use crate::harness::{Harness, Setup, chat, chat_stream, messages, text};
use gantry_gateway::NewScreen;
use gantry_llm::screen::{Screen, Verdict};
use gantry_testkit::snapshot::{anthropic, openai, source};
use gantry_testkit::{Answer, MockUpstream, Step};
use std::sync::Arc;

/// Stars out a word, or stops at it.
#[derive(Clone, Copy, Debug)]
enum Word {
    Starred,
    Stopped,
    /// Looks and lets pass.
    Seen,
}

impl Screen for Word {
    fn edits(&self) -> bool {
        matches!(self, Self::Starred)
    }

    fn text(&mut self, text: &str) -> Verdict {
        match (text.contains("secret"), *self) {
            (true, Self::Starred) => Verdict::Replace(text.replace("secret", "******")),
            (true, Self::Stopped) => Verdict::Block("the reply held a secret".to_owned()),
            (false, _) | (true, Self::Seen) => Verdict::Pass,
        }
    }
}

async fn gateway(mock: &MockUpstream, word: Option<Word>) -> Harness {
    let entries = [
        openai("gpt", &mock.url(), &["m"]).unwrap(),
        anthropic("claude", &mock.url(), &["m"]).unwrap(),
    ];
    let new = |word| Arc::new(move || Box::new(word) as Box<dyn Screen>) as NewScreen;
    let hooks = word.map(new).into_iter().collect();
    Harness::set_up(source(&entries).unwrap(), Setup { hooks, ..Setup::default() }).await
}

/// Every way of a reply: path, body, whether it is streamed.
fn ways() -> Vec<(&'static str, String, bool)> {
    let mut ways = Vec::new();
    for model in ["gpt/m", "claude/m"] {
        ways.push(("/v1/chat/completions", chat(model), false));
        ways.push(("/v1/chat/completions", chat_stream(model), true));
        ways.push(("/v1/messages", messages(model, false), false));
        ways.push(("/v1/messages", messages(model, true), true));
    }
    ways
}

fn says(pieces: &[&str]) -> Step {
    let text = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    Step::Answer(Answer { text, ..Answer::default() })
}

#[tokio::test]
async fn a_changed_text_is_printed_on_every_way() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Some(Word::Starred)).await;
    mock.always(says(&["so a ", "secret", " is told"]));
    for (path, body, _) in ways() {
        let answer = gateway.post(path, &body).await;
        let shown = text(&answer);
        assert_eq!(answer.status, 200, "{path} {body}: {shown}");
        assert!(shown.contains("******") && !shown.contains("secret"), "{path} {body}: {shown}");
        assert!(shown.contains(" is told"), "{path} {body}: {shown}");
        let record = gateway.records().pop().unwrap();
        assert!(record.usage.output > 0 && !record.usage_estimated, "{path} {body}: {record:#?}");
        assert!(!record.finish_reason.is_empty(), "{path} {body}: {record:#?}");
    }
}

#[tokio::test]
async fn a_stopped_reply_is_refused_or_ends_in_an_error_and_is_charged() {
    let mock = MockUpstream::start().await.unwrap();
    let gateway = gateway(&mock, Some(Word::Stopped)).await;
    for (late, pieces) in [(false, ["secret ", "is told"]), (true, ["so a ", "secret"])] {
        mock.always(says(&pieces));
        for (path, body, streamed) in ways() {
            let answer = gateway.post(path, &body).await;
            let shown = text(&answer);
            let begun = streamed && late;
            assert_eq!(answer.status, if begun { 200 } else { 400 }, "{path} {body}: {shown}");
            assert!(shown.contains("the reply held a secret"), "{path} {body}: {shown}");
            assert!(!shown.contains("secret is"), "{path} {body}: {shown}");
            let record = gateway.records().pop().unwrap();
            assert_eq!((record.refusal.as_ref(), record.fault.as_ref()), ("blocked", "caller"));
            assert!(record.usage.input > 0, "the upstream bills it: {path} {body}: {record:#?}");
        }
    }
}

#[tokio::test]
async fn a_screen_that_only_looks_leaves_the_upstreams_own_bytes() {
    let mock = MockUpstream::start().await.unwrap();
    let (plain, screened) = (gateway(&mock, None).await, gateway(&mock, Some(Word::Seen)).await);
    mock.always(says(&["so a ", "secret"]));
    for (model, path) in [("gpt/m", "/v1/chat/completions"), ("claude/m", "/v1/messages")] {
        for body in [messages(model, false), messages(model, true)] {
            let expected = text(&plain.post(path, &body).await);
            assert!(expected.contains("secret"), "{expected}");
            assert_eq!(text(&screened.post(path, &body).await), expected, "{path} {body}");
        }
    }
}
