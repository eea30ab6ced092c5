//! People of a tenant, who own personal tokens. The control plane calls it.

use crate::list::{self, Key, Order, Page, Paging, Select};
use crate::statement::Statement;
use crate::values::{from_sql, to_sql};
use crate::{Error, Tx};
use gantry_model::ids::UnixMs;
use sqlx::AssertSqlSafe;

/// A person who may use or administer the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub email: String,
    pub admin: bool,
    pub teams: Vec<String>,
    pub created_at_ms: UnixMs,
}

/// Which people a list shows: those who meet every condition given.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserFilter<'a> {
    /// How the email begins.
    pub email_prefix: Option<&'a str>,
    pub admin: Option<bool>,
}

type Row = (String, i64, String, i64);

const ORDER: Order = Order { name: "users", keys: &[Key::Text("email")] };

const SELECT: &str = "SELECT email, admin, teams, created_at_ms FROM users WHERE tenant = $1";

impl Tx {
    /// All users, by email.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&mut self) -> Result<Vec<User>, Error> {
        let select = AssertSqlSafe(format!("{SELECT} ORDER BY email"));
        let select = Statement::new(select).bind(&self.tenant);
        self.connection.all(select).await?.into_iter().map(user).collect()
    }

    /// One page of users, by email.
    ///
    /// # Errors
    /// [`Error::BadCursor`], or when the database cannot be read.
    pub async fn user_page(
        &mut self,
        filter: UserFilter<'_>,
        paging: &Paging,
    ) -> Result<Page<User>, Error> {
        let select = Select::new(SELECT, &self.tenant)
            .begins("email", filter.email_prefix)
            .equals("admin", filter.admin.map(i64::from));
        let rows: Vec<Row> = self.connection.all(select.page(ORDER, paging)?).await?;
        let users = rows.into_iter().map(user).collect::<Result<_, _>>()?;
        list::page(users, ORDER, paging, |user: &User| vec![user.email.clone()])
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
        let insert = Statement::new(
            "INSERT INTO users (tenant, email, admin, teams, created_at_ms) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, email) DO UPDATE SET \
             admin = excluded.admin, teams = excluded.teams",
        )
        .bind(&self.tenant)
        .bind(email)
        .bind(i64::from(admin))
        .bind(teams)
        .bind(to_sql(self.now_ms));
        self.connection.execute(insert).await?;
        Ok(())
    }
}

fn user(row: Row) -> Result<User, Error> {
    let (email, admin, teams, created) = row;
    Ok(User {
        email,
        admin: admin != 0,
        teams: serde_json::from_str(&teams)
            .map_err(|e| Error::BadRow { table: "users", problem: e.to_string() })?,
        created_at_ms: from_sql("users", created)?,
    })
}
