//! YAML text to trees with positions. JSON is YAML.
//!
//! The limits bound what a hostile text costs: aliases are refused, because a few lines of them
//! can stand for billions of nodes.

use super::Document;
use super::scalar;
use super::tree::{Member, Node, Position, Tree};
use gantry_model::rest::Problem;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::borrow::Cow;

/// Longest text, 4 MiB: ten thousand models with all fields.
const TEXT_MAX: usize = 4 << 20;
/// Deepest nesting; manifests need eight, request bodies in `override_params` a few more.
const DEPTH_MAX: usize = 64;
/// Most nodes in a text.
const NODES_MAX: usize = 100_000;

/// Reads all documents of a text; empty ones are skipped.
///
/// # Errors
/// What is wrong with the text itself. Whether its documents are manifests,
/// [`Document::check`] says.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let problem = |at: Position, message: String| Problem {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        field: String::new(),
        message,
    };
    if text.len() > TEXT_MAX {
        let message = format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len());
        return Err(vec![problem(Position { line: 1, column: 1 }, message)]);
    }
    let roots = match Builder::default().read(text) {
        Ok((roots, problems)) if problems.is_empty() => roots,
        Ok((_, problems)) => {
            return Err(problems.into_iter().map(|(a, m)| problem(a, m)).collect());
        }
        Err(Stop::Limit((at, message))) => return Err(vec![problem(at, message)]),
        // What JSON allows and YAML does not: tabs as indentation, pairs of surrogates.
        Err(Stop::Syntax((at, message))) => match super::json::from_text(text) {
            Some(root) => vec![root],
            None => return Err(vec![problem(at, message)]),
        },
    };
    let written = roots.into_iter().filter(|root| !matches!(root.value, Tree::Null));
    Ok(written.map(|root| Document { file: file.to_owned(), root }).collect())
}

type Found = (Position, String);

/// Why reading ended early.
enum Stop {
    Syntax(Found),
    Limit(Found),
}

/// Builds trees from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    roots: Vec<Node>,
    nodes: usize,
    problems: Vec<Found>,
}

/// A list or map whose end has not come yet.
enum Open {
    List(Position, Vec<Node>),
    Map { at: Position, members: Vec<Member>, key: Option<(String, Position)> },
}

impl Builder {
    /// Roots, and problems after which reading could go on; or the one that ended it.
    fn read(mut self, text: &str) -> Result<(Vec<Node>, Vec<Found>), Stop> {
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let message = format!("bad YAML: {}", error.info());
                Stop::Syntax((position(*error.marker()), message))
            })?;
            self.take(event, position(span.start)).map_err(Stop::Limit)?;
        }
        Ok((self.roots, self.problems))
    }

    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Found> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.count(at)?;
                self.scalar(&text, style, tag, at);
            }
            Event::SequenceStart(_, tag) => {
                self.open(Open::List(at, Vec::new()), tag.as_deref(), at)?;
            }
            Event::MappingStart(_, tag) => {
                let map = Open::Map { at, members: Vec::new(), key: None };
                self.open(map, tag.as_deref(), at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => {
                let message = "aliases are not supported: write the value out".to_owned();
                return Err((at, message));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, at: Position) -> Result<(), Found> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err((at, format!("the text has more than {NODES_MAX} values")));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, tag: Option<&Tag>, at: Position) -> Result<(), Found> {
        self.count(at)?;
        if self.open.len() >= DEPTH_MAX {
            return Err((at, format!("nested more than {DEPTH_MAX} deep")));
        }
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && ["map", "seq"].contains(&tag.suffix.as_str()))
        {
            self.problems.push((at, format!("the tag `{tag}` is not supported")));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) {
        match self.open.pop() {
            Some(Open::List(at, items)) => self.add(Node { value: Tree::List(items), at }),
            Some(Open::Map { at, members, .. }) => {
                self.add(Node { value: Tree::Map(members), at });
            }
            None => {}
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<Cow<'_, Tag>>, at: Position) {
        if let Some(Open::Map { members, key: key @ None, .. }) = self.open.last_mut() {
            if let Some(first) = members.iter().find(|member| member.key == text) {
                let message = format!("`{text}` is given twice, first on line {}", first.at.line);
                self.problems.push((at, message));
            }
            *key = Some((text.to_owned(), at));
            return;
        }
        let value = match tag.as_deref() {
            Some(tag) if tag.is_yaml_core_schema() => scalar::tagged(&tag.suffix, text),
            Some(tag) if tag.to_string() != "!" => Err(format!("the tag `{tag}` is not supported")),
            None if style == ScalarStyle::Plain => scalar::plain(text),
            Some(_) | None => Ok(Tree::Text(text.to_owned())),
        };
        let value = value.unwrap_or_else(|message| {
            self.problems.push((at, message));
            Tree::Null
        });
        self.add(Node { value, at });
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map { members, key, .. }) => match key.take() {
                Some((key, at)) => members.push(Member { key, at, node }),
                None => {
                    let found = node.kind();
                    self.problems.push((node.at, format!("a field's name is text, not {found}")));
                    *key = Some((String::new(), node.at));
                }
            },
            None => self.roots.push(node),
        }
    }
}

/// The parser counts columns from 0.
fn position(marker: Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}
