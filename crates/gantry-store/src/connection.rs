//! A transaction on either engine. The transaction type and the store call it; everything that
//! differs between SQLite and PostgreSQL within a transaction stands here.

use crate::Error;
use crate::statement::{Row, Statement};
use sqlx::{Postgres, Sqlite, Transaction};
use std::time::Duration;

/// Longest wait for PostgreSQL's answer to one statement: the longest (a list of all resources)
/// takes well under a second. A server that went away without a word is given up after it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// One open transaction. Dropping it undoes everything.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: Inner,
    /// A statement failed, or was left before its end. PostgreSQL then takes no further one, and
    /// turns a commit into a rollback without an error; both engines behave alike by this.
    spoiled: bool,
}

#[derive(Debug)]
enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl From<Transaction<'static, Sqlite>> for Connection {
    fn from(inner: Transaction<'static, Sqlite>) -> Self {
        Self { inner: Inner::Sqlite(inner), spoiled: false }
    }
}

impl From<Transaction<'static, Postgres>> for Connection {
    fn from(inner: Transaction<'static, Postgres>) -> Self {
        Self { inner: Inner::Postgres(inner), spoiled: false }
    }
}

impl Connection {
    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        self.begin_statement()?;
        let changed = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let (sql, values) = statement.parts::<Sqlite>()?;
                sqlx::query_with(sql, values).execute(&mut **tx).await?.rows_affected()
            }
            Inner::Postgres(tx) => {
                let (sql, values) = statement.parts::<Postgres>()?;
                let done = sqlx::query_with(sql, values).execute(&mut **tx);
                answer(done).await?.rows_affected()
            }
        };
        self.spoiled = false;
        Ok(changed)
    }

    /// Reads all rows of a statement.
    pub(crate) async fn all<T: Row>(&mut self, statement: Statement) -> Result<Vec<T>, Error> {
        self.begin_statement()?;
        let rows = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let (sql, values) = statement.parts::<Sqlite>()?;
                sqlx::query_as_with::<Sqlite, T, _>(sql, values).fetch_all(&mut **tx).await?
            }
            Inner::Postgres(tx) => {
                let (sql, values) = statement.parts::<Postgres>()?;
                let rows = sqlx::query_as_with::<Postgres, T, _>(sql, values);
                answer(rows.fetch_all(&mut **tx)).await?
            }
        };
        self.spoiled = false;
        Ok(rows)
    }

    /// Reads the first row of a statement.
    pub(crate) async fn first<T: Row>(&mut self, statement: Statement) -> Result<Option<T>, Error> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        if self.spoiled {
            return Err(Error::Spoiled);
        }
        match self.inner {
            Inner::Sqlite(tx) => Ok(tx.commit().await?),
            Inner::Postgres(tx) => answer(tx.commit()).await.map_err(|error| match error {
                Error::Lost(cause) => Error::Uncertain(cause),
                error => error,
            }),
        }
    }

    /// What follows a `SELECT` of rows that this transaction is about to change, so that a second
    /// writer of the same rows waits for its end. SQLite has one writer anyway.
    pub(crate) fn for_update(&self) -> &'static str {
        match &self.inner {
            Inner::Sqlite(_) => "",
            Inner::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The condition that the JSON object in the column `labels` has the value of the second mark
    /// under the key of the first.
    pub(crate) fn has_label(&self) -> &'static str {
        match &self.inner {
            Inner::Sqlite(_) => {
                "EXISTS (SELECT 1 FROM json_each(labels) AS label \
                 WHERE label.key = ? AND label.value = ?)"
            }
            Inner::Postgres(_) => "labels::jsonb ->> ? = ?",
        }
    }

    /// Runs an arbitrary text; for tests that bring a transaction into a state of their own.
    #[cfg(test)]
    pub(crate) async fn raw(&mut self, sql: &'static str) -> Result<(), Error> {
        match &mut self.inner {
            Inner::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ())?,
            Inner::Postgres(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ())?,
        }
        Ok(())
    }

    fn begin_statement(&mut self) -> Result<(), Error> {
        if self.spoiled {
            return Err(Error::Spoiled);
        }
        self.spoiled = true;
        Ok(())
    }
}

/// Waits for PostgreSQL, but not for ever.
async fn answer<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_TIMEOUT, work).await {
        Ok(done) => Ok(done?),
        Err(late) => Err(Error::Lost(Box::new(late))),
    }
}
