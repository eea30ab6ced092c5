//! Who merges and deletes the files of a lake: one process, however many use it.
//!
//! In a folder the owner holds a lock, which ends with its process. In an object store it holds a
//! lease: an object that names the owner and until when, and that is written only on condition that
//! nobody else has written it. Another process takes over when the lease is over. Clocks may differ
//! and an owner may be held up past its lease, so nothing relies on it for correctness: mergings
//! are safe by themselves ([`crate::compact`]). Used by the lake's maintenance only.

use crate::store::{If, Store};
use crate::{Error, Lake};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// How long a lease is good for, in milliseconds: three rounds of compaction.
pub(crate) const LEASE_MS: u64 = 180_000;
/// It is renewed when less is left, so that most rounds do not write.
const RENEW_MS: u64 = 120_000;

/// What the lease object says.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    owner: String,
    until_ms: u64,
}

/// What this process knows of the ownership.
#[derive(Debug)]
pub(crate) struct Owner {
    id: String,
    held: Option<Held>,
    /// What was logged last.
    told: Option<bool>,
}

#[derive(Debug)]
enum Held {
    /// Locked until the file is closed.
    Lock {
        _file: File,
    },
    Lease {
        version: UpdateVersion,
        until_ms: u64,
    },
}

impl Default for Owner {
    fn default() -> Self {
        let parts = std::iter::repeat_with(gantry_runtime::ids::fast_random_u64).take(2);
        let id = parts.map(|part| format!("{part:016x}")).collect();
        Self { id, held: None, told: None }
    }
}

impl Owner {
    /// Takes the lake, or keeps it. False while another process has it.
    pub(crate) async fn hold(&mut self, store: &Store, now_ms: u64) -> Result<bool, Error> {
        match store.lock_file()? {
            Some(path) => self.lock(&path),
            None => self.lease(store, now_ms).await,
        }
    }

    /// Gives the lake up, so that another process need not wait for the lease's end.
    pub(crate) async fn release(&mut self, store: &Store) -> Result<(), Error> {
        match self.held.take() {
            Some(Held::Lease { version, .. }) => {
                self.write(store, 0, If::Still(version)).await.map(|_| ())
            }
            Some(Held::Lock { .. }) | None => Ok(()),
        }
    }

    fn lock(&mut self, path: &Path) -> Result<bool, Error> {
        if self.held.is_some() {
            return Ok(true);
        }
        let failed = |source| Error::Owner { source };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                self.held = Some(Held::Lock { _file: file });
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    async fn lease(&mut self, store: &Store, now_ms: u64) -> Result<bool, Error> {
        if let Some(Held::Lease { until_ms, .. }) = &self.held
            && now_ms.saturating_add(RENEW_MS) <= *until_ms
        {
            return Ok(true);
        }
        let condition = match self.held.take() {
            Some(Held::Lease { version, .. }) => If::Still(version),
            Some(Held::Lock { .. }) | None => match self.vacant(store, now_ms).await? {
                Some(condition) => condition,
                None => return Ok(false),
            },
        };
        self.write(store, now_ms.saturating_add(LEASE_MS), condition).await
    }

    /// On what condition the lease may be taken; `None` while another process has it.
    async fn vacant(&self, store: &Store, now_ms: u64) -> Result<Option<If>, Error> {
        let Some((bytes, version)) = store.versioned(&store.lease()).await? else {
            return Ok(Some(If::Absent));
        };
        // One that cannot be read is nobody's.
        let lease = serde_json::from_slice::<Lease>(&bytes).ok();
        let others = lease.filter(|lease| lease.owner != self.id && lease.until_ms > now_ms);
        Ok(others.is_none().then_some(If::Still(version)))
    }

    async fn write(&mut self, store: &Store, until_ms: u64, on: If) -> Result<bool, Error> {
        let lease = serde_json::to_vec(&Lease { owner: self.id.clone(), until_ms })?;
        let version = store.put_if(&store.lease(), lease, on).await?;
        self.held =
            version.filter(|_| until_ms > 0).map(|version| Held::Lease { version, until_ms });
        Ok(self.held.is_some())
    }
}

impl Lake {
    /// Whether this process may merge and delete files now. The log tells when that changes.
    pub(crate) async fn owned(&self, owner: &mut Owner) -> Result<bool, Error> {
        let owned = owner.hold(&self.0.store, self.0.clock.unix_ms()).await?;
        self.0.metrics.set_lake_owner(owned);
        match (owner.told.replace(owned), owned) {
            (Some(before), now) if before == now => {}
            (_, true) => tracing::info!("this process merges and deletes the lake's files"),
            (_, false) => tracing::info!("another process merges and deletes the lake's files"),
        }
        Ok(owned)
    }

    /// Gives the ownership up at the end of the process.
    pub(crate) async fn disown(&self) {
        let mut owner = self.0.maintenance.lock().await;
        self.0.metrics.set_lake_owner(false);
        if let Err(error) = owner.release(&self.0.store).await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "the lease on the lake runs out by itself");
        }
    }
}
