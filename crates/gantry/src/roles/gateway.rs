//! `gantry gateway`: the request path alone, fed by a control plane or by manifest files.

use super::admin::Admin;
use super::files::Files;
use super::follow::Remote;
use super::snapshot_file::SnapshotFile;
use super::telemetry::Records;
use super::{process, serve, ship, telemetry};
use crate::boot::{self, Boot};
use anyhow::bail;
use gantry_gateway::Gateway;
use gantry_kinds::variables::Allowed;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::{Shutdown, spawn};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Said at the start of a gateway that cannot serve yet.
const NOT_READY: &str = "  It has no snapshot yet, and refuses every request with 503 until the \
    control plane has sent one.\n";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory of manifests to serve from, without a control plane.
    #[arg(long, value_name = "DIR", conflicts_with = "control_plane")]
    config: Option<PathBuf>,
    /// Control plane to take snapshots from.
    #[arg(long, value_name = "URL", value_parser = boot::http_url)]
    control_plane: Option<String>,
    /// The gateway's own token (`gantry token NAME --gateway`) [env: GANTRY_TOKEN].
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Address of `/metrics`; each gateway of a machine needs its own.
    #[arg(long, value_name = "ADDRESS", value_parser = boot::socket_address)]
    admin_listen: Option<SocketAddr>,
    #[command(flatten)]
    flags: boot::Flags,
}

/// Serves models until a signal.
///
/// # Errors
/// When the configuration, the port, the manifests or the data directory cannot be used.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut boot = boot::read(&arguments.flags)?;
    boot.admin_listen = arguments.admin_listen.unwrap_or(boot.admin_listen);
    // Two takers of one journal would each get a part of it.
    if arguments.control_plane.is_some() && boot.records.objects_url.is_some() {
        bail!(
            "`objects_url` in [records] does not go with --control-plane: this gateway sends its \
             records to the control plane, which keeps them; set it there, and take it out here, \
             from the boot file or GANTRY_RECORDS__OBJECTS_URL"
        );
    }
    process::run(&boot, |shutdown| gateway(&boot, &arguments, shutdown))
}

async fn gateway(boot: &Boot, arguments: &Arguments, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let data_dir = boot.data_dir()?.join("gateway");
    let clock = Clock::system();
    let records = telemetry::start(boot, &data_dir, &clock, &shutdown)?;
    let beside =
        Arc::new(Admin { gateway: OnceLock::new(), metrics: None, control: None, models: true });
    let gateway = serve::gateway(boot, &clock, &records, &beside, &shutdown);
    let variables = &boot.secrets.env;
    feed(arguments, (&data_dir, variables), &gateway, &records, &shutdown)?;
    if arguments.config.is_some() {
        telemetry::lake(boot, &data_dir, &records, &clock, &shutdown).await?;
    }
    let admin = serve::admin_port(boot).await?;
    process::announce(&format!(
        "Gantry's gateway is up at {}://{}, metrics at {}://{}/metrics\n{}",
        boot.listeners.data.scheme(),
        listener.local_addr()?,
        boot.listeners.admin.scheme(),
        admin.local_addr()?,
        if gateway.ready() { "" } else { NOT_READY },
    ));
    let admin_state = Arc::new(Admin {
        gateway: OnceLock::from(gateway.clone()),
        metrics: Some(records.metrics.clone()),
        control: None,
        models: false,
    });
    let stop = shutdown.clone();
    let beside = async move { serve::admin(admin_state, admin, &stop).await };
    let (served, admin) = tokio::join!(serve::serve(boot, &gateway, listener, &shutdown), beside);
    served?;
    admin?;
    serve::drain(boot, &records, &shutdown).await;
    Ok(())
}

/// Starts what brings snapshots and takes records away.
fn feed(
    arguments: &Arguments,
    (data_dir, variables): (&Path, &Allowed),
    gateway: &Gateway,
    records: &Records,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    match (&arguments.config, &arguments.control_plane) {
        (Some(dir), _) => {
            let files = Files { dir: dir.clone(), variables: variables.clone() };
            gateway.publish(&files.load()?);
            let follower = files.follow(gateway.clone(), shutdown.clone());
            spawn("manifest files", follower);
        }
        (None, Some(control_plane)) => {
            let variable = || std::env::var("GANTRY_TOKEN").ok();
            let Some(token) = arguments.token.clone().or_else(variable) else {
                bail!("no token: create one with `gantry token NAME --gateway`, give it by --token")
            };
            let file = SnapshotFile::new(data_dir.join("snapshot.sealed"), &token)?;
            let journal = records.journal_dir.clone();
            let shipper = ship::Shipper::new(control_plane, &token, &journal);
            spawn("ship records", shipper.run(shutdown.clone()));
            let remote = Remote {
                control_plane: control_plane.clone(),
                token,
                file,
                gateway: gateway.clone(),
                metrics: records.metrics.clone(),
            };
            let have = remote.start_from_disk();
            spawn("follow control plane", remote.run(have, shutdown.clone()));
        }
        (None, None) => {
            bail!("say where the configuration comes from: --control-plane or --config")
        }
    }
    Ok(())
}
