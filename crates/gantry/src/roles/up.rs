//! `gantry up`: everything in one process, on embedded defaults.

use super::admin::Admin;
use super::analytics::LakeAnalytics;
use super::greeting::{self, Started};
use super::shipped::JournalSink;
use super::{discovery, follow, process, serve, telemetry};
use crate::boot::{self, Boot};
use crate::cli::{self, Credentials};
use anyhow::Context;
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
    let host = format!("http://{address}");
    let data_dir = boot.data_dir()?;
    let clock = Clock::system();
    let records = telemetry::start(boot, &data_dir, &clock, &shutdown)?;
    let sink = JournalSink::open(&records.journal_dir, &clock)?;
    let lake = telemetry::lake(boot, &data_dir, &records, &clock, &shutdown).await?;
    let analytics = LakeAnalytics { lake, background: Handle::current() };
    // Before the store is there: a start that fails on it has made no token yet.
    let named = discovery::named()?;
    let (control, first) = open_control(&data_dir, &shutdown, analytics, sink).await?;
    remember(&data_dir, &host, first.as_ref())?;
    let found = discovery::find(named).await;
    let search = discovery::apply(&control, &data_dir, found, first.is_some()).await?;
    let admin = Arc::new(Admin {
        gateway: OnceLock::new(),
        metrics: Some(records.metrics.clone()),
        control: Some(control.api()),
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
    }));
    serve::serve(boot, &gateway, listener, &shutdown).await?;
    serve::drain(boot, &records, &shutdown).await;
    control.close().await;
    Ok(())
}

/// Opens the control plane on embedded adapters.
///
/// # Errors
/// When the data directory does not hold a usable store.
pub(crate) async fn open_control(
    data_dir: &Path,
    shutdown: &Shutdown,
    analytics: LakeAnalytics,
    sink: JournalSink,
) -> anyhow::Result<(Control, Option<FirstStart>)> {
    let mut config = ControlConfig::new(data_dir);
    config.shutdown = shutdown.clone();
    config.environment = Arc::new(|name| boot::variable(name).map(Secret::new));
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
    let path = data_dir.join(cli::CREDENTIALS_FILE);
    let old: Option<Credentials> =
        std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let token = first.map(|first| first.token.expose().to_owned()).or(old.map(|old| old.token));
    let Some(token) = token else { return Ok(()) };
    let credentials = Credentials { host: host.to_owned(), token };
    replace_private(&path, &serde_json::to_vec_pretty(&credentials)?)
        .with_context(|| format!("write {}", path.display()))
}

/// Replaces a file whole, so that an end at any moment leaves the one or the other.
fn replace_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let begun = path.with_extension("part");
    let mut file = boot::create_private_file(&begun)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&begun, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn credentials_are_replaced_whole_and_only_when_they_changed() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(cli::CREDENTIALS_FILE);
        let inode = || std::fs::metadata(&path).unwrap().ino();
        let first = FirstStart {
            tenant: "default".to_owned(),
            admin: "admin@localhost".to_owned(),
            token: Secret::new("tfy_first"),
        };
        remember(dir.path(), "http://127.0.0.1:7100", None).unwrap();
        assert!(!path.exists(), "there is no token to leave");
        remember(dir.path(), "http://127.0.0.1:7100", Some(&first)).unwrap();
        // A second name keeps the old file's inode from being used again.
        std::fs::hard_link(&path, dir.path().join("old")).unwrap();
        let before = inode();
        remember(dir.path(), "http://127.0.0.1:7100", None).unwrap();
        assert_eq!(inode(), before);
        remember(dir.path(), "http://127.0.0.1:7200", None).unwrap();
        assert_ne!(inode(), before, "another file in its place");
        let saved = std::fs::read_to_string(&path).unwrap();
        assert!(saved.contains(":7200") && saved.contains("tfy_first"), "{saved}");
        assert!(!path.with_extension("part").exists());
    }
}
