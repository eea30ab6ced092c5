//! Numbers on their way into the database and back. The modules of the tables call it.

use crate::Error;

/// SQL integers are signed; times and generations stay far below the difference.
pub(crate) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn from_sql(table: &'static str, value: i64) -> Result<u64, Error> {
    u64::try_from(value)
        .map_err(|_| Error::BadRow { table, problem: format!("negative number {value}") })
}
