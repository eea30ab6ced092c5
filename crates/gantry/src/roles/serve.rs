//! The data port: gateway workers behind one listener, until the process has drained.

use super::admin::{Admin, AdminService};
use super::telemetry::Records;
use crate::boot::Boot;
use anyhow::Context;
use gantry_gateway::{Gateway, Parts};
use gantry_http::server::{Limits, Workers, accept, listen, start_workers};
use gantry_llm::operation::Apis;
use gantry_runtime::clock::Clock;
use gantry_runtime::tasks::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The records of a drained process are written within this time.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Makes the gateway that `admin` stands beside.
pub(super) fn gateway(
    boot: &Boot,
    clock: &Clock,
    records: &Records,
    admin: &Arc<Admin>,
    shutdown: &Shutdown,
) -> Gateway {
    let gateway = Gateway::new(Parts {
        apis: Apis::standard(),
        config: boot.gateway.clone(),
        clock: clock.clone(),
        recorder: records.recorder.clone(),
        traces: records.traces,
        other: admin.clone(),
        shutdown: shutdown.clone(),
    });
    // Set once: there is one gateway in a process.
    let _ = admin.gateway.set(gateway.clone());
    gateway
}

/// Binds the data port.
///
/// # Errors
/// When it is taken or not ours.
pub(super) async fn data_port(boot: &Boot) -> anyhow::Result<TcpListener> {
    listen(boot.listen).await.context(
        "the data port cannot be used; name another with --listen, or with `listen` in the \
         boot file",
    )
}

/// Serves until shutdown, then drains.
///
/// # Errors
/// When a worker thread cannot start.
pub(super) async fn serve(
    boot: &Boot,
    gateway: &Gateway,
    listener: TcpListener,
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
    listener: TcpListener,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let service = move |_worker| AdminService(admin.clone());
    let workers = start_workers(Workers::default(), &Limits::default(), shutdown, service)?;
    accept(listener, workers, shutdown.clone()).await;
    Ok(())
}

/// Waits for requests in progress, then for their records.
pub(super) async fn drain(boot: &Boot, records: &Records, shutdown: &Shutdown) {
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
    tracing::info!("stopped");
}
