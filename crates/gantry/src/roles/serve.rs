//! The ports: gateway workers behind the data port, the admin port beside it, until the process has
//! drained.
//!
//! The end has an order: no new connections, the requests in progress, their records in the
//! journal, the journal to where it goes.

use super::admin::{Admin, AdminService, Door, Pages};
use super::handed_over::HandedOver;
use super::process::Process;
use super::telemetry::Records;
use crate::boot::Boot;
use anyhow::Context;
use gantry_bus::Take;
use gantry_gateway::{Gateway, OtherService, Parts};
use gantry_http::server::{Limits, Listener, PortConfig, Workers, accept, listen, start_workers};
use gantry_llm::operation::Apis;
use gantry_runtime::errors::sentence;
use gantry_runtime::tasks::Shutdown;
use gantry_telemetry::journal::Reader;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

/// The records of a drained process are written within this time.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// They are taken away within this time, or stay for the next start.
const OUTLET_LIMIT: Duration = Duration::from_secs(10);

/// The usual admin port.
const ADMIN_PORT: u16 = 7101;

/// Makes the gateway that `admin` stands beside.
pub(super) fn gateway(
    boot: &Boot,
    process: &Process,
    records: &Records,
    admin: &Arc<Admin>,
) -> Gateway {
    let gateway = Gateway::new(Parts {
        apis: Apis::standard(),
        config: boot.gateway.clone(),
        clock: process.clock.clone(),
        recorder: records.recorder.clone(),
        traces: records.traces,
        other: admin.clone(),
        shutdown: process.shutdown.clone(),
    });
    // Set once: there is one gateway in a process.
    let _ = admin.gateway.set(gateway.clone());
    gateway
}

/// Puts snapshots into use.
pub(super) fn take(gateway: &Gateway, records: &Records) -> Take {
    let (gateway, metrics) = (gateway.clone(), records.metrics.clone());
    Arc::new(move |snapshot| {
        gateway.publish(snapshot);
        metrics.set_snapshot_generation(snapshot.generation.0);
    })
}

/// The pages of metrics and tasks, made on other threads than those that serve.
pub(super) fn pages(process: &Process, records: &Records) -> Arc<dyn OtherService> {
    let (metrics, board) = (records.metrics.clone(), process.kit.board().clone());
    let service = Arc::new(Pages { metrics, board });
    Arc::new(HandedOver { service, to: Handle::current() })
}

/// What the admin port serves. Without a gateway the process is ready from the start.
fn beside(process: &Process, records: &Records, gateway: OnceLock<Gateway>) -> Arc<Admin> {
    let pages = pages(process, records);
    Arc::new(Admin { gateway, pages, door: Door::Open, control: None, models: false })
}

/// Who gets these pages on the data port.
pub(super) fn door(
    boot: &Boot,
    is_administrator: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Door {
    let metrics = boot.telemetry.metrics_token.clone();
    Door::Tokens { metrics, is_administrator: Box::new(is_administrator) }
}

/// Binds the data port.
///
/// # Errors
/// When it is taken or not ours, or its certificate cannot be used.
pub(super) async fn data_port(boot: &Boot) -> anyhow::Result<Listener> {
    let used = port(boot.listen, &boot.listeners.data).await;
    used.context(
        "the data port cannot be used; name another with --listen, or with `listen` in the \
         boot file; [listeners.data] says what is spoken on it",
    )
}

/// Binds the admin port. Without a setting it is the usual one, or another one of loopback when
/// that is taken, as by another role on the same machine.
///
/// # Errors
/// When the configured one is taken or not ours, or its certificate cannot be used.
pub(super) async fn admin_port(boot: &Boot) -> anyhow::Result<Listener> {
    let config = &boot.listeners.admin;
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let used = match boot.admin_listen {
        Some(address) => port(address, config).await,
        None => match port(loopback(ADMIN_PORT), config).await {
            Ok(listener) => Ok(listener),
            Err(_) => port(loopback(0), config).await,
        },
    };
    used.context(
        "the port of /metrics cannot be used; name another with --admin-listen, or with \
         `admin_listen` in the boot file; [listeners.admin] says what is spoken on it",
    )
}

async fn port(address: SocketAddr, config: &PortConfig) -> anyhow::Result<Listener> {
    let speaks = config.open()?;
    Ok(Listener::from(listen(address).await?).speaking(speaks))
}

/// Serves the data port, by `data`, and the admin port until shutdown, then drains.
///
/// # Errors
/// When a thread of either cannot start.
pub(super) async fn until_drained(
    boot: &Boot,
    (process, records): (&Process, &Records),
    data: impl Future<Output = anyhow::Result<()>>,
    (gateway, admin_port): (OnceLock<Gateway>, Listener),
) -> anyhow::Result<()> {
    let beside = beside(process, records, gateway);
    let (served, beside) = tokio::join!(data, admin(beside, admin_port, &process.shutdown));
    served?;
    beside?;
    drain(boot, records, &process.shutdown).await;
    Ok(())
}

/// Serves models until shutdown.
///
/// # Errors
/// When a worker thread cannot start.
pub(super) async fn models(
    boot: &Boot,
    gateway: &Gateway,
    listener: Listener,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let factory = gateway.clone();
    let service = move |_worker| factory.worker();
    let workers = start_workers(boot.gateway.workers(), &Limits::default(), shutdown, service)?;
    accept(listener, workers, shutdown.clone()).await;
    Ok(())
}

/// Serves everything but models until shutdown.
///
/// # Errors
/// When its thread cannot start.
pub(super) async fn admin(
    admin: Arc<Admin>,
    listener: Listener,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let service = move |_worker| AdminService(admin.clone());
    let workers = start_workers(Workers::default(), &Limits::default(), shutdown, service)?;
    accept(listener, workers, shutdown.clone()).await;
    Ok(())
}

/// Waits for requests in progress, then for their records: until they are written, and until what
/// takes them away has the last of them.
async fn drain(boot: &Boot, records: &Records, shutdown: &Shutdown) {
    let limit = Duration::from_millis(boot.drain_timeout_ms);
    let cut = shutdown.drained(limit).await;
    if cut > 0 {
        tracing::warn!("the drain's time is over, requests in progress were cut off");
    }
    let recorder = records.recorder.clone();
    let written = tokio::task::spawn_blocking(move || recorder.close(FLUSH_LIMIT)).await;
    if !written.unwrap_or(false) {
        tracing::warn!("not all records were written in time");
    }
    records.outlets.begin();
    records.outlets.drained(OUTLET_LIMIT).await;
    match Reader::new(&records.journal_dir).segments() {
        Ok(left) if left.is_empty() => {}
        Ok(left) => {
            let bytes: u64 = left.iter().map(|segment| segment.bytes).sum();
            let (segments, dir) = (left.len(), records.journal_dir.display());
            tracing::warn!(segments, bytes, %dir, "records stay in the journal for the next start");
        }
        Err(error) => tracing::warn!(error = sentence(&error), "the journal cannot be listed"),
    }
    tracing::info!("stopped");
}

#[cfg(test)]
mod tests {
    use super::super::telemetry::{self, Journal};
    use super::*;
    use gantry_bus::{JournalRecords, Records as Receives, Refused, Segment, Shipper};
    use gantry_runtime::clock::Clock;
    use gantry_runtime::reconcile::Kit;

    /// Another journal, or nobody.
    struct Receiver(Option<JournalRecords>);

    impl Receives for Receiver {
        async fn accept(&self, segment: Segment) -> Result<(), Refused> {
            match &self.0 {
                Some(journal) => journal.accept(segment).await,
                None => Err(Refused::ForNow("nobody is there".to_owned())),
            }
        }
    }

    fn segments(dir: &std::path::Path) -> Vec<bool> {
        let found = Reader::new(dir).segments().unwrap();
        found.into_iter().map(|segment| segment.sealed).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_record_is_sealed_and_taken_away_before_the_process_ends() {
        for (there, stays, taken) in [(true, vec![], vec![true]), (false, vec![true], vec![])] {
            let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (clock, shutdown) = (Clock::system(), Shutdown::default());
            let kit = Kit::new(clock.clone(), shutdown.clone(), 1);
            let process = Process { clock: clock.clone(), shutdown, kit };
            let boot = Boot::default();
            let records = telemetry::start(&boot, ours.path(), &process, Journal::Kept).unwrap();
            let open = || JournalRecords::open(theirs.path(), &clock).unwrap();
            let shipper = Shipper::new(Receiver(there.then(open)), &records.journal_dir);
            records.outlets_kit.start(Shipper::<Receiver>::PLAN, shipper);
            // It arrives while the process drains, and nothing but the end seals it.
            process.shutdown.begin();
            tokio::task::yield_now().await;
            records.recorder.record(records.recorder.blank());
            drain(&boot, &records, &process.shutdown).await;
            assert_eq!(segments(&records.journal_dir), stays, "{there}");
            assert_eq!(segments(theirs.path()), taken, "{there}");
        }
    }
}
