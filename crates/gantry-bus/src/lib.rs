//! What goes between a control plane and its gateways: snapshots down, records up, and leases.
//!
//! ```text
//! control plane ─ Snapshots ─▶ Follower ─▶ gateway        (follow.rs)
//! control plane ◀─ Records ── Shipper ◀─ journal          (ship.rs)
//! any process   ── Leases ─▶ who may do what alone        (leases.rs)
//! ```
//!
//! Three ports, and adapters for them: within a process, and over HTTP (`http_*.rs`, the side that
//! calls). The roles choose. The two loops are reconcilers of `gantry-runtime`: each pass begins
//! from what there is. This crate never looks into a snapshot or a record, but for what
//! `format.rs` has to know, and it knows neither the gateway nor the control plane.

mod control_plane;
mod follow;
mod format;
mod http_records;
mod http_snapshots;
mod journal;
mod leases;
mod local;
mod records;
mod sealed;
mod ship;
mod snapshots;

pub use control_plane::{ControlPlane, Error as ControlPlaneError};
pub use follow::{Follower, Take};
pub use format::Snapshot;
pub use http_records::HttpRecords;
pub use http_snapshots::HttpSnapshots;
pub use journal::{Error as JournalError, JournalRecords};
pub use leases::{Error as LeaseError, InProcess, Lease, Leases};
pub use local::LocalSnapshots;
pub use records::{Records, Refused, Segment};
pub use sealed::{Error as SealedError, SnapshotFile};
pub use ship::Shipper;
pub use snapshots::Snapshots;
