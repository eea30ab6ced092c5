//! A database of its own for a test, on either engine.

use crate::{NOW_MS, TENANT, config, server};
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use gantry_store::{Store, StoreConfig};
use tempfile::TempDir;

/// Several processes on one database share it.
pub(crate) fn master_key() -> Option<Secret> {
    Some(Secret::new("ab".repeat(32)))
}

pub(crate) struct Bed {
    pub clock: Clock,
    dir: TempDir,
    /// Where the database is, unless it is SQLite.
    pub url: Option<String>,
}

impl Bed {
    pub(crate) fn sqlite() -> Self {
        Self { clock: Clock::manual(NOW_MS), dir: tempfile::tempdir().unwrap(), url: None }
    }

    pub(crate) async fn postgres() -> Self {
        Self { url: Some(server::database().await), ..Self::sqlite() }
    }

    /// What a further process on the same database would be set up with.
    pub(crate) fn config(&self, process: &str) -> StoreConfig {
        StoreConfig {
            clock: self.clock.clone(),
            url: self.url.as_deref().map(Secret::new),
            master_key: master_key(),
            ..config(&self.dir.path().join(process))
        }
    }

    pub(crate) async fn open(&self) -> Store {
        let store = Store::open(self.config("first")).await.unwrap();
        store.create_tenant(TENANT).await.unwrap();
        store
    }

    /// The store in a further process.
    pub(crate) async fn open_again(&self, process: &str) -> Store {
        Store::open(self.config(process)).await.unwrap()
    }

    /// The store as a second process sees it. A SQLite database has one process: there it is a
    /// clone.
    pub(crate) async fn second(&self, first: &Store) -> Store {
        match &self.url {
            None => first.clone(),
            Some(_) => self.open_again("second").await,
        }
    }
}
