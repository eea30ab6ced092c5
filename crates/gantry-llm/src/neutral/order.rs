//! Puts tool results behind the calls that they answer.
//!
//! `translate` does it once for all dialects: every vendor refuses a conversation in which anything
//! but a user's words stands between a call and its result. It never drops or changes a part.

use super::{Body, Part, Role, Turn};
use std::collections::BTreeMap;

/// Moves each tool result that is cut off from its call to the turn right behind the call's.
///
/// Users' turns may stand between: printers join them and put results first. Turns without parts
/// count as absent. Nothing is allocated
/// for a conversation that is in order, as nearly all are.
pub(crate) fn results_first(turns: &mut Vec<Turn<'_>>) {
    if !in_order(turns) {
        let moves = moves(turns);
        if !moves.is_empty() {
            apply(turns, &moves);
        }
    }
}

/// A result that must move.
struct Move {
    turn: usize,
    part: usize,
    /// Index of the turn that it goes behind.
    behind: usize,
}

/// Whether all results come at once and in the order of their calls. `false` says little: other
/// orders of the same results are fine too.
fn in_order(turns: &[Turn<'_>]) -> bool {
    let mut begin = 0;
    let mut expected = calls(&[]);
    let mut previous = Role::System;
    let mut open = false;
    for (index, turn) in turns.iter().enumerate().filter(|(_, turn)| !turn.parts.is_empty()) {
        match turn.role {
            Role::Assistant => {
                if previous != Role::Assistant {
                    begin = index;
                }
                expected = calls(turns.get(begin..=index).unwrap_or_default());
                open = true;
            }
            Role::System | Role::Developer => open = false,
            Role::User => {
                let mut results = turn.parts.iter().filter_map(result);
                if !results.all(|id| open && expected.next() == Some(id)) {
                    return false;
                }
            }
        }
        previous = turn.role;
    }
    true
}

fn calls<'t>(turns: &'t [Turn<'_>]) -> impl Iterator<Item = &'t str> {
    turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.body {
        Body::ToolCall(call) => Some(&*call.id),
        _ => None,
    })
}

fn result<'t>(part: &'t Part<'_>) -> Option<&'t str> {
    match &part.body {
        Body::ToolResult(result) => Some(&result.id),
        _ => None,
    }
}

/// The results that something but users' words separates from the last call with their id.
fn moves(turns: &[Turn<'_>]) -> Vec<Move> {
    let mut moves = Vec::new();
    // Ends of the runs of assistants' turns, and which run made a call.
    let mut ends: Vec<usize> = Vec::new();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last_other = None;
    let mut previous = Role::System;
    for (index, turn) in turns.iter().enumerate().filter(|(_, turn)| !turn.parts.is_empty()) {
        match turn.role {
            Role::Assistant => {
                match ends.last_mut().filter(|_| previous == Role::Assistant) {
                    Some(end) => *end = index,
                    None => ends.push(index),
                }
                let calls = calls(std::slice::from_ref(turn));
                made.extend(calls.map(|id| (id, ends.len() - 1)));
                last_other = Some(index);
            }
            Role::System | Role::Developer => last_other = Some(index),
            Role::User => {
                moves.extend(turn.parts.iter().enumerate().filter_map(|(part, each)| {
                    let behind = *made.get(result(each)?).and_then(|run| ends.get(*run))?;
                    let cut_off = last_other > Some(behind);
                    cut_off.then_some(Move { turn: index, part, behind })
                }));
            }
        }
        previous = turn.role;
    }
    moves
}

fn apply<'a>(turns: &mut Vec<Turn<'a>>, moves: &[Move]) {
    let mut moves = moves.iter().peekable();
    let mut moved: BTreeMap<usize, Turn<'a>> = BTreeMap::new();
    let mut kept = Vec::with_capacity(turns.len() + 1);
    for (index, mut turn) in std::mem::take(turns).into_iter().enumerate() {
        let whole = turn.parts.len();
        let mut rest = Vec::with_capacity(whole);
        for (at, part) in turn.parts.into_iter().enumerate() {
            match moves.next_if(|next| next.turn == index && next.part == at) {
                None => rest.push(part),
                Some(Move { behind, .. }) => {
                    let fresh = Turn { role: Role::User, parts: Vec::new(), place: turn.place };
                    moved.entry(*behind).or_insert(fresh).parts.push(part);
                }
            }
        }
        turn.parts = rest;
        kept.push((index, turn, whole));
    }
    for (index, turn, whole) in kept {
        if !turn.parts.is_empty() || whole == 0 {
            turns.push(turn);
        }
        turns.extend(moved.remove(&index));
    }
}

#[cfg(test)]
mod tests {
    use super::results_first;
    use crate::neutral::{Arguments, Body, Part, Place, Role, Text, ToolCall, ToolResult, Turn};

    /// `a` an assistant's turn, `s` a system's, `u` a user's; behind it words, `+id` for a call
    /// and `=id` for its result.
    fn turn(index: usize, text: &str) -> Turn<'_> {
        let (role, rest) = text.split_at(1);
        let role = match role {
            "a" => Role::Assistant,
            "s" => Role::System,
            _ => Role::User,
        };
        let parts = rest.split_whitespace().map(|word| {
            let body = match (word.strip_prefix('+'), word.strip_prefix('=')) {
                (Some(id), _) => Body::ToolCall(ToolCall {
                    id: id.into(),
                    name: "f".into(),
                    arguments: Arguments::Text(Text::default()),
                    signature: None,
                }),
                (_, Some(id)) => Body::ToolResult(ToolResult {
                    id: id.into(),
                    content: Vec::new(),
                    is_error: false,
                }),
                (None, None) => Body::Text(Text::Plain(word)),
            };
            Part { place: Place::message(index), cache: None, body }
        });
        Turn { role, parts: parts.collect(), place: Place::message(index) }
    }

    fn spelled(turn: &Turn<'_>) -> String {
        let mut text = String::from(match turn.role {
            Role::Assistant => "a",
            Role::System | Role::Developer => "s",
            Role::User => "u",
        });
        for part in &turn.parts {
            text.push_str(&match &part.body {
                Body::ToolCall(call) => format!(" +{}", &*call.id),
                Body::ToolResult(result) => format!(" ={}", &*result.id),
                Body::Text(words) => format!(" {}", words.decode()),
                other => panic!("{other:?}"),
            });
        }
        text
    }

    #[test]
    fn results_stand_behind_their_calls_whatever_stood_between() {
        for (before, after) in [
            // In order: nothing moves.
            ("u hi|a +1|u =1|a ok", "u hi|a +1|u =1|a ok"),
            ("a +1 +2|u =2 =1", "a +1 +2|u =2 =1"),
            ("a +1|u words|u =1", "a +1|u words|u =1"),
            ("a +1|a +2|u =1|u =2", "a +1|a +2|u =1|u =2"),
            ("a +1|u|a +2|u =1 =2", "a +1|u|a +2|u =1 =2"),
            ("a +1|u =1|s rule|a +2|u =2", "a +1|u =1|s rule|a +2|u =2"),
            ("u =9|s rule|u =9", "u =9|s rule|u =9"),
            // Something stands between.
            ("a +1|s rule|u =1", "a +1|u =1|s rule"),
            ("a +1|s rule|s more|u =1 words", "a +1|u =1|s rule|s more|u words"),
            ("a +1 +2|u =1|s rule|u =2", "a +1 +2|u =2|u =1|s rule"),
            ("a +1 +2|s rule|u =2|u =1|a ok", "a +1 +2|u =2 =1|s rule|a ok"),
            ("a +1|u words|a wait|u =1", "a +1|u =1|u words|a wait"),
            ("a +1|s rule|a +2|u =1 =2", "a +1|u =1|s rule|a +2|u =2"),
            // The same id again belongs to the later call.
            ("a +1|u =1|a +1|s rule|u =1", "a +1|u =1|a +1|u =1|s rule"),
        ] {
            let mut turns: Vec<_> =
                before.split('|').enumerate().map(|(index, text)| turn(index, text)).collect();
            results_first(&mut turns);
            let found: Vec<String> = turns.iter().map(spelled).collect();
            assert_eq!(found.join("|"), after, "{before}");
        }
    }
}
