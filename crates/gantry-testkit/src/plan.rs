//! From a step and a request to the bytes, pauses and cuts of the reply.

use crate::call::{Call, Operation};
use crate::print;
use crate::step::{Act, Answer, Fault, Place, Raw, Retry, Step};
use bytes::Bytes;

/// Stream events before a fault in mid-stream: with them the first content has been sent, in
/// OpenAI's dialect (role, two texts) and, at one more, in Anthropic's (start, ping, block, text).
const EVENTS_BEFORE: usize = 3;

pub(crate) fn plan(step: Step, call: &Call) -> Raw {
    match step {
        Step::Raw(raw) => raw,
        Step::Answer(answer) => whole(call, print::answer(call, &answer)),
        Step::Fault(fault) => faulty(fault, call),
    }
}

/// What the mock says without a step: the usual reply, or why there is none.
pub(crate) fn usual(call: &Call) -> Raw {
    if call.lacks_version || call.operation == Operation::Unknown {
        return refusal(call, 404, "Resource not found");
    }
    if call.malformed {
        return refusal(call, 400, "We could not parse the JSON body of your request.");
    }
    if !Step::is_name(&call.model) {
        return plan(Step::Answer(Answer::default()), call);
    }
    match Step::from_name(&call.model) {
        Ok(step) => plan(step, call),
        Err(unknown) => refusal(call, 404, &unknown.to_string()),
    }
}

fn refusal(call: &Call, status: u16, message: &str) -> Raw {
    let body = print::error(call.operation, status, message);
    Raw { status, ..json_reply(body.into()) }
}

fn faulty(fault: Fault, call: &Call) -> Raw {
    let answer = match fault {
        Fault::Drip { .. } | Fault::SplitBytes => Answer::unicode(),
        _ => Answer::default(),
    };
    let parts = print::answer(call, &answer);
    match fault {
        Fault::Status { code, retry } => {
            let mut raw = refusal(call, code, "the mock fails on purpose");
            match retry {
                Retry::Unsaid => {}
                Retry::Seconds(time) => raw.headers.push(header("retry-after", time)),
                Retry::Millis(time) => raw.headers.push(header("retry-after-ms", time)),
            }
            raw
        }
        Fault::Cut { at, reset } => {
            interrupted(call, parts, at, &[if reset { Act::Reset } else { Act::Close }])
        }
        Fault::Pause { at, time: Some(time) } => interrupted(call, parts, at, &[Act::Wait(time)]),
        Fault::Pause { at, time: None } => interrupted(call, parts, at, &[Act::Stall]),
        Fault::Error { later } => error_in_200(call, parts, later),
        Fault::Empty => Raw { body: Vec::new(), ..whole(call, vec![Bytes::new()]) },
        Fault::Malformed => malformed(call, parts),
        Fault::Html => {
            let page = "<!doctype html><html><body>It works!</body></html>";
            let mut raw = json_reply(page.into());
            raw.headers = vec![header("content-type", "text/html")];
            raw
        }
        Fault::Drip { pause } => {
            let act = |byte| [Act::Send(byte), Act::Wait(pause)];
            Raw { body: bytes_of(&parts).flat_map(act).collect(), ..whole(call, parts.clone()) }
        }
        Fault::SplitBytes => {
            let body = bytes_of(&parts).map(Act::Send).collect();
            Raw { body, ..whole(call, parts.clone()) }
        }
        Fault::ShortLength => {
            let length = 100 + parts.iter().map(Bytes::len).sum::<usize>();
            let mut raw = whole(call, parts);
            raw.headers.retain(|(name, _)| name != "content-length");
            raw.headers.push(header("content-length", length));
            raw.body.push(Act::Close);
            raw
        }
        Fault::Huge { mib } => huge(call, parts, mib << 20),
        Fault::NoEnd => {
            let kept = parts.len().saturating_sub(usize::from(print::streams(call)));
            whole(call, parts.into_iter().take(kept).collect())
        }
        Fault::EndMidStream => {
            let kept = if print::streams(call) { events_before(call) } else { 1 };
            whole(call, parts.into_iter().take(kept).collect())
        }
    }
}

/// The reply with its right headers and these parts.
fn whole(call: &Call, parts: Vec<Bytes>) -> Raw {
    if !print::streams(call) {
        return json_reply(parts.concat().into());
    }
    let headers = vec![
        header("content-type", "text/event-stream; charset=utf-8"),
        header("cache-control", "no-cache"),
    ];
    Raw {
        before: Vec::new(),
        status: 200,
        headers: with_ids(headers),
        body: parts.into_iter().map(Act::Send).collect(),
    }
}

fn json_reply(body: Bytes) -> Raw {
    let headers =
        vec![header("content-type", "application/json"), header("content-length", body.len())];
    Raw { before: Vec::new(), status: 200, headers: with_ids(headers), body: vec![Act::Send(body)] }
}

/// The usual reply with `acts` at a place in it.
fn interrupted(call: &Call, parts: Vec<Bytes>, at: Place, acts: &[Act]) -> Raw {
    let mut raw = whole(call, parts.clone());
    match at {
        Place::BeforeHeaders => raw.before = acts.to_vec(),
        Place::BeforeFirst => drop(raw.body.splice(0..0, acts.iter().cloned())),
        Place::AfterEnd => raw.body.extend(acts.iter().cloned()),
        Place::MidStream if print::streams(call) => {
            let place = events_before(call).min(raw.body.len());
            raw.body.splice(place..place, acts.iter().cloned());
        }
        Place::MidStream => {
            let mut first = Bytes::from(parts.concat());
            let rest = first.split_off(first.len() / 2);
            raw.body = vec![Act::Send(first)];
            raw.body.extend(acts.iter().cloned());
            raw.body.push(Act::Send(rest));
        }
    }
    raw
}

fn error_in_200(call: &Call, parts: Vec<Bytes>, later: bool) -> Raw {
    if !print::streams(call) {
        return Raw { status: 200, ..refusal(call, 500, "the mock fails on purpose") };
    }
    let kept = if later { events_before(call) } else { 0 };
    let mut parts: Vec<_> = parts.into_iter().take(kept).collect();
    parts.push(print::error_event(call.operation));
    whole(call, parts)
}

fn malformed(call: &Call, mut parts: Vec<Bytes>) -> Raw {
    if let Some(first) = parts.first_mut() {
        first.truncate(first.len() / 2);
        if print::streams(call) {
            *first = [first, b"\n\n".as_slice()].concat().into();
        }
    }
    whole(call, parts)
}

fn huge(call: &Call, mut parts: Vec<Bytes>, len: usize) -> Raw {
    if !print::streams(call) {
        let answer = Answer::text("x".repeat(len));
        return whole(call, print::answer(call, &answer));
    }
    let place = events_before(call).min(parts.len());
    parts.insert(place, print::huge_event(call, len));
    whole(call, parts)
}

fn events_before(call: &Call) -> usize {
    EVENTS_BEFORE + usize::from(call.operation.is_anthropic())
}

fn bytes_of(parts: &[Bytes]) -> impl Iterator<Item = Bytes> + '_ {
    parts.iter().flat_map(|part| (0..part.len()).map(|at| part.slice(at..at + 1)))
}

fn with_ids(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.push(header("x-request-id", "req_mock"));
    headers.push(header("request-id", "req_mock"));
    headers
}

fn header(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
