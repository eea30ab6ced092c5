//! The control plane's work beside requests: it follows changes that other processes made in the
//! same database, and removes tokens that have long ended. Roles start it once.

use crate::tokens::ENDED_KEPT_MS;
use crate::{Control, Error};
use gantry_runtime::reconcile::{AtShutdown, Backoff, Failure, Kit, Next, Plan, Reconcile};
use std::time::Duration;

/// A token that was ended at one control plane is refused by the gateways of another after at most
/// this long. Each look is one row of the database.
const FOLLOW: Plan = Plan {
    name: "publish",
    period: Duration::from_secs(1),
    backoff: Backoff { first: Duration::from_secs(1), max: Duration::from_secs(5) },
    at_shutdown: AtShutdown::Drop,
};

const REMOVE: Plan = Plan {
    name: "ended-tokens",
    period: Duration::from_secs(3600),
    backoff: Backoff { first: Duration::from_secs(60), max: Duration::from_secs(3600) },
    at_shutdown: AtShutdown::Drop,
};

impl Control {
    /// Starts the work beside requests on the present runtime, which it may keep busy for as long
    /// as a publication takes.
    pub fn start_upkeep(&self, kit: &Kit) {
        kit.start(FOLLOW, Publishing(self.clone()));
        kit.start(REMOVE, EndedTokens(self.clone()));
    }

    async fn remove_ended_tokens(&self) -> Result<u64, Error> {
        let mut tx = self.0.store.write(&self.0.tenant).await?;
        let before_ms = tx.now_ms().saturating_sub(ENDED_KEPT_MS);
        let removed = tx.delete_ended_tokens(before_ms).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

/// Publishes what was committed, whoever did.
struct Publishing(Control);

impl Reconcile for Publishing {
    async fn pass(&mut self) -> Result<Next, Failure> {
        self.0.publish().await?;
        Ok(Next::Rest)
    }

    fn trouble(&self) -> &'static str {
        "the stored changes cannot be read, gateways go on with what they have"
    }

    fn relief(&self) -> &'static str {
        "the stored changes are published"
    }
}

struct EndedTokens(Control);

impl Reconcile for EndedTokens {
    async fn pass(&mut self) -> Result<Next, Failure> {
        let removed = self.0.remove_ended_tokens().await?;
        if removed > 0 {
            tracing::debug!(removed, "tokens that had ended were removed");
        }
        Ok(Next::Rest)
    }

    fn trouble(&self) -> &'static str {
        "tokens that have ended cannot be removed"
    }

    fn relief(&self) -> &'static str {
        "tokens that have ended are removed again"
    }
}
