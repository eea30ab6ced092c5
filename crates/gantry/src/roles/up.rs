//! `gantry up`: everything in one process, on embedded defaults.

use super::admin::Admin;
use super::analytics::LakeAnalytics;
use super::control_threads::ControlThreads;
use super::greeting::{self, Started};
use super::handed_over::HandedOver;
use super::process::{self, Process};
use super::sink::Sink;
use super::telemetry::{self, Journal, Records};
use super::{discovery, lake, serve};
use crate::boot::{self, Boot};
use crate::credentials::{self, Credentials};
use gantry_bus::{Follower, JournalRecords, LocalSnapshots};
use gantry_control::{Api, Control, ControlConfig, FirstStart};
use gantry_gateway::{OtherBody, OtherService};
use gantry_http::server::DetachedBody;
use gantry_model::secret::Secret;
use gantry_runtime::tasks::Shutdown;
use http::{Request, Response};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

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
    process::run(&boot, |process| up(&boot, process))
}

async fn up(boot: &Boot, process: Process) -> anyhow::Result<()> {
    let listener = serve::data_port(boot).await?;
    let admin_port = serve::admin_port(boot).await?;
    let address = listener.local_addr()?;
    let host = format!("{}://{address}", boot.listeners.data.scheme());
    let data_dir = boot.data_dir()?;
    let threads = ControlThreads::start()?;
    let records = telemetry::start(boot, &data_dir, &process, Journal::Kept)?;
    let sink = Sink(JournalRecords::open(&records.journal_dir, &process.clock)?);
    let lake = lake::start(boot, &data_dir, &records, &process.clock).await?;
    let analytics = LakeAnalytics { lake, background: threads.handle() };
    // Before the store is there: a start that fails on it has made no token yet.
    let named = discovery::named()?;
    let mut config = control_config(boot, &process.shutdown, analytics, sink)?;
    config.short_names = true;
    let (control, first) = Control::open(config).await?;
    remember(&data_dir, &host, first.as_ref())?;
    let found = discovery::find(named).await;
    let search = discovery::apply(&control, &data_dir, found, first.is_some()).await?;
    let data = Arc::new(data_admin(boot, &process, &records, (&control, &threads), true));
    let gateway = serve::gateway(boot, &process, &records, &data);
    let snapshots = control.subscribe();
    let present = snapshots.borrow().clone();
    let mut follower = Follower::new(LocalSnapshots(snapshots), serve::take(&gateway, &records));
    follower.begin_with(present.clone());
    process.kit.start(Follower::<LocalSnapshots>::PLAN, follower);
    threads.keep_up(&control, &process.kit);
    process::announce(&greeting::text(&Started {
        host: &host,
        admin: &format!("{}://{}", boot.listeners.admin.scheme(), admin_port.local_addr()?),
        data_dir: &data_dir,
        first: first.as_ref(),
        search: &search,
        snapshot: &present,
        unresolved: &control.unresolved(),
    }));
    let data = serve::models(boot, &gateway, listener, &process.shutdown);
    let admin = (OnceLock::from(gateway.clone()), admin_port);
    serve::until_drained(boot, (&process, &records), data, admin).await?;
    control.close().await;
    Ok(())
}

/// What the data port of a control plane serves, beside models or alone.
pub(super) fn data_admin(
    boot: &Boot,
    process: &Process,
    records: &Records,
    (control, threads): (&Control, &ControlThreads),
    models: bool,
) -> Admin {
    let known = control.clone();
    Admin {
        gateway: OnceLock::new(),
        pages: serve::pages(process, records),
        door: serve::door(boot, move |token| known.is_administrator(token)),
        control: Some(Arc::new(HandedOver {
            service: Arc::new(ControlPlane(control.api())),
            to: threads.handle(),
        })),
        models,
    }
}

/// The control plane's API as a service of a port.
struct ControlPlane(Api);

impl OtherService for ControlPlane {
    fn call(&self, request: Request<DetachedBody>) -> Answer {
        let api = self.0.clone();
        Box::pin(async move { api.call(request).await.map(|body| -> OtherBody { Box::pin(body) }) })
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>>;

/// What a control plane on embedded adapters is opened with.
///
/// # Errors
/// When there is no usable data directory.
pub(crate) fn control_config(
    boot: &Boot,
    shutdown: &Shutdown,
    analytics: LakeAnalytics,
    sink: Sink,
) -> anyhow::Result<ControlConfig> {
    let mut config = ControlConfig::new(boot.data_dir()?);
    config.store_url = boot.store.url.clone();
    config.shutdown = shutdown.clone();
    config.environment = Arc::new(|name| boot::variable(name).map(Secret::new));
    config.variables = boot.secrets.env.clone();
    config.master_key = boot::variable("GANTRY_MASTER_KEY").map(Secret::new);
    config.analytics = Some(Arc::new(analytics));
    config.records = Some(Arc::new(sink));
    Ok(config)
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
