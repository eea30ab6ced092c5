//! Joins characters that a stream has cut in two: one half at the end of a piece, the other at the
//! beginning of the next.
//!
//! The gateway's pump puts every read through it, before anybody looks at the events. An event that
//! ends a string with a half is held until the next one, whose half moves over if it stands in the
//! same place; halves that are left become U+FFFD. It holds one event at most.

use crate::scan::Fault;
use crate::scan::cursor::Cursor;
use crate::sse;
use crate::surrogates::{ESCAPE_BYTES, Half, alone, half, mend, occur};
use bytes::Bytes;
use std::ops::Range;

/// State of one stream.
#[derive(Debug, Default)]
pub struct Rejoin {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    /// The event as it came, for what is not its data.
    block: Vec<u8>,
    data: Vec<u8>,
}

impl Rejoin {
    /// Takes whole events and returns those that may go on, perhaps none.
    pub fn pass(&mut self, complete: Bytes) -> Bytes {
        if self.held.is_none() && !occur(&complete) {
            return complete;
        }
        self.mended(&complete)
    }

    /// The event that is held when nothing more comes.
    pub fn finish(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        self.held.take()?.print(&mut out);
        Some(out.into())
    }

    #[cold]
    fn mended(&mut self, complete: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(complete.len());
        for block in sse::blocks(complete) {
            let data = sse::events(block).next().map(|event| event.data.into_owned());
            let Some(mut data) = data.filter(|data| !is_ping(data)) else {
                out.extend_from_slice(block);
                continue;
            };
            if let Some(mut held) = self.held.take() {
                join(&mut held.data, &mut data);
                held.print(&mut out);
            }
            let cut = halves(&data).is_some_and(|found| !found.tails.is_empty());
            let event = Held { block: block.to_vec(), data };
            match cut {
                true => self.held = Some(event),
                false => event.print(&mut out),
            }
        }
        out.into()
    }
}

impl Held {
    fn print(mut self, out: &mut Vec<u8>) {
        mend(&mut self.data);
        sse::print(&self.block, Some(&self.data), out);
    }
}

/// What may come between two pieces of a text.
fn is_ping(data: &[u8]) -> bool {
    data.len() < 64 && memchr::memmem::find(data, b"\"ping\"").is_some()
}

/// Strings with a half at their end or beginning: the place inside the quotes, by path.
#[derive(Debug, Default)]
struct Found {
    path: String,
    /// The values of all members `index`, which say whose piece it is.
    indexes: String,
    tails: Vec<(String, Range<usize>)>,
    heads: Vec<(String, Range<usize>)>,
}

/// `None` where the data is no JSON.
fn halves(data: &[u8]) -> Option<Found> {
    let (mut found, mut cursor) = (Found::default(), Cursor::new(data));
    walk(&mut cursor, &mut found).ok().map(|()| found)
}

/// Moves halves from the strings of `next` to the same strings of `held`.
fn join(held: &mut Vec<u8>, next: &mut Vec<u8>) {
    let (Some(before), Some(after)) = (halves(held), halves(next)) else { return };
    if before.indexes != after.indexes {
        return;
    }
    // From behind, so that the places in front stay right.
    for (path, tail) in before.tails.iter().rev() {
        let head = after.heads.iter().find(|(other, _)| other == path);
        let Some((_, head)) = head else { continue };
        let Some(moved) = next.get(head.start..head.start + ESCAPE_BYTES) else { continue };
        held.splice(tail.end..tail.end, moved.to_vec());
    }
    for (path, head) in after.heads.iter().rev() {
        if before.tails.iter().any(|(other, _)| other == path) {
            next.drain(head.start..head.start + ESCAPE_BYTES);
        }
    }
}

/// Moves over a value. Its nesting is bounded by the cursor.
fn walk(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<(), Fault> {
    let outside = found.path.len();
    match cursor.peek_value() {
        Some(b'{') => cursor.object(|cursor, key| {
            let name = cursor.slice(&key.inner());
            if name == b"index" {
                let value = cursor.skip()?;
                found.indexes.push_str(&String::from_utf8_lossy(cursor.slice(&value)));
                found.indexes.push(' ');
                return Ok(());
            }
            found.path.push('.');
            found.path.push_str(&String::from_utf8_lossy(name));
            walk(cursor, found)?;
            found.path.truncate(outside);
            Ok(())
        }),
        Some(b'[') => {
            let mut at = 0;
            cursor.array(|cursor| {
                found.path.push_str(&format!("[{at}]"));
                at += 1;
                walk(cursor, found)?;
                found.path.truncate(outside);
                Ok(())
            })
        }
        Some(b'"') => {
            let text = cursor.string()?;
            if text.escaped {
                string(cursor.slice(&text.inner()), text.inner(), found);
            }
            Ok(())
        }
        _ => cursor.ignore(),
    }
}

fn string(inner: &[u8], place: Range<usize>, found: &mut Found) {
    let last = inner.len().checked_sub(ESCAPE_BYTES);
    if alone(inner).last().is_some_and(|(at, half)| half == Half::High && Some(at) == last) {
        found.tails.push((found.path.clone(), place.clone()));
    }
    if half(inner) == Some(Half::Low) {
        found.heads.push((found.path.clone(), place));
    }
}

#[cfg(test)]
mod tests {
    use super::Rejoin;
    use bytes::Bytes;

    /// What comes of reads, each with these events of chat: index and JSON text of the content.
    fn joined(reads: &[&[(u64, &str)]]) -> Vec<String> {
        let mut rejoin = Rejoin::default();
        let mut all = Vec::new();
        let mut take = |bytes: &[u8]| {
            for event in crate::sse::events(bytes) {
                let value: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                let delta = &value["choices"][0]["delta"];
                all.push(delta["content"].as_str().unwrap().to_owned());
            }
        };
        for read in reads {
            let events = read.iter().map(|(index, text)| {
                let delta = format!(r#"{{"content":"{text}"}}"#);
                format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{delta}}}]}}\n\n")
            });
            take(&rejoin.pass(Bytes::from(events.collect::<String>())));
        }
        if let Some(rest) = rejoin.finish() {
            take(&rest);
        }
        all
    }

    #[test]
    fn a_character_that_was_cut_in_two_is_whole_again() {
        let (high, low) = (r"a\ud83d", r"\ude42b");
        assert_eq!(joined(&[&[(0, high)], &[(0, low)]]), ["a🙂", "b"]);
        assert_eq!(joined(&[&[(0, high), (0, low)]]), ["a🙂", "b"]);
        assert_eq!(
            joined(&[&[(0, high)], &[(0, r"\ude42\ud83d")], &[(0, low)]]),
            ["a🙂", "🙂", "b"]
        );
        assert_eq!(joined(&[&[(0, high)], &[(0, "b")]]), ["a\u{fffd}", "b"]);
        assert_eq!(joined(&[&[(0, high)], &[(1, low)]]), ["a\u{fffd}", "\u{fffd}b"]);
        assert_eq!(joined(&[&[(0, high)]]), ["a\u{fffd}"]);
        assert_eq!(joined(&[&[(0, low)], &[(0, r"x\ud83dy")]]), ["\u{fffd}b", "x\u{fffd}y"]);
        assert_eq!(joined(&[&[(0, "plain")], &[(0, r"\ud83d\ude42")]]), ["plain", "🙂"]);
    }

    #[test]
    fn what_lies_between_goes_on_and_does_not_part_the_halves() {
        let mut rejoin = Rejoin::default();
        let delta = |text: &str| {
            let delta = format!(r#"{{"type":"text_delta","text":"{text}"}}"#);
            format!("event: d\ndata: {{\"index\":0,\"delta\":{delta}}}\n\n")
        };
        let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
        let comment = ": still here\n\n";
        assert_eq!(rejoin.pass(Bytes::from(delta(r"a\ud83d"))), "");
        assert_eq!(rejoin.pass(Bytes::from(ping)), ping);
        assert_eq!(rejoin.pass(Bytes::from(comment)), comment);
        let expected = delta(r"a\ud83d\ude42") + &delta("b");
        assert_eq!(rejoin.pass(Bytes::from(delta(r"\ude42b"))), expected);
        assert_eq!(rejoin.finish(), None);
    }

    #[test]
    fn what_is_no_json_goes_on_as_it_is() {
        let mut rejoin = Rejoin::default();
        let torn = Bytes::from_static(b"data: {\"a\":\"\\ud83d\\ude42\n\ndata: [DONE]\n\n");
        assert_eq!(rejoin.pass(torn.clone()), torn);
        assert_eq!(rejoin.finish(), None);
    }
}
