//! Thinking that is not Anthropic's, cut out of a Messages request that keeps its dialect.
//!
//! The gateway asks for it before it forwards the bytes. A search for Gantry's mark is all that
//! happens to requests that hold none; every byte besides the cut blocks stays as it was.

use crate::marks::QUOTED_MARK;
use crate::neutral::{Losses, Place};
use crate::scan::Fault;
use crate::scan::Index;
use crate::scan::cursor::Cursor;
use gantry_model::record::Loss;
use std::ops::Range;

/// A request's messages without the blocks that Anthropic would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The new value of `messages`.
    pub messages: Vec<u8>,
    /// The request asks for thinking by a budget, which demands a signed block before the last tool
    /// call, and that is gone: the member `thinking` has to go too.
    pub without_thinking: bool,
    pub losses: Vec<Loss>,
}

/// Cuts thinking blocks with a mark of Gantry's out of `body`, whose index is `index`; `None` when
/// there are none.
#[must_use]
pub fn cut_marked(body: &[u8], index: &Index) -> Option<Cut> {
    let value = |key| index.members.iter().find(|member| member.is(key, body));
    let messages = body.get(value("messages")?.value.clone())?;
    memchr::memmem::find(messages, QUOTED_MARK)?;
    let mut cutter = Cutter::default();
    // The scan has accepted the body already.
    cutter.messages(&mut Cursor::new(messages)).ok()?;
    if cutter.cuts.is_empty() {
        return None;
    }
    let budget = |thinking: &[u8]| memchr::memmem::find(thinking, b"\"enabled\"").is_some();
    let thinking = value("thinking").and_then(|member| body.get(member.value.clone()));
    let without_thinking = cutter.bare_call && thinking.is_some_and(budget);
    if without_thinking {
        let note = "without thinking, because an earlier tool call lacks its signed thinking";
        cutter.losses.approximated("thinking", note);
    }
    let messages = cutter.rest(messages);
    Some(Cut { messages, without_thinking, losses: cutter.losses.into_vec() })
}

/// An element of a list: where it stands, and whether it stays.
struct Element {
    range: Range<usize>,
    kept: bool,
}

/// What is known of a block.
#[derive(Default)]
struct Block {
    thinking: bool,
    call: bool,
    marked: bool,
    /// It says something besides its signature.
    says: bool,
}

#[derive(Default)]
struct Cutter {
    cuts: Vec<Range<usize>>,
    /// The last assistant's turn calls a tool and has lost all thinking.
    bare_call: bool,
    losses: Losses,
}

impl Cutter {
    fn messages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let mut elements = Vec::new();
        if cursor.peek_value() != Some(b'[') {
            return Ok(());
        }
        cursor.array(|cursor| {
            cursor.peek_value();
            let (start, known) = (cursor.at(), self.cuts.len());
            let kept = self.message(Place::message(elements.len()), cursor)?;
            if !kept {
                self.cuts.truncate(known);
            }
            elements.push(Element { range: start..cursor.at(), kept });
            Ok(())
        })?;
        self.cut(&elements);
        self.cuts.sort_by_key(|cut| cut.start);
        Ok(())
    }

    /// Cuts in a message; returns whether something of it is left.
    fn message(&mut self, place: Place, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        if cursor.peek_value() != Some(b'{') {
            return cursor.ignore().map(|()| true);
        }
        let mut kept = true;
        cursor.object(|cursor, key| {
            let content = cursor.name(&key, &mut Vec::new()) == b"content";
            if content && cursor.peek_value() == Some(b'[') {
                kept = self.content(place.field("content"), cursor)?;
                return Ok(());
            }
            cursor.ignore()
        })?;
        if !kept {
            self.losses.dropped(place, "nothing is left of it to send");
        }
        Ok(kept)
    }

    fn content(&mut self, place: Place, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        let mut elements = Vec::new();
        let (mut call, mut thinking) = (false, false);
        cursor.array(|cursor| {
            cursor.peek_value();
            let start = cursor.at();
            let block = block(cursor)?;
            let kept = !(block.thinking && block.marked);
            if !kept && block.says {
                let note = "the upstream takes only its own, signed thinking";
                self.losses.dropped_often(place.at(elements.len()), note);
            }
            call |= block.call;
            thinking |= block.thinking && kept;
            elements.push(Element { range: start..cursor.at(), kept });
            Ok(())
        })?;
        let cut = elements.iter().any(|element| !element.kept);
        if call {
            self.bare_call = cut && !thinking;
        }
        self.cut(&elements);
        Ok(!cut || elements.iter().any(|element| element.kept))
    }

    /// Notes the cuts of a list, each with the comma that is too many then.
    fn cut(&mut self, elements: &[Element]) {
        let mut kept_end = None;
        let mut left = elements.iter().peekable();
        while let Some(Element { range, kept }) = left.next() {
            if *kept {
                kept_end = Some(range.end);
                continue;
            }
            match (kept_end, left.peek()) {
                (Some(end), _) => self.cuts.push(end..range.end),
                (None, Some(next)) => self.cuts.push(range.start..next.range.start),
                (None, None) => self.cuts.push(range.clone()),
            }
            kept_end = kept_end.map(|_| range.end);
        }
    }

    /// What is left of the text.
    fn rest(&self, text: &[u8]) -> Vec<u8> {
        let mut rest = Vec::with_capacity(text.len());
        let mut done = 0;
        for cut in &self.cuts {
            rest.extend_from_slice(text.get(done..cut.start).unwrap_or_default());
            done = cut.end;
        }
        rest.extend_from_slice(text.get(done..).unwrap_or_default());
        rest
    }
}

fn block(cursor: &mut Cursor<'_>) -> Result<Block, Fault> {
    let mut block = Block::default();
    if cursor.peek_value() != Some(b'{') {
        return cursor.ignore().map(|()| block);
    }
    cursor.object(|cursor, key| {
        let mut plain = Vec::new();
        let name = cursor.name(&key, &mut plain);
        let range = cursor.skip()?;
        let value = cursor.slice(&range);
        match name {
            b"type" => {
                block.thinking = matches!(value, b"\"thinking\"" | b"\"redacted_thinking\"");
                block.call = value == b"\"tool_use\"";
            }
            b"signature" => block.marked = value.starts_with(QUOTED_MARK),
            b"thinking" => block.says = value != b"\"\"",
            _ => {}
        }
        Ok(())
    })?;
    Ok(block)
}

#[cfg(test)]
mod tests;
