//! `gantry up`: everything in one process, on embedded defaults.

use super::admin::Admin;
use super::analytics::LakeAnalytics;
use super::greeting::{self, Started};
use super::shipped::JournalSink;
use super::{discovery, follow, process, serve, telemetry};
use crate::boot::{self, Boot};
use crate::credentials::{self, Credentials};
use gantry_control::{Control, ControlConfig, FirstStart};
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::{Shutdown, spawn};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    flags: boot::Flags,
}

/// Starts control plane and gateway and serves until a signal.
///
/// # Errors
/// When the configuration, the port or the data directory cannot be used.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let boot = boot::read(&arguments.flags)?;
    process::run(&boot, |shutdown| up(&boot, shutdown))
}

async fn up(boot: &Boot, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let address = listener.local_addr()?;
    let host = format!("{}://{address}", boot.listeners.data.scheme());
    let data_dir = boot.data_dir()?;
    let clock = Clock::system();
    let records = telemetry::start(boot, &data_dir, &clock, &shutdown)?;
    let sink = JournalSink::open(&records.journal_dir, &clock)?;
    let lake = telemetry::lake(boot, &data_dir, &records, &clock, &shutdown).await?;
    let analytics = LakeAnalytics { lake, background: Handle::current() };
    // Before the store is there: a start that fails on it has made no token yet.
    let named = discovery::named()?;
    let (control, first) = open_control(boot, &shutdown, analytics, sink).await?;
    remember(&data_dir, &host, first.as_ref())?;
    let found = discovery::find(named).await;
    let search = discovery::apply(&control, &data_dir, found, first.is_some()).await?;
    let admin = Arc::new(Admin {
        gateway: OnceLock::new(),
        metrics: Some(records.metrics.clone()),
        control: Some(control.api()),
        models: true,
    });
    let gateway = serve::gateway(boot, &clock, &records, &admin, &shutdown);
    let mut snapshots = control.subscribe();
    gateway.publish(&snapshots.borrow_and_update());
    spawn("publish", follow::local(snapshots, gateway.clone(), records.metrics.clone()));
    let snapshot = control.snapshot();
    process::announce(&greeting::text(&Started {
        host: &host,
        data_dir: &data_dir,
        first: first.as_ref(),
        search: &search,
        snapshot: &snapshot,
        unresolved: &control.unresolved(),
    }));
    serve::serve(boot, &gateway, listener, &shutdown).await?;
    serve::drain(boot, &records, &shutdown).await;
    control.close().await;
    Ok(())
}

/// Opens the control plane on embedded adapters.
///
/// # Errors
/// When there is no usable store.
pub(crate) async fn open_control(
    boot: &Boot,
    shutdown: &Shutdown,
    analytics: LakeAnalytics,
    sink: JournalSink,
) -> anyhow::Result<(Control, Option<FirstStart>)> {
    let mut config = ControlConfig::new(boot.data_dir()?);
    config.store_url = boot.store.url.clone();
    config.shutdown = shutdown.clone();
    config.environment = Arc::new(|name| boot::variable(name).map(Secret::new));
    config.variables = boot.secrets.env.clone();
    config.master_key = boot::variable("GANTRY_MASTER_KEY").map(Secret::new);
    config.analytics = Some(Arc::new(analytics));
    config.records = Some(Arc::new(sink));
    Ok(Control::open(config).await?)
}

/// Leaves the address, and on the first start the token, to the commands on this machine. Roles
/// call it as soon as the control plane is open: the token of a first start is nowhere else.
pub(crate) fn remember(
    data_dir: &Path,
    host: &str,
    first: Option<&FirstStart>,
) -> anyhow::Result<()> {
    let token = match first {
        Some(first) => Some(first.token.expose().to_owned()),
        None => credentials::read(data_dir).map(|left| left.token),
    };
    let Some(token) = token else { return Ok(()) };
    credentials::write(data_dir, &Credentials { host: host.to_owned(), token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_stays_beside_a_new_address() {
        let dir = tempfile::tempdir().unwrap();
        let first = FirstStart {
            tenant: "default".to_owned(),
            admin: "admin@localhost".to_owned(),
            token: Secret::new("tfy_first"),
        };
        let left = || credentials::read(dir.path()).map(|left| (left.host, left.token));
        let here = |port: u16| format!("http://127.0.0.1:{port}");
        remember(dir.path(), &here(7100), None).unwrap();
        assert_eq!(left(), None, "there is no token to leave");
        remember(dir.path(), &here(7100), Some(&first)).unwrap();
        remember(dir.path(), &here(7200), None).unwrap();
        assert_eq!(left(), Some((here(7200), "tfy_first".to_owned())));
    }
}
