//! `gantry control-plane`: API and publisher without a gateway.

use super::analytics::LakeAnalytics;
use super::control_threads::ControlThreads;
use super::process::{self, Process};
use super::sink::Sink;
use super::telemetry::{self, Journal};
use super::{lake, serve, up};
use crate::boot::{self, Boot};
use gantry_bus::JournalRecords;
use gantry_control::Control;
use std::sync::{Arc, OnceLock};

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
    process::run(&boot, |process| control_plane(&boot, process))
}

async fn control_plane(boot: &Boot, process: Process) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let admin_port = serve::admin_port(boot).await?;
    let data_dir = boot.data_dir()?;
    let threads = ControlThreads::start()?;
    let records = telemetry::start(boot, &data_dir, &process, Journal::Kept)?;
    let sink = Sink(JournalRecords::open(&records.journal_dir, &process.clock)?);
    let lake = lake::start(boot, &data_dir, &records, &process.clock).await?;
    let analytics = LakeAnalytics { lake, background: threads.handle() };
    let config = up::control_config(boot, &process.shutdown, analytics, sink)?;
    let (control, first) = Control::open(config).await?;
    let host = format!("{}://{}", boot.listeners.data.scheme(), listener.local_addr()?);
    up::remember(&data_dir, &host, first.as_ref())?;
    let data = up::data_admin(boot, &process, &records, (&control, &threads), false);
    let mut said = format!(
        "Gantry's control plane is up at {host}, metrics at {}://{}/metrics (data in {})\n",
        boot.listeners.admin.scheme(),
        admin_port.local_addr()?,
        data_dir.display()
    );
    if let Some(first) = &first {
        said += &format!("  Administrator {} of tenant {}\n", first.admin, first.tenant);
        said += &format!("  Token         {} (shown only now)\n", first.token.expose());
    }
    threads.keep_up(&control, &process.kit);
    process::announce(&said);
    let data = serve::admin(Arc::new(data), listener, &process.shutdown);
    serve::until_drained(boot, (&process, &records), data, (OnceLock::new(), admin_port)).await?;
    control.close().await;
    Ok(())
}
