//! What activates background work before its period is over.
//!
//! Activations that come while a pass runs count as one, and are never lost.

use std::future::{Future, pending};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Asks for a pass.
pub trait Trigger: Send {
    /// Returns when a pass is asked for. It may be dropped and called again without losing one.
    fn fired(&mut self) -> impl Future<Output = ()> + Send;
}

/// Nothing but the period.
#[derive(Clone, Copy, Debug)]
pub struct OnPeriod;

impl Trigger for OnPeriod {
    async fn fired(&mut self) {
        pending().await
    }
}

/// Asks for a pass by a call; clones ask for the same.
#[derive(Clone, Debug, Default)]
pub struct Activator(Arc<Notify>);

impl Activator {
    /// A pass begins soon after this call, also when one runs now.
    pub fn activate(&self) {
        self.0.notify_one();
    }
}

impl Trigger for Activator {
    async fn fired(&mut self) {
        self.0.notified().await;
    }
}

/// Each change asks for a pass. When nobody can change the value any more, the period is left.
impl<T: Send + Sync> Trigger for watch::Receiver<T> {
    async fn fired(&mut self) {
        if self.changed().await.is_err() {
            pending().await
        }
    }
}
