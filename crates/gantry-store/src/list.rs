//! Lists by pages: conditions, order and cursor become one statement. The modules of the tables
//! call it.
//!
//! A page begins after the last row of the one before by that row's place in the order (keyset
//! pagination), not by counting: rows that come or go meanwhile neither repeat nor hide others,
//! and a late page costs as much as the first.

use crate::Error;
use crate::statement::{Statement, Value};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::AssertSqlSafe;

/// Most items of one page.
pub const PAGE_MAX: u32 = 1000;

/// Comes after all other characters, so that `prefix` + this ends the texts with the prefix.
const LAST_CHARACTER: char = char::MAX;

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// Most items; taken as 1 to [`PAGE_MAX`].
    pub limit: u32,
    /// The `next` of the page before, from the same list in the same order; `None`: the first.
    pub after: Option<String>,
    /// The order reversed.
    pub descending: bool,
}

/// Some items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last one.
    pub next: Option<String>,
}

/// A column by which a list is ordered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Text(&'static str),
    Int(&'static str),
}

/// By what a list is ordered. The last columns make every place unique.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Stands in cursors, so that no other list takes them.
    pub name: &'static str,
    pub keys: &'static [Key],
}

/// A list's statement in the making. Texts in it are the crate's own; what callers give is bound.
#[derive(Debug)]
pub(crate) struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Select {
    /// `select` ends with the condition on the tenant, which is `$1`.
    pub(crate) fn new(select: &'static str, tenant: &str) -> Self {
        Self { sql: select.to_owned(), values: vec![tenant.into()] }
    }

    /// Adds a condition with one `?` for each value.
    pub(crate) fn and(mut self, condition: &str, values: Vec<Value>) -> Self {
        let mut place = self.values.len();
        self.sql.push_str(" AND ");
        for part in condition.split_inclusive('?') {
            match part.strip_suffix('?') {
                Some(text) => {
                    place += 1;
                    self.sql.push_str(&format!("{text}${place}"));
                }
                None => self.sql.push_str(part),
            }
        }
        self.values.extend(values);
        self
    }

    /// Adds the condition that a column has a value, when one is asked for.
    pub(crate) fn equals(self, column: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.and(&format!("{column} = ?"), vec![value.into()]),
            None => self,
        }
    }

    /// Adds the condition that a column begins with a text, when one is asked for.
    pub(crate) fn begins(self, column: &str, prefix: Option<&str>) -> Self {
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else { return self };
        let end = format!("{prefix}{LAST_CHARACTER}");
        self.and(&format!("{column} >= ? AND {column} < ?"), vec![prefix.into(), end.into()])
    }

    /// The statement for all there is.
    pub(crate) fn all(mut self, order: Order) -> Statement {
        let columns: Vec<&str> = order.keys.iter().map(Key::column).collect();
        self.sql.push_str(&format!(" ORDER BY {}", columns.join(", ")));
        Statement::with(AssertSqlSafe(self.sql), self.values)
    }

    /// The statement for a page, and for one row more, which tells whether there is a next one.
    pub(crate) fn page(mut self, order: Order, paging: &Paging) -> Result<Statement, Error> {
        let (compare, direction) = if paging.descending { ("<", " DESC") } else { (">", "") };
        let columns: Vec<&str> = order.keys.iter().map(Key::column).collect();
        if let Some(cursor) = &paging.after {
            let marks = vec!["?"; columns.len()].join(", ");
            let condition = format!("({}) {compare} ({marks})", columns.join(", "));
            self = self.and(&condition, read_cursor(order, paging.descending, cursor)?);
        }
        let by: Vec<_> = columns.iter().map(|column| format!("{column}{direction}")).collect();
        self.sql.push_str(&format!(" ORDER BY {} LIMIT {}", by.join(", "), limit(paging) + 1));
        Ok(Statement::with(AssertSqlSafe(self.sql), self.values))
    }
}

impl Key {
    fn column(&self) -> &'static str {
        match self {
            Self::Text(column) | Self::Int(column) => column,
        }
    }

    fn value(self, text: String) -> Option<Value> {
        match self {
            Self::Text(_) => Some(text.into()),
            Self::Int(_) => text.parse::<i64>().ok().map(Value::from),
        }
    }
}

/// The page that a statement of [`Select::page`] has found. `place` is an item's place in the
/// order: its columns as texts.
pub(crate) fn page<T>(
    mut found: Vec<T>,
    order: Order,
    paging: &Paging,
    place: impl FnOnce(&T) -> Vec<String>,
) -> Result<Page<T>, Error> {
    let limit = usize::try_from(limit(paging)).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| write_cursor(order, paging.descending, place(last))).transpose()?;
    Ok(Page { items: found, next })
}

fn limit(paging: &Paging) -> u32 {
    paging.limit.clamp(1, PAGE_MAX)
}

fn name(order: Order, descending: bool) -> String {
    format!("{}{}", order.name, if descending { "-" } else { "+" })
}

fn write_cursor(order: Order, descending: bool, place: Vec<String>) -> Result<String, Error> {
    let parts = [vec![name(order, descending)], place].concat();
    let text = serde_json::to_vec(&parts).map_err(|_| Error::BadCursor)?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn read_cursor(order: Order, descending: bool, cursor: &str) -> Result<Vec<Value>, Error> {
    let read = || {
        let parts: Vec<String> =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = parts.into_iter();
        if parts.next()? != name(order, descending) || parts.len() != order.keys.len() {
            return None;
        }
        order.keys.iter().zip(parts).map(|(key, text)| key.value(text)).collect()
    };
    read().ok_or(Error::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order = Order { name: "things", keys: &[Key::Int("at"), Key::Text("name")] };

    #[test]
    fn a_cursor_serves_its_own_list_and_order_only() {
        let place = || vec!["7".to_owned(), "a".to_owned()];
        let cursor = write_cursor(ORDER, false, place()).unwrap();
        assert_eq!(read_cursor(ORDER, false, &cursor).unwrap(), [Value::from(7), Value::from("a")]);
        let other = Order { name: "others", ..ORDER };
        let letters = write_cursor(ORDER, false, vec!["x".to_owned(), "a".to_owned()]).unwrap();
        let short = write_cursor(ORDER, false, vec!["7".to_owned()]).unwrap();
        let cases = [
            (other, false, cursor.as_str()),
            (ORDER, true, &cursor),
            (ORDER, false, &letters),
            (ORDER, false, &short),
            (ORDER, false, "%"),
            (ORDER, false, ""),
        ];
        for (order, descending, cursor) in cases {
            let read = read_cursor(order, descending, cursor);
            assert!(matches!(read, Err(Error::BadCursor)), "{cursor}");
        }
    }
}
