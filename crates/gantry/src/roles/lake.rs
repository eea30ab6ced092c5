//! The lake of a process: opened by the boot configuration, and fed from the journal.

use super::telemetry::Records;
use crate::boot::{Boot, variable};
use gantry_cloud::credentials::Environment;
use gantry_lake::{Lake, LakeConfig};
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::spawn;
use std::path::Path;

/// Opens the lake and starts turning the journal into Parquet.
///
/// # Errors
/// When the address of the lake cannot be used, or its object store refuses what the lake does.
pub(super) async fn start(
    boot: &Boot,
    data_dir: &Path,
    records: &Records,
    clock: &Clock,
) -> anyhow::Result<Lake> {
    let path = std::path::absolute(data_dir.join("lake"))?;
    let local = format!("file://{}", path.display());
    let url = boot.records.objects_url.clone().unwrap_or(local);
    let mut config = LakeConfig::new(url, records.journal_dir.clone());
    config.retention = boot.records.retention();
    config.retention_bytes = boot.records.retention_bytes;
    config.environment = Environment::new(|name| variable(name).map(Secret::new));
    let lake = Lake::open(config, clock.clone(), records.metrics.clone())?;
    lake.check().await?;
    spawn("lake", lake.clone().run(records.outlets_kit.clone()));
    Ok(lake)
}
