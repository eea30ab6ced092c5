//! Compares a tree with a shape and reports every difference.

use super::checks::{self, nearest};
use super::shape::{Shape, Sorts, Variants};
use super::tree::{self, Member, Node, Position, Step, Tree};
use gantry_model::rest::Problem;

pub(super) struct Validator<'a> {
    file: &'a str,
    path: Vec<Step>,
    found: Vec<Problem>,
}

impl<'a> Validator<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, path: Vec::new(), found: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.found
    }

    pub(super) fn check(&mut self, node: &Node, shape: &Shape) {
        if let (Some(variants), Tree::Map(members)) = (&shape.variants, &node.value) {
            return self.check_variants(node, members, (shape, variants));
        }
        if !fits(shape.sorts, &node.value) {
            let expected = expected(shape);
            let found = if shape.secret { node.kind().to_owned() } else { node.describe() };
            return self.add(node.at, format!("expected {expected}, found {found}"));
        }
        match &node.value {
            Tree::Null | Tree::Bool(_) => {}
            Tree::Number(number) => self.check_number(node, number.as_f64(), shape),
            Tree::Text(text) => self.check_text(node, text, shape),
            Tree::List(items) => self.check_list(node, items, shape),
            Tree::Map(members) => self.check_map(node, members, shape),
        }
        for (path, message) in shape.check.iter().flat_map(|check| check.run(node)) {
            let depth = self.path.len();
            let at = node.locate(&path);
            self.path.extend(path);
            self.add(at, message);
            self.path.truncate(depth);
        }
    }

    fn check_variants(&mut self, node: &Node, members: &[Member], of: (&Shape, &Variants)) {
        let (shape, Variants { tag, shapes }) = of;
        let names = || shapes.iter().map(|(name, _)| name.as_str());
        let Some(chosen) = node.get(tag) else {
            let one_of = checks::one_of(names());
            return self.add(node.at, format!("missing field `{tag}`: {one_of}"));
        };
        let message = match chosen.text() {
            None => format!("expected a text, found {}", chosen.describe()),
            Some(name) => {
                if let Some((_, variant)) = shapes.iter().find(|(known, _)| known == name) {
                    return self.check_map(node, members, variant);
                }
                if shape.later.iter().any(|later| later == name) {
                    format!("`{name}` is not supported yet; {}", checks::one_of(names()))
                } else {
                    unknown_value(name, names())
                }
            }
        };
        self.inside(tag.as_str().into(), |this| this.add(chosen.at, message));
    }

    fn check_map(&mut self, node: &Node, members: &[Member], shape: &Shape) {
        // A field that is there and empty counts as absent.
        let given = |member: &&Member| !matches!(member.node.value, Tree::Null);
        for name in &shape.required {
            if !members.iter().filter(given).any(|member| member.key == *name) {
                self.add(node.at, format!("missing field `{name}`"));
            }
        }
        for member in members {
            self.inside(member.key.as_str().into(), |this| match shape.fields.get(&member.key) {
                Some(inner) if given(&member) => this.check(&member.node, inner),
                Some(_) => {}
                None => this.check_other(member, shape),
            });
        }
    }

    /// A field that the shape does not name.
    fn check_other(&mut self, member: &Member, shape: &Shape) {
        let key = &member.key;
        if shape.closed {
            let message = if shape.later.contains(key) {
                let stop = if shape.instead.is_empty() { "" } else { "; " };
                format!("`{key}` is not supported yet{stop}{}", shape.instead)
            } else if shape.elsewhere.contains(key) {
                format!("`{key}` is not a field of {}", shape.title)
            } else {
                match nearest(key, shape.fields.keys().map(String::as_str)) {
                    Some(near) => format!("unknown field `{key}`; did you mean `{near}`?"),
                    None => format!("unknown field `{key}`"),
                }
            };
            return self.add(member.at, message);
        }
        if let Some(keys) = &shape.keys {
            let key = Node { value: Tree::Text(key.clone()), at: member.at };
            self.check(&key, keys);
        }
        if let Some(values) = &shape.values {
            self.check(&member.node, values);
        }
    }

    fn check_list(&mut self, node: &Node, items: &[Node], shape: &Shape) {
        let (min, max) = shape.length;
        if min.is_some_and(|min| (items.len() as u64) < min) {
            let least = min.unwrap_or_default();
            self.add(node.at, format!("expected at least {least}, found {}", items.len()));
        }
        if max.is_some_and(|max| items.len() as u64 > max) {
            let most = max.unwrap_or_default();
            self.add(node.at, format!("expected at most {most}, found {}", items.len()));
        }
        let Some(inner) = &shape.items else { return };
        for (index, item) in items.iter().enumerate() {
            self.inside(index.into(), |this| this.check(item, inner));
        }
    }

    fn check_text(&mut self, node: &Node, text: &str, shape: &Shape) {
        if !shape.choices.is_empty() && !shape.choices.iter().any(|choice| choice == text) {
            let choices = shape.choices.iter().map(String::as_str);
            let message = if shape.later.iter().any(|later| later == text) {
                format!("`{text}` is not supported yet; {}", checks::one_of(choices))
            } else {
                unknown_value(text, choices)
            };
            return self.add(node.at, message);
        }
        let length = text.chars().count() as u64;
        match shape.length {
            (Some(1), _) if length == 0 => self.add(node.at, "must not be empty".to_owned()),
            (_, Some(max)) if length > max => {
                let message = format!("has {length} characters, at most {max} are allowed");
                self.add(node.at, message);
            }
            _ => {}
        }
    }

    fn check_number(&mut self, node: &Node, number: Option<f64>, shape: &Shape) {
        let Some(number) = number else { return };
        let (min, max) = shape.range;
        let outside = min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max);
        // A status has a check of its own, which says it better.
        if !outside || shape.check.is_some() {
            return;
        }
        let limits = match (min, max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("of at least {min}"),
            (None, Some(max)) => format!("of at most {max}"),
            (None, None) => return,
        };
        let sort = if shape.sorts.number { "a number" } else { "a whole number" };
        self.add(node.at, format!("expected {sort} {limits}, found {number}"));
    }

    fn inside(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn add(&mut self, at: Position, message: String) {
        self.found.push(Problem {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            field: tree::print(&self.path),
            message,
        });
    }
}

fn fits(sorts: Sorts, value: &Tree) -> bool {
    sorts.any()
        || match value {
            Tree::Null => sorts.null,
            Tree::Bool(_) => sorts.boolean,
            Tree::Number(number) => sorts.number || (sorts.whole && !number.is_f64()),
            Tree::Text(_) => sorts.text,
            Tree::List(_) => sorts.list,
            Tree::Map(_) => sorts.map,
        }
}

fn expected(shape: &Shape) -> &'static str {
    match shape.sorts {
        Sorts { text: true, whole: true, .. } => "a text or a whole number",
        Sorts { text: true, .. } => "a text",
        Sorts { number: true, .. } => "a number",
        Sorts { whole: true, .. } => "a whole number",
        Sorts { boolean: true, .. } => "true or false",
        Sorts { list: true, .. } => "a list",
        _ => "fields",
    }
}

fn unknown_value<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown value `{name}`; did you mean `{near}`?"),
        None => format!("unknown value `{name}`; {}", checks::one_of(known)),
    }
}
