//! A role's life: runtime, signals, drain.

use crate::boot::{self, Boot};
use crate::out;
use gantry_runtime::clock::Clock;
use gantry_runtime::ids::fast_random_u64;
use gantry_runtime::reconcile::Kit;
use gantry_runtime::tasks::{Shutdown, spawn};
use std::future::Future;
use std::time::Duration;

/// Threads that accept connections and do what is short: none of it may keep one busy.
const BACKGROUND_THREADS: usize = 2;

/// What all parts of a process share.
pub(super) struct Process {
    pub clock: Clock,
    pub shutdown: Shutdown,
    /// Starts background work, which ends when the shutdown begins.
    pub kit: Kit,
}

/// Runs a role until it ends or a signal comes, then drains.
///
/// # Errors
/// When the role cannot start.
pub(super) fn run<F, Fut>(boot: &Boot, role: F) -> anyhow::Result<()>
where
    F: FnOnce(Process) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    boot::keep_files_private();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .max_blocking_threads(8)
        .thread_name("background")
        .enable_all()
        .build()?;
    let shutdown = Shutdown::default();
    let limit = Duration::from_millis(boot.drain_timeout_ms);
    let done = runtime.block_on(async {
        spawn("signals", signals(shutdown.clone(), limit));
        let clock = Clock::system();
        let kit = Kit::new(clock.clone(), shutdown.clone(), fast_random_u64());
        role(Process { clock, shutdown, kit }).await
    });
    // Whatever still blocks a thread may not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Prints what a person needs after the start. A role serves on when nobody reads it.
pub(super) fn announce(text: &str) {
    if let Err(error) = out::settled(out::text(text)) {
        tracing::warn!(error = format!("{error:#}"), "the start was not announced");
    }
}

/// The first signal begins the drain, the second ends it, so that streams get their error and
/// requests their records at once; the third ends the process.
async fn signals(shutdown: Shutdown, limit: Duration) {
    ignore_others();
    interrupted().await;
    let seconds = limit.as_secs_f64();
    tracing::info!("stopping; streams have {seconds} s to end, a second Ctrl-C cuts them off");
    shutdown.begin();
    interrupted().await;
    shutdown.end();
    interrupted().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let ends = (signal(SignalKind::terminate()), signal(SignalKind::quit()));
    let (Ok(mut terminate), Ok(mut quit)) = ends else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = quit.recv() => {}
    }
}

/// Signals that would end the process at once, in the midst of its streams and without their
/// records: a terminal that is closed sends the first, scripts that rotate logs any of them.
#[cfg(unix)]
fn ignore_others() {
    use tokio::signal::unix::{SignalKind, signal};
    let others = [
        ("SIGHUP", SignalKind::hangup()),
        ("SIGUSR1", SignalKind::user_defined1()),
        ("SIGUSR2", SignalKind::user_defined2()),
        ("SIGALRM", SignalKind::alarm()),
    ];
    for (name, kind) in others {
        let Ok(mut received) = signal(kind) else { continue };
        spawn("signals", async move {
            while received.recv().await.is_some() {
                tracing::info!(signal = name, "ignored; SIGTERM stops the process");
            }
        });
    }
}

#[cfg(not(unix))]
fn ignore_others() {}

#[cfg(not(unix))]
async fn interrupted() {
    // Without signals the process ends with its console.
    let _ = tokio::signal::ctrl_c().await;
}
