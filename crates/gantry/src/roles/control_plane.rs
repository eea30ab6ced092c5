//! `gantry control-plane`: API and publisher without a gateway.

use super::admin::Admin;
use super::analytics::LakeAnalytics;
use super::shipped::JournalSink;
use super::{process, serve, telemetry, up};
use crate::boot::{self, Boot};
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: boot::Flags,
}

/// Serves the control plane until a signal.
///
/// # Errors
/// When the configuration, the port or the data directory cannot be used.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let boot = boot::read(&arguments.flags)?;
    process::run(&boot, |shutdown| control_plane(&boot, shutdown))
}

async fn control_plane(boot: &Boot, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let data_dir = boot.data_dir()?;
    let clock = Clock::system();
    let records = telemetry::start(boot, &data_dir, &clock, &shutdown)?;
    let sink = JournalSink::open(&records.journal_dir, &clock)?;
    let lake = telemetry::lake(boot, &data_dir, &records, &clock, &shutdown).await?;
    let analytics = LakeAnalytics { lake, background: Handle::current() };
    let (control, first) = up::open_control(boot, &data_dir, &shutdown, analytics, sink).await?;
    let host = format!("http://{}", listener.local_addr()?);
    up::remember(&data_dir, &host, first.as_ref())?;
    let admin = Arc::new(Admin {
        gateway: OnceLock::new(),
        metrics: Some(records.metrics.clone()),
        control: Some(control.api()),
        models: false,
    });
    let mut said =
        format!("Gantry's control plane is up at {host} (data in {})\n", data_dir.display());
    if let Some(first) = &first {
        said += &format!("  Administrator {} of tenant {}\n", first.admin, first.tenant);
        said += &format!("  Token         {} (shown only now)\n", first.token.expose());
    }
    process::announce(&said);
    serve::admin(admin, listener, &shutdown).await?;
    serve::drain(boot, &records, &shutdown).await;
    control.close().await;
    Ok(())
}
