//! People of a tenant, who own personal tokens. The control plane calls it.

use crate::tx::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::UnixMs;

/// A person who may use or administer the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub email: String,
    pub admin: bool,
    pub teams: Vec<String>,
    pub created_at_ms: UnixMs,
}

impl Tx {
    /// All users, by email.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&mut self) -> Result<Vec<User>, Error> {
        let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT email, admin, teams, created_at_ms FROM users WHERE tenant = $1 \
             ORDER BY email",
        )
        .bind(&self.tenant)
        .fetch_all(&mut *self.inner)
        .await?;
        rows.into_iter().map(user).collect()
    }

    /// Adds a user, or changes the rights of the one with the same email.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_user(
        &mut self,
        email: &str,
        admin: bool,
        teams: &[String],
    ) -> Result<(), Error> {
        self.touch();
        let teams = serde_json::to_string(teams)
            .map_err(|e| Error::BadRow { table: "users", problem: e.to_string() })?;
        sqlx::query(
            "INSERT INTO users (tenant, email, admin, teams, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, email) DO UPDATE SET \
             admin = excluded.admin, teams = excluded.teams",
        )
        .bind(&self.tenant)
        .bind(email)
        .bind(i64::from(admin))
        .bind(teams)
        .bind(to_sql(self.now_ms))
        .execute(&mut *self.inner)
        .await?;
        Ok(())
    }
}

fn user(row: (String, i64, String, i64)) -> Result<User, Error> {
    let (email, admin, teams, created) = row;
    Ok(User {
        email,
        admin: admin != 0,
        teams: serde_json::from_str(&teams)
            .map_err(|e| Error::BadRow { table: "users", problem: e.to_string() })?,
        created_at_ms: from_sql("users", created)?,
    })
}
