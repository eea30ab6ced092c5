//! `gantry gateway`: the request path alone, fed by a control plane or by manifest files.

use super::admin::Admin;
use super::files::{Directory, Files};
use super::process::{self, Process};
use super::serve;
use super::telemetry::{self, Journal, Records};
use crate::boot::{self, Boot};
use anyhow::bail;
use gantry_bus::{ControlPlane, Follower, HttpRecords, HttpSnapshots, Shipper, SnapshotFile};
use gantry_gateway::Gateway;
use gantry_kinds::variables::Allowed;
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
    #[command(flatten)]
    flags: boot::Flags,
}

/// Serves models until a signal.
///
/// # Errors
/// When the configuration, the port, the manifests or the data directory cannot be used.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let boot = boot::read(&arguments.flags)?;
    // Two takers of one journal would each get a part of it.
    if arguments.control_plane.is_some() && boot.records.objects_url.is_some() {
        bail!(
            "`objects_url` in [records] does not go with --control-plane: this gateway sends its \
             records to the control plane, which keeps them; set it there, and take it out here, \
             from the boot file or GANTRY_RECORDS__OBJECTS_URL"
        );
    }
    process::run(&boot, |process| gateway(&boot, &arguments, process))
}

async fn gateway(boot: &Boot, arguments: &Arguments, process: Process) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let data_dir = boot.data_dir()?.join("gateway");
    let records = telemetry::start(boot, &data_dir, &process, journal(arguments))?;
    let data = Arc::new(Admin {
        gateway: OnceLock::new(),
        pages: serve::pages(&process, &records),
        // Administrators are the control plane's; their tokens are for it.
        door: serve::door(boot, |_| false),
        control: None,
        models: true,
    });
    let gateway = serve::gateway(boot, &process, &records, &data);
    let variables = &boot.secrets.env;
    feed(arguments, (&data_dir, variables), &gateway, (&process, &records))?;
    #[cfg(feature = "control-plane")]
    if arguments.config.is_some() {
        super::lake::start(boot, &data_dir, &records, &process.clock).await?;
    }
    let admin_port = serve::admin_port(boot).await?;
    process::announce(&format!(
        "Gantry's gateway is up at {}://{}, metrics at {}://{}/metrics\n{}",
        boot.listeners.data.scheme(),
        listener.local_addr()?,
        boot.listeners.admin.scheme(),
        admin_port.local_addr()?,
        if gateway.ready() { "" } else { NOT_READY },
    ));
    let data = serve::models(boot, &gateway, listener, &process.shutdown);
    let admin = (OnceLock::from(gateway.clone()), admin_port);
    serve::until_drained(boot, (&process, &records), data, admin).await?;
    Ok(())
}

/// A gateway that neither ships records nor has a lake keeps none.
fn journal(arguments: &Arguments) -> Journal {
    match arguments.control_plane.is_some() || cfg!(feature = "control-plane") {
        true => Journal::Kept,
        false => {
            tracing::warn!(
                "records are not kept: this build has no lake, and without --control-plane nobody \
                 takes them; metrics, the log and traces have them"
            );
            Journal::None
        }
    }
}

/// Starts what brings snapshots and takes records away.
fn feed(
    arguments: &Arguments,
    (data_dir, variables): (&Path, &Allowed),
    gateway: &Gateway,
    (process, records): (&Process, &Records),
) -> anyhow::Result<()> {
    match (&arguments.config, &arguments.control_plane) {
        (Some(dir), _) => {
            let files = Files { dir: dir.clone(), variables: variables.clone() };
            let directory = Directory::open(files, gateway)?;
            process.kit.start(Directory::PLAN, directory);
        }
        (None, Some(control_plane)) => {
            let variable = || std::env::var("GANTRY_TOKEN").ok();
            let Some(token) = arguments.token.clone().or_else(variable) else {
                bail!("no token: create one with `gantry token NAME --gateway`, give it by --token")
            };
            let file = SnapshotFile::new(data_dir.join("snapshot.sealed"), &token)?;
            let control_plane = ControlPlane::new(control_plane, &token)?;
            let shipper = Shipper::new(HttpRecords(control_plane.clone()), &records.journal_dir);
            records.outlets_kit.start(Shipper::<HttpRecords>::PLAN, shipper);
            let take = serve::take(gateway, records);
            let follower = Follower::new(HttpSnapshots::new(control_plane), take).kept_in(file);
            process.kit.start(Follower::<HttpSnapshots>::PLAN, follower);
        }
        (None, None) => {
            bail!("say where the configuration comes from: --control-plane or --config")
        }
    }
    Ok(())
}
