//! The operations of a gateway as a value: finds the row of a request, and says what there is.
//!
//! The gateway asks once per request. Tests extend the value with rows of their own.

use super::path::{Captures, Pattern};
use super::{Api, Exchange, Method, Operation, Path, rows};

/// Rows by path.
#[derive(Clone, Debug)]
pub struct Operations {
    rows: Vec<&'static Operation>,
    /// In the order in which they are tried.
    places: Vec<Place>,
    /// First segments of all patterns.
    roots: Vec<&'static str>,
}

/// One pattern with all that is found there.
#[derive(Clone, Debug)]
struct Place {
    pattern: Pattern,
    found: Vec<(&'static Operation, &'static Path)>,
}

/// What a path and method mean.
#[derive(Clone, Debug)]
pub enum Lookup {
    Found(Matched),
    /// The path is one of `operation`, which takes other methods.
    WrongMethod {
        api: &'static Api,
        operation: &'static Operation,
        allowed: Vec<Method>,
    },
    /// `api` is the one whose paths come nearest.
    Unknown {
        api: &'static Api,
    },
}

/// An operation with what the path says of it.
#[derive(Clone, Debug)]
pub struct Matched {
    pub operation: &'static Operation,
    pub api: &'static Api,
    pub captures: Captures,
    /// Whether the answer is streamed, where the path says it.
    pub stream: Option<bool>,
}

impl Operations {
    /// Those of this binary.
    #[must_use]
    pub fn standard() -> Self {
        let none = Self { rows: Vec::new(), places: Vec::new(), roots: Vec::new() };
        rows::ALL.iter().fold(none, Self::with)
    }

    /// With one more row.
    #[must_use]
    pub fn with(mut self, operation: &'static Operation) -> Self {
        self.rows.push(operation);
        for path in operation.paths {
            let root = path.pattern.split('/').next().unwrap_or(path.pattern);
            if !self.roots.contains(&root) {
                self.roots.push(root);
            }
            let found = (operation, path);
            match self.places.iter_mut().find(|place| place.pattern.text == path.pattern) {
                Some(place) => place.found.push(found),
                None => self
                    .places
                    .push(Place { pattern: Pattern::new(path.pattern), found: vec![found] }),
            }
        }
        self.places.sort_by_key(|place| place.pattern.openness());
        self
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &'static Operation> {
        self.rows.iter().copied()
    }

    /// Rows that upstreams of the dialect `name` answer.
    pub fn of_dialect(
        &self,
        name: &str,
    ) -> impl Iterator<Item = (&'static Operation, &'static Exchange)> {
        let exchange = |row: &'static Operation| Some((row, row.exchange()?));
        self.iter().filter_map(exchange).filter(move |(_, each)| each.dialect.name() == name)
    }

    /// Whether a path, without its leading slash, begins as one of the rows' does.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        path.split_once('/').is_some_and(|(root, _)| self.roots.contains(&root))
    }

    /// What a path, without its leading slash, and a method mean. Of several APIs at one path the
    /// one counts whose header the request has, as `has_header` says.
    pub fn find(&self, path: &str, method: &str, has_header: impl Fn(&str) -> bool) -> Lookup {
        let path = path.trim_end_matches('/');
        let mut other: Vec<(&'static Operation, &'static Path)> = Vec::new();
        for place in &self.places {
            let Some(captures) = place.pattern.matches(path) else { continue };
            let fits =
                |found: &&(&'static Operation, &'static Path)| found.0.method.as_str() == method;
            let of_method = place.found.iter().filter(fits).copied();
            if let Some((operation, path)) = chosen(of_method, |found| found.1.api, &has_header) {
                let (api, stream) = (path.api, path.stream);
                return Lookup::Found(Matched { operation, api, captures, stream });
            }
            other.extend(&place.found);
        }
        let mut allowed: Vec<Method> = Vec::new();
        for (operation, _) in &other {
            if !allowed.contains(&operation.method) {
                allowed.push(operation.method);
            }
        }
        match chosen(other.into_iter(), |found| found.1.api, &has_header) {
            Some((operation, path)) => Lookup::WrongMethod { api: path.api, operation, allowed },
            None => Lookup::Unknown { api: self.nearest_api(path, has_header) },
        }
    }

    /// The API whose paths begin most as this one does: the envelope in which a caller expects to
    /// be told of a mistake.
    #[must_use]
    pub fn nearest_api(&self, path: &str, has_header: impl Fn(&str) -> bool) -> &'static Api {
        let shared = |row: &&'static Path| Pattern::new(row.pattern).shared_segments(path);
        let paths = || self.rows.iter().flat_map(|row| row.paths);
        let most = paths().map(|row| shared(&row)).max().unwrap_or_default();
        let nearest = paths().filter(|row| shared(row) == most);
        chosen(nearest, |path| path.api, &has_header).map_or(&rows::OPENAI, |path| path.api)
    }

    /// What to tell a caller whose path is none.
    #[must_use]
    pub fn says_unknown(&self, path: &str) -> String {
        const USUAL: &str = "v1/";
        let (mut usual, mut others) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let mut patterns = row.paths.iter().map(|path| path.pattern);
            let first = patterns.clone().next();
            let below = patterns.find_map(|pattern| pattern.strip_prefix(USUAL));
            match (below, first) {
                (Some(below), _) if usual.iter().any(|other| other == below) => {}
                (Some(below), _) => usual.push(below.to_owned()),
                (None, Some(first)) => others.push(format!("/{first}")),
                (None, None) => {}
            }
        }
        let mut text =
            format!("no operation at `/{path}`; there are {} below /v1", listed(&usual, "and"));
        if !others.is_empty() {
            text.push_str(&format!(", and {}", listed(&others, "and")));
        }
        text
    }

    /// What to tell a caller whose path takes other methods.
    #[must_use]
    pub fn says_method(path: &str, method: &str, allowed: &[Method]) -> String {
        let names: Vec<String> = allowed.iter().map(|method| method.as_str().to_owned()).collect();
        format!("`/{path}` takes {}, not {method}", listed(&names, "or"))
    }

    /// All methods that rows take, as the header `allow` lists them.
    #[must_use]
    pub fn methods(&self) -> String {
        let all = [Method::Get, Method::Post, Method::Delete];
        let used = all.into_iter().filter(|each| self.rows.iter().any(|row| row.method == *each));
        used.map(Method::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Of several, the first whose API's header is there; else the first that needs none, or the first.
fn chosen<T: Clone>(
    found: impl Iterator<Item = T>,
    api: impl Fn(&T) -> &'static Api,
    has_header: &impl Fn(&str) -> bool,
) -> Option<T> {
    let (mut plain, mut first) = (None, None);
    for each in found {
        match api(&each).header {
            Some(header) if has_header(header) => return Some(each),
            Some(_) => first = first.or(Some(each)),
            None => plain = plain.or(Some(each)),
        }
    }
    plain.or(first)
}

/// `a, b and c`.
fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}
