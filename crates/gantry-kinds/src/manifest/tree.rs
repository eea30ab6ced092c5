//! A document as a tree whose nodes know where they stand in the text.
//!
//! It may hold secrets, so nothing in it can be printed as a whole.

use serde_json::Number;
use std::fmt::Write as _;

/// A place in a text, 1-based; zeros when the manifest did not come as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    /// In characters, not bytes.
    pub column: u32,
}

/// One step from a node to a node inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// `integrations[0].model_id`.
pub(crate) fn print(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing to a string cannot fail.
        let _ = match step {
            Step::Key(key) if text.is_empty() => write!(text, "{key}"),
            Step::Key(key) => write!(text, ".{key}"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}

#[derive(Clone)]
pub(crate) struct Node {
    pub value: Tree,
    pub at: Position,
}

#[derive(Clone)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// One field of a map. Keys are unique within it.
#[derive(Clone)]
pub(crate) struct Member {
    pub key: String,
    /// Of the key.
    pub at: Position,
    pub node: Node,
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.member(key).map(|member| &member.node)
    }

    fn member(&self, key: &str) -> Option<&Member> {
        match &self.value {
            Tree::Map(members) => members.iter().find(|member| member.key == key),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the node at `path` stands, or the last one on the way that exists.
    pub(crate) fn locate(&self, path: &[Step]) -> Position {
        let Some((step, rest)) = path.split_first() else { return self.at };
        let inner = match (step, &self.value) {
            (Step::Key(key), Tree::Map(_)) => self.get(key),
            (Step::Index(index), Tree::List(items)) => items.get(*index),
            _ => None,
        };
        inner.map_or(self.at, |node| node.locate(rest))
    }

    /// The way to the first node in the text that is this text.
    pub(crate) fn path_to(&self, text: &str) -> Option<Vec<Step>> {
        let inside = |step: Step, node: &Node| {
            let rest = node.path_to(text)?;
            Some([step].into_iter().chain(rest).collect())
        };
        match &self.value {
            Tree::Text(found) => (found == text).then(Vec::new),
            Tree::List(items) => {
                items.iter().enumerate().find_map(|(index, item)| inside(index.into(), item))
            }
            Tree::Map(members) => {
                members.iter().find_map(|one| inside(one.key.as_str().into(), &one.node))
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => None,
        }
    }

    /// For "found …": what kind of value it is and, if it is short, which.
    pub(crate) fn describe(&self) -> String {
        const SHOWN_MAX: usize = 40;
        match &self.value {
            Tree::Text(text) if text.chars().count() > SHOWN_MAX => {
                let head: String = text.chars().take(SHOWN_MAX).collect();
                format!("the text {:?}…", head)
            }
            Tree::Text(text) => format!("the text {text:?}"),
            Tree::Number(number) => format!("the number {number}"),
            Tree::Bool(value) => format!("`{value}`"),
            Tree::Null | Tree::List(_) | Tree::Map(_) => self.kind().to_owned(),
        }
    }

    /// What kind of value it is, without the value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a true or false",
            Tree::Number(_) => "a number",
            Tree::Text(_) => "a text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "fields",
        }
    }
}
