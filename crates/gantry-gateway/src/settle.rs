//! Stage 9, settle: the ledger of one request, which becomes its one record.
//!
//! The ledger goes through all stages. [`Ledger::settle`] ends it; dropping it unsettled means that
//! the caller left, and leaves a record too, with status 499; in a panic, with status 500; at the
//! end of a drain, with status 503.

use crate::admit::Admitted;
use crate::authenticate::Identified;
use crate::decode::Call;
use crate::headers;
use crate::prompt::Prompt;
use crate::receive::{Inbound, api_of};
use crate::refusal::Refusal;
use crate::route::Plan;
use crate::shared::Shared;
use crate::snapshot::{Entry, Model, Snapshot, Virtual};
use bytes::Bytes;
use gantry_http::server::Rejected;
use gantry_kinds::kinds::global_settings::LoggingSettings;
use gantry_llm::operation::{Api, Operations};
use gantry_model::estimate;
use gantry_model::ids::{RequestId, UnixMs};
use gantry_model::record::{Attempt, Loss, LossKind, RequestRecord, RouteStep};
use gantry_model::trace::{SAMPLED, TraceParent, span_id};
use gantry_model::usage::TokenUsage;
use gantry_runtime::ids::request_id;
use http::HeaderValue;
use std::sync::Arc;

/// nginx's status for a caller that closed the connection; sent to nobody.
const CALLER_LEFT: u16 = 499;
/// Why a request ended before its answer did.
const LEFT: &str = "the caller left";
pub(crate) const STOPPED: &str = "Gantry stopped, and the time to finish was over";

/// The record in the making.
pub(crate) struct Ledger {
    /// `None` once settled.
    record: Option<Box<RequestRecord>>,
    shared: Arc<Shared>,
    id: RequestId,
    /// The API that the caller speaks.
    pub(crate) api: &'static Api,
    started_us: u64,
    /// The last look at the clock.
    now_us: u64,
    /// When the body was there, if it was waited for.
    body_came_us: Option<u64>,
    /// The caller's span.
    parent: Option<TraceParent>,
    model: Option<Arc<Model>>,
    /// The virtual model that was asked for.
    pub(crate) applied: Option<Arc<Virtual>>,
    pub(crate) log_bodies: bool,
    logging: Option<LoggingSettings>,
}

/// What is known of a request when its record begins.
pub(crate) struct Opening<'a> {
    api: &'static Api,
    operation: &'static str,
    traceparent: Option<&'a str>,
}

impl<'a> Opening<'a> {
    pub(crate) fn of(inbound: &'a Inbound) -> Self {
        Self {
            api: inbound.api,
            operation: inbound.operation_name(),
            traceparent: inbound.headers.text(headers::TRACEPARENT),
        }
    }

    pub(crate) fn of_rejected(rejected: &Rejected, operations: &Operations) -> Self {
        let api = api_of(&rejected.target, operations);
        Self { api, operation: "unknown", traceparent: None }
    }
}

/// What was read of a reply.
pub(crate) struct Observed<'a> {
    pub(crate) usage: Option<TokenUsage>,
    /// Whether `usage` covers the whole reply, not only its beginning.
    pub(crate) usage_is_final: bool,
    /// Whether the upstream sent a count that is beyond belief.
    pub(crate) usage_is_doubted: bool,
    pub(crate) output_bytes: u64,
    pub(crate) prompt: &'a Prompt,
}

/// How a request ended, as the record says it.
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

    fn left() -> Self {
        let error = LEFT.to_owned();
        Self { status: CALLER_LEFT, refusal: "", fault: "caller", error }
    }

    /// The drain is over; `status` went out before.
    pub(crate) fn stopped(status: u16) -> Self {
        Self { status, refusal: "stopped", fault: "gantry", error: STOPPED.to_owned() }
    }

    fn panicked() -> Self {
        let error = "a defect in Gantry ended the request".to_owned();
        Self { status: 500, refusal: "", fault: "gantry", error }
    }
}

impl Ledger {
    /// Why a request is dropped before its end.
    pub(crate) fn cut(&self) -> &'static str {
        if self.shared.shutdown.ending() { STOPPED } else { LEFT }
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
        let started_us = shared.clock.monotonic_us();
        Self {
            record: Some(record),
            shared: shared.clone(),
            id,
            api: opening.api,
            started_us,
            now_us: started_us,
            body_came_us: None,
            parent,
            model: None,
            applied: None,
            log_bodies: false,
            logging: None,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
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

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The record, while it is open.
    pub(crate) fn with(&mut self, edit: impl FnOnce(&mut RequestRecord)) {
        if let Some(record) = &mut self.record {
            edit(record);
        }
    }

    pub(crate) fn pin(&mut self, snapshot: &Snapshot) {
        self.logging = snapshot.logging.clone();
        self.with(|record| {
            record.tenant.clone_from(&snapshot.tenant);
            record.snapshot_generation = snapshot.generation.0;
        });
    }

    pub(crate) fn identify(&mut self, identified: &Identified) {
        self.with(|record| {
            record.subject.clone_from(&identified.caller.subject);
            record.teams.clone_from(&identified.caller.teams);
            record.key_name.push_str(&identified.key_name);
            record.metadata.clone_from(&identified.caller.tags);
        });
    }

    pub(crate) fn decoded(&mut self, call: &Call) {
        self.log_bodies = match &self.logging {
            Some(LoggingSettings::Always) => true,
            Some(LoggingSettings::Never) => false,
            Some(LoggingSettings::HeaderControlled { log_body_by_default }) => {
                call.wishes.log_bodies.unwrap_or(*log_body_by_default)
            }
            None => call.wishes.log_bodies.unwrap_or(false),
        };
        self.body_came_us = call.body_came_us;
        let body = self.log_bodies.then(|| self.logged(&call.body));
        self.with(|record| {
            record.metadata.clone_from(&call.metadata);
            record.model.clone_from(&call.model);
            record.stream = call.stream;
            record.request_bytes = call.body.len() as u64;
            record.request_body = body;
        });
    }

    pub(crate) fn planned(&mut self, admitted: &Admitted, plan: &mut Plan) {
        let from_us = self.body_came_us.unwrap_or(self.started_us);
        let gateway_us = self.now_us.saturating_sub(from_us);
        if let Entry::Virtual(model) = &admitted.entry {
            self.applied = Some(model.clone());
        }
        self.with(|record| {
            record.gateway_us = gateway_us;
            if let Entry::Virtual(model) = &admitted.entry {
                let (target, verdict) = (model.id.clone(), "expanded".into());
                let reason = model.reason.clone().into();
                record.route.push(RouteStep { target, verdict, reason });
            }
            record.route.append(&mut plan.steps);
            if let Entry::Real(model) = &admitted.entry {
                let (target, verdict) = (model.id.clone(), "chosen".into());
                let reason = "named by the request".into();
                record.route.push(RouteStep { target, verdict, reason });
            }
        });
    }

    /// The header that names the next attempt's span; `None` when no spans are sent.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        let record = self.record.as_ref().filter(|_| self.shared.traces)?;
        let number = record.attempts.len() as u64 + 1;
        let (trace_id, flags) =
            self.parent.map_or((self.id.0, SAMPLED), |parent| (parent.trace_id, parent.flags));
        let span = TraceParent { trace_id, span_id: span_id(self.id, number), flags };
        HeaderValue::from_str(&span.to_string()).ok()
    }

    pub(crate) fn attempted(&mut self, attempt: Attempt) {
        self.with(|record| record.attempts.push(attempt));
    }

    /// The model that answers; its price makes the cost.
    pub(crate) fn resolved(&mut self, model: &Arc<Model>, losses: &[Loss]) {
        self.model = Some(model.clone());
        self.with(|record| {
            record.resolved_model.clone_from(&model.id);
            record.provider.clone_from(&model.upstream.provider.name);
            record.upstream_model.clone_from(&model.upstream_model);
            record.fidelity = losses.to_vec();
        });
    }

    /// The part of a body that goes into the record.
    pub(crate) fn logged(&self, body: &[u8]) -> String {
        let limit = self.shared.config.logged_body_bytes_max;
        String::from_utf8_lossy(body.get(..limit).unwrap_or(body)).into_owned()
    }

    pub(crate) fn log_reply(&mut self, body: &Bytes) {
        let logged = self.log_bodies.then(|| self.logged(body));
        self.with(|record| {
            record.response_bytes = body.len() as u64;
            record.response_body = logged;
        });
    }

    /// Takes the upstream's token counts, and estimates what it did not report.
    pub(crate) fn observed(&mut self, observed: &Observed<'_>) {
        if observed.usage_is_doubted {
            self.with(|record| record.fidelity.push(doubted()));
        }
        match observed.usage {
            Some(usage) if observed.usage_is_final => self.charge(usage, false),
            partial => {
                let mut usage = partial.unwrap_or_default();
                if usage.input == 0 {
                    usage.input = observed.prompt.tokens(self.api.dialect);
                }
                let output = estimate::tokens_from_text_bytes(observed.output_bytes);
                usage.output = usage.output.max(output);
                self.charge(usage, true);
            }
        }
    }

    /// The caller left an upstream that had the prompt: it bills at least that.
    pub(crate) fn left(&mut self, prompt_tokens: u64) {
        self.charge(TokenUsage { input: prompt_tokens, ..TokenUsage::default() }, true);
    }

    /// Tokens and their cost; `estimated` when Gantry counted them itself.
    fn charge(&mut self, usage: TokenUsage, estimated: bool) {
        let model = self.model.clone();
        self.with(|record| {
            record.usage = usage;
            record.usage_estimated = estimated;
            let price = model.as_ref().and_then(|model| model.price.as_ref());
            if let Some(charge) = price.and_then(|p| p.charge(&usage, record.received_at_ms)) {
                record.cost = charge.cost;
                charge.version.clone_into(&mut record.price_version);
            }
        });
    }

    pub(crate) fn refuse(mut self, refusal: &Refusal) {
        self.look();
        let error = match &refusal.detail {
            Some(detail) => format!("{} ({detail})", refusal.public),
            None => refusal.public.clone(),
        };
        self.settle(Ending {
            status: refusal.kind.status(),
            refusal: refusal.kind.name(),
            fault: refusal.fault.name(),
            error,
        });
    }

    /// Ends the ledger with its one record, at the last look at the clock.
    pub(crate) fn settle(mut self, ending: Ending) {
        self.finish(ending);
    }

    fn finish(&mut self, ending: Ending) {
        let duration_us = self.elapsed_us();
        let Some(mut record) = self.record.take() else { return };
        record.duration_us = duration_us;
        record.status = ending.status;
        record.refusal = ending.refusal.into();
        record.fault = ending.fault.into();
        record.error = ending.error;
        self.shared.recorder.record(record);
    }
}

/// What a record says of a usage that is not believed.
fn doubted() -> Loss {
    Loss {
        field: "reply.usage".to_owned(),
        kind: LossKind::Approximated,
        note: "the upstream's count is beyond belief, so it is estimated".to_owned(),
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.record.is_none() {
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
