//! What the stages tell the ledger: facts of one closed list.
//!
//! A stage says what happened and nothing of records, prices or permits; [`super::fold`] does.

use crate::admit::Admitted;
use crate::authenticate::Identified;
use crate::decode::Call;
use crate::prompt::Prompt;
use crate::refusal::Refusal;
use crate::snapshot::{Model, Snapshot};
use gantry_llm::observe::{Observer, Spent};
use gantry_model::record::{Attempt, Loss, RouteStep};
use std::sync::Arc;

/// nginx's status for a caller that closed the connection; sent to nobody.
const CALLER_LEFT: u16 = 499;
/// Why a request ended before its answer did.
pub(super) const LEFT: &str = "the caller left";
pub(crate) const STOPPED: &str = "Gantry stopped, and the time to finish was over";

/// Something that happened to a request.
pub(crate) enum Fact<'a> {
    /// The snapshot that decides on it.
    Pinned(&'a Arc<Snapshot>),
    Identified(&'a Identified),
    Decoded(&'a Call),
    /// Where it may go, with the reasons; also when it may go nowhere.
    Planned {
        admitted: &'a Admitted,
        steps: Vec<RouteStep>,
    },
    /// What was planned since.
    Considered(Vec<RouteStep>),
    AttemptEnded(Attempt),
    /// The last attempt, which had begun to answer, ended otherwise.
    AttemptBroke {
        outcome: &'static str,
        error: &'a str,
    },
    /// A stream's attempt came to its end.
    AttemptDone,
    /// The model that answers, or that failed last; its price makes the cost.
    Resolved {
        model: &'a Arc<Model>,
        losses: &'a [Loss],
    },
    /// The last attempt brought no answer, and its upstream may bill so much for it.
    AttemptBilled {
        model: &'a Model,
        spent: Spent,
    },
    /// What of the request's body is held from here on, in bytes.
    BodyKept(usize),
    /// How many bytes a reply came to, and its beginning where bodies are logged.
    Replied {
        bytes: u64,
        body: Option<String>,
    },
    Streamed(Streamed<'a>),
    Metered(Metered<'a>),
}

/// What a stream came to.
pub(crate) struct Streamed<'a> {
    pub(crate) request_losses: usize,
    /// The stream's own, which follow the request's.
    pub(crate) losses: &'a [Loss],
    pub(crate) tokens: u64,
    /// On the request's own clock.
    pub(crate) first_token_us: u64,
    pub(crate) last_token_us: u64,
}

/// What was read of a reply.
pub(crate) struct Metered<'a> {
    pub(crate) finish_reason: Option<&'a str>,
    pub(crate) observer: &'a Observer,
    pub(crate) prompt: &'a Prompt,
}

/// How a request ended, as the record says it: the last fact of all.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) status: u16,
    pub(crate) refusal: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) error: String,
}

impl Ending {
    pub(crate) fn ok(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Gantry said no.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        let error = match &refusal.note {
            Some(note) => format!("{} ({note})", refusal.public),
            None => refusal.public.clone(),
        };
        Self {
            status: refusal.kind.status(),
            refusal: refusal.kind.name(),
            fault: refusal.fault.name(),
            error,
        }
    }

    pub(super) fn left() -> Self {
        let error = LEFT.to_owned();
        Self { status: CALLER_LEFT, refusal: "", fault: "caller", error }
    }

    /// The drain is over; `status` went out before.
    pub(crate) fn stopped(status: u16) -> Self {
        Self { status, refusal: "stopped", fault: "gantry", error: STOPPED.to_owned() }
    }

    pub(super) fn panicked() -> Self {
        let error = "a defect in Gantry ended the request".to_owned();
        Self { status: 500, refusal: "", fault: "gantry", error }
    }
}
