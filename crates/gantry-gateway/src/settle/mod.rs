//! Stage 9, settle: the ledger of one request, fed by facts, which becomes its one record.
//!
//! The ledger goes through all stages. [`Ledger::settle`] ends it; dropping it unsettled means that
//! the caller left, and leaves a record too, with status 499; in a panic, with status 500; at the
//! end of a drain, with status 503. What the request holds of any bound, its permits, goes back
//! with the ledger in every case.

mod fact;
mod fold;

pub(crate) use fact::{Ending, Fact, Metered, STOPPED, Streamed};

use crate::bodies::HeldBytes;
use crate::headers;
use crate::receive::{Inbound, api_of};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::snapshot::Virtual;
use fold::{Folded, Moment};
use gantry_http::server::Rejected;
use gantry_llm::operation::{Api, Operations};
use gantry_model::ids::{RequestId, UnixMs};
use gantry_model::trace::{SAMPLED, TraceParent, span_id};
use gantry_runtime::ids::request_id;
use http::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The record in the making.
pub(crate) struct Ledger {
    /// `None` once settled.
    folded: Option<Folded>,
    shared: Arc<Shared>,
    id: RequestId,
    /// The API that the caller speaks.
    pub(crate) api: &'static Api,
    started_us: u64,
    /// The last look at the clock.
    now_us: u64,
    /// When the body was there.
    body_came_us: u64,
    /// The caller's span.
    parent: Option<TraceParent>,
    permits: Permits,
}

/// What a request holds of bounds that it shares with others; given back when dropped.
struct Permits {
    body: HeldBytes,
}

/// What is known of a request when its record begins.
pub(crate) struct Opening<'a> {
    api: &'static Api,
    operation: &'static str,
    traceparent: Option<&'a str>,
    peer: Option<SocketAddr>,
}

impl<'a> Opening<'a> {
    pub(crate) fn of(inbound: &'a Inbound) -> Self {
        Self {
            api: inbound.api,
            operation: inbound.operation_name(),
            traceparent: inbound.headers.text(headers::TRACEPARENT),
            peer: inbound.peer,
        }
    }

    pub(crate) fn of_rejected(rejected: &Rejected, operations: &Operations) -> Self {
        let api = api_of(&rejected.target, operations);
        Self { api, operation: "unknown", traceparent: None, peer: None }
    }
}

impl Ledger {
    /// Why a request is dropped before its end.
    pub(crate) fn cut(&self) -> &'static str {
        if self.shared.shutdown.ending() { STOPPED } else { fact::LEFT }
    }

    pub(crate) fn open(shared: &Arc<Shared>, opening: &Opening<'_>) -> Self {
        let id = request_id(&shared.clock);
        let parent = opening.traceparent.and_then(TraceParent::parse);
        let mut record = shared.recorder.blank();
        record.id = Some(id);
        record.received_at_ms = id.unix_ms();
        record.operation = opening.operation.into();
        record.dialect = opening.api.name.into();
        if let Some(span) = parent {
            record.trace_id = format!("{:032x}", span.trace_id);
            record.parent_span_id = format!("{:016x}", span.span_id);
        }
        if let Some(peer) = opening.peer {
            record.peer = peer.ip().to_string();
        }
        let started_us = shared.clock.monotonic_us();
        Self {
            folded: Some(Folded::begin(record)),
            shared: shared.clone(),
            id,
            api: opening.api,
            started_us,
            now_us: started_us,
            body_came_us: started_us,
            parent,
            permits: Permits { body: HeldBytes::none(&shared.bodies) },
        }
    }

    /// Takes what a stage has to tell.
    pub(crate) fn note(&mut self, fact: Fact<'_>) {
        if let Fact::Decoded(call) = &fact {
            self.body_came_us = call.body_came_us.unwrap_or(self.started_us);
        }
        if let Fact::BodyKept(bytes) = &fact {
            self.permits.body.shrink_to(*bytes);
        }
        let moment = Moment {
            elapsed_us: self.elapsed_us(),
            body_came_us: self.since_start(self.body_came_us),
            dialect: self.api.dialect,
            logged_bytes_max: self.shared.config.logged_body_bytes_max,
        };
        if let Some(folded) = &mut self.folded {
            folded.fold(fact, &moment);
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// What the request's body has taken of the bound for all bodies.
    pub(crate) fn body(&mut self) -> &mut HeldBytes {
        &mut self.permits.body
    }

    /// The virtual model that was asked for.
    pub(crate) fn applied(&self) -> Option<&Arc<Virtual>> {
        self.folded.as_ref()?.applied.as_ref()
    }

    /// The part of a body that goes into the record, where bodies do.
    pub(crate) fn logged(&self, body: &[u8]) -> Option<String> {
        let limit = self.shared.config.logged_body_bytes_max;
        self.logs_bodies().then(|| fold::logged(body, limit))
    }

    pub(crate) fn logs_bodies(&self) -> bool {
        self.folded.as_ref().is_some_and(|folded| folded.log_bodies)
    }

    /// Looks at the clock: monotonic time in microseconds.
    pub(crate) fn look(&mut self) -> u64 {
        self.now_us = self.shared.clock.monotonic_us();
        self.now_us
    }

    /// The time at the last look. Between two waits a request looks once.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Microseconds from the receipt of the request to the last look.
    pub(crate) fn elapsed_us(&self) -> u64 {
        self.since_start(self.now_us)
    }

    /// Wall time in milliseconds at the last look.
    pub(crate) fn now_ms(&self) -> UnixMs {
        self.id.unix_ms().saturating_add(self.elapsed_us() / 1000)
    }

    /// A moment of the monotonic clock, in microseconds since the request was received.
    pub(crate) fn since_start(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.started_us)
    }

    /// What was left of the request's time as a whole at the last look. It runs from the moment
    /// when the body was there: how long that may take is `decode`'s matter.
    pub(crate) fn left(&self) -> Duration {
        let whole = Duration::from_millis(self.shared.config.request_timeout_ms);
        whole.saturating_sub(Duration::from_micros(self.now_us.saturating_sub(self.body_came_us)))
    }

    /// How long the caller of a stream may still hear nothing; `None`: as long as it takes.
    pub(crate) fn head_in(&self) -> Option<Duration> {
        let wait = self.shared.config.stream_head_wait()?;
        let waited = Duration::from_micros(self.now_us.saturating_sub(self.body_came_us));
        Some(wait.saturating_sub(waited))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The header that names the next attempt's span; `None` when no spans are sent.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        let folded = self.folded.as_ref().filter(|_| self.shared.traces)?;
        let number = folded.record.attempts.len() as u64 + 1;
        let (trace_id, flags) =
            self.parent.map_or((self.id.0, SAMPLED), |parent| (parent.trace_id, parent.flags));
        let span = TraceParent { trace_id, span_id: span_id(self.id, number), flags };
        HeaderValue::from_str(&span.to_string()).ok()
    }

    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        self.look();
        self.finish(Ending::refused(refusal));
    }

    /// The same behind a head that said 200.
    pub(crate) fn refuse_late(mut self, refusal: &Refusal) {
        self.look();
        self.finish(Ending { status: 200, ..Ending::refused(refusal) });
    }

    /// Ends the ledger with its one record, at the last look at the clock.
    pub(crate) fn settle(mut self, ending: Ending) {
        self.finish(ending);
    }

    fn finish(&mut self, ending: Ending) {
        let duration_us = self.elapsed_us();
        let Some(Folded { mut record, .. }) = self.folded.take() else { return };
        record.duration_us = duration_us;
        record.status = ending.status;
        record.refusal = ending.refusal.into();
        record.fault = ending.fault.into();
        record.error = ending.error;
        record.cut();
        self.shared.recorder.record(record);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.folded.is_none() {
            return;
        }
        self.look();
        self.finish(match self.shared.shutdown.ending() {
            _ if std::thread::panicking() => Ending::panicked(),
            true => Ending::stopped(503),
            false => Ending::left(),
        });
    }
}
