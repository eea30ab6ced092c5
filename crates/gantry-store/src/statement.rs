//! One SQL text with its values, which either engine runs, and what can be read back from both.
//!
//! The texts keep to what SQLite and PostgreSQL share; what differs stands in `Connection`.

use crate::Error;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Database, Encode, FromRow, SqlSafeStr, SqlStr, Type};

/// A value of a statement. Times, counts and booleans are whole numbers in both engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// A statement with the values of `$1`, `$2` and so on.
#[derive(Debug)]
pub(crate) struct Statement {
    sql: SqlStr,
    values: Vec<Value>,
}

impl Statement {
    pub(crate) fn new(sql: impl SqlSafeStr) -> Self {
        Self { sql: sql.into_sql_str(), values: Vec::new() }
    }

    /// With all its values.
    pub(crate) fn with(sql: impl SqlSafeStr, values: Vec<Value>) -> Self {
        Self { sql: sql.into_sql_str(), values }
    }

    /// Adds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Text and values as one engine takes them.
    pub(crate) fn parts<DB: Database>(self) -> Result<(SqlStr, DB::Arguments), Error>
    where
        Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
    {
        let mut arguments = DB::Arguments::default();
        for value in self.values {
            match value {
                Value::Text(text) => arguments.add(text),
                Value::Int(number) => arguments.add(number),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok((self.sql, arguments))
    }
}

/// What rows of both engines can be read into: tuples of texts and whole numbers.
pub(crate) trait Row: OfSqlite + OfPostgres + Send + Unpin {}

impl<T: OfSqlite + OfPostgres + Send + Unpin> Row for T {}

/// Read from a row of SQLite.
pub(crate) trait OfSqlite: for<'r> FromRow<'r, SqliteRow> {}

impl<T: for<'r> FromRow<'r, SqliteRow>> OfSqlite for T {}

/// Read from a row of PostgreSQL.
pub(crate) trait OfPostgres: for<'r> FromRow<'r, PgRow> {}

impl<T: for<'r> FromRow<'r, PgRow>> OfPostgres for T {}
