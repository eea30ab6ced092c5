//! Reads the Python literals in which the price package keeps its data.
//!
//! Called by the import. Only what such data uses is understood: names, calls, lists, dicts,
//! strings and numbers. Nothing is executed.

use anyhow::{Context, bail, ensure};

/// A literal of the data module.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// As written, so that no decimal is lost.
    Number(String),
    /// `None`, `True`, `datetime.UTC`.
    Name(String),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Call(Call),
}

/// `Name(positional, keyword=value)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) positional: Vec<Value>,
    pub(super) keywords: Vec<(String, Value)>,
}

impl Value {
    /// A keyword argument of a call; `None` counts as absent.
    pub(super) fn get(&self, keyword: &str) -> Option<&Value> {
        let Self::Call(call) = self else { return None };
        let (_, value) = call.keywords.iter().find(|(name, _)| name == keyword)?;
        (*value != Self::Name("None".to_owned())).then_some(value)
    }

    /// A keyword argument that must be text.
    pub(super) fn text(&self, keyword: &str) -> anyhow::Result<&str> {
        match self.get(keyword) {
            Some(Self::Text(text)) => Ok(text),
            other => bail!("expected text as `{keyword}`, found {other:?}"),
        }
    }

    pub(super) fn list(&self) -> anyhow::Result<&[Value]> {
        match self {
            Self::List(items) => Ok(items),
            other => bail!("expected a list, found {other:?}"),
        }
    }

    pub(super) fn call(&self) -> anyhow::Result<&Call> {
        match self {
            Self::Call(call) => Ok(call),
            other => bail!("expected a call, found {other:?}"),
        }
    }
}

/// The value that the module assigns to `name: type = value`.
pub(super) fn assigned(module: &str, name: &str) -> anyhow::Result<Value> {
    let start = module.find(&format!("\n{name}: ")).context("the data is not in the module")?;
    let rest = module.get(start..).unwrap_or_default();
    let (_, expression) = rest.split_once(" = ").context("nothing is assigned")?;
    let mut reader = Reader { rest: expression };
    reader.value().with_context(|| {
        let line = module.lines().count() - reader.rest.lines().count() + 1;
        format!("failed to read the data module near line {line}")
    })
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> anyhow::Result<Value> {
        self.space();
        match self.rest.bytes().next() {
            Some(b'[') => {
                self.take("[")?;
                self.until("]", Self::value).map(Value::List)
            }
            Some(b'{') => {
                self.take("{")?;
                self.until("}", Self::pair).map(Value::Dict)
            }
            Some(b'\'' | b'"') => self.string().map(Value::Text),
            Some(byte) if byte.is_ascii_digit() || byte == b'-' => {
                let end = |c: char| !(c.is_ascii_alphanumeric() || "._-+".contains(c));
                Ok(Value::Number(self.word(end)))
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => self.name_or_call(),
            other => bail!("found {:?}, expected a literal", other.map(char::from)),
        }
    }

    fn pair(&mut self) -> anyhow::Result<(Value, Value)> {
        let key = self.value()?;
        self.take(":")?;
        Ok((key, self.value()?))
    }

    fn name_or_call(&mut self) -> anyhow::Result<Value> {
        let name = self.word(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        if !self.rest.starts_with('(') {
            return Ok(Value::Name(name));
        }
        self.take("(")?;
        let mut call = Call { name, positional: Vec::new(), keywords: Vec::new() };
        for (keyword, value) in self.until(")", Self::argument)? {
            match keyword {
                Some(keyword) => call.keywords.push((keyword, value)),
                None => call.positional.push(value),
            }
        }
        Ok(Value::Call(call))
    }

    fn argument(&mut self) -> anyhow::Result<(Option<String>, Value)> {
        let value = self.value()?;
        match value {
            Value::Name(name) if self.rest.starts_with('=') => {
                self.take("=")?;
                Ok((Some(name), self.value()?))
            }
            value => Ok((None, value)),
        }
    }

    /// Items with commas between them (and perhaps after the last) up to `end`.
    fn until<T>(
        &mut self,
        end: &str,
        item: fn(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.space();
            if self.rest.starts_with(end) {
                self.take(end)?;
                return Ok(items);
            }
            items.push(item(self)?);
            self.space();
            if !self.rest.starts_with(end) {
                self.take(",")?;
            }
        }
    }

    fn string(&mut self) -> anyhow::Result<String> {
        let mut chars = self.rest.chars();
        let quote = chars.next().context("expected a string")?;
        ensure!(!self.rest.starts_with("'''") && !self.rest.starts_with("\"\"\""), "long string");
        let mut text = String::new();
        loop {
            match chars.next().context("a string does not end")? {
                '\\' => text.push(match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(same @ ('\\' | '\'' | '"')) => same,
                    other => bail!("unknown escape {other:?} in a string"),
                }),
                c if c == quote => break,
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }

    fn word(&mut self, ends: impl Fn(char) -> bool) -> String {
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        word.to_owned()
    }

    fn take(&mut self, wanted: &str) -> anyhow::Result<()> {
        self.space();
        let found = self.rest.chars().next();
        self.rest = self
            .rest
            .strip_prefix(wanted)
            .with_context(|| format!("found {found:?}, expected {wanted:?}"))?;
        Ok(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_calls_lists_and_strings() {
        let module = "x = 1\n\nrows: list[Row] = [\n    Row(\n        id='it\\'s',\n        \
                      when={'a': \"b\"},\n        price=Decimal('0.10'),\n        n=200_000,\n    \
                      ),\n    None,\n]\n";
        let rows = assigned(module, "rows").unwrap();
        let [row, none] = rows.list().unwrap() else { panic!("expected two rows") };
        assert_eq!(row.call().unwrap().name, "Row");
        assert_eq!(row.text("id").unwrap(), "it's");
        let price = row.get("price").unwrap().call().unwrap();
        assert_eq!(price.positional, [Value::Text("0.10".to_owned())]);
        assert_eq!(row.get("n"), Some(&Value::Number("200_000".to_owned())));
        let pair = (Value::Text("a".to_owned()), Value::Text("b".to_owned()));
        assert_eq!(row.get("when"), Some(&Value::Dict(vec![pair])));
        assert_eq!(*none, Value::Name("None".to_owned()));
    }

    #[test]
    fn names_the_line_of_what_it_does_not_understand() {
        let module = "\nrows: list = [\n    'a',\n    lambda x: x,\n]\n";
        let error = format!("{:#}", assigned(module, "rows").unwrap_err());
        assert!(error.contains("line 4"), "{error}");
    }
}
