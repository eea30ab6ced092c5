//! Sealed values by reference.

use crate::statement::Statement;
use crate::values::to_sql;
use crate::{Error, Tx};
use gantry_model::secret::Secret;

impl Tx {
    /// Seals a value under `reference`. `owner` says whose it is, so that it can go with its
    /// owner: [`Tx::delete_secret`] is the caller's to call. Returns whether anything changed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_secret(
        &mut self,
        reference: &str,
        owner: &str,
        value: &Secret,
    ) -> Result<bool, Error> {
        if self.secret(reference).await?.as_ref() == Some(value) {
            return Ok(false);
        }
        let sealed = self.sealer.seal(&what(&self.tenant, reference), value.expose().as_bytes())?;
        self.touch();
        let insert = Statement::new(
            "INSERT INTO secrets (tenant, reference, owner, sealed, updated_at_ms) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, reference) DO UPDATE SET \
             owner = excluded.owner, sealed = excluded.sealed, \
             updated_at_ms = excluded.updated_at_ms",
        )
        .bind(&self.tenant)
        .bind(reference)
        .bind(owner)
        .bind(sealed)
        .bind(to_sql(self.now_ms));
        self.connection.execute(insert).await?;
        Ok(true)
    }

    /// The clear value, or `None` when nothing is stored under `reference`.
    ///
    /// # Errors
    /// [`Error::Unsealable`] when the row was damaged; else when the database cannot be read.
    pub async fn secret(&mut self, reference: &str) -> Result<Option<Secret>, Error> {
        let select =
            Statement::new("SELECT sealed FROM secrets WHERE tenant = $1 AND reference = $2")
                .bind(&self.tenant)
                .bind(reference);
        let sealed: Option<(String,)> = self.connection.first(select).await?;
        sealed.map(|(s,)| self.sealer.open_text(&what(&self.tenant, reference), &s)).transpose()
    }

    /// All references with their owners, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn secret_references(&mut self) -> Result<Vec<(String, String)>, Error> {
        let select = Statement::new(
            "SELECT reference, owner FROM secrets WHERE tenant = $1 ORDER BY reference",
        )
        .bind(&self.tenant);
        self.connection.all(select).await
    }

    /// Forgets a value.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_secret(&mut self, reference: &str) -> Result<(), Error> {
        self.touch();
        let delete = Statement::new("DELETE FROM secrets WHERE tenant = $1 AND reference = $2")
            .bind(&self.tenant)
            .bind(reference);
        self.connection.execute(delete).await?;
        Ok(())
    }
}

/// What a sealed value is bound to.
fn what(tenant: &str, reference: &str) -> String {
    format!("{reference} of tenant {tenant}")
}
