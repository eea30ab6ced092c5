//! Stage 8, relay: the reply to the caller, frame by frame, with backpressure.
//!
//! A whole reply is one frame and goes out at once; what was metered is settled the same way for
//! both. After the first byte a failure becomes an error event in the caller's dialect, never a
//! silent end. Dropping the relay (the caller left) closes the upstream's connection at once.

use crate::attempt::{Break, End, Gated, Pump, Step, Told, error_blames_target};
use crate::config::shown;
use crate::prompt::Prompt;
use crate::refusal::{Refusal, RefusalKind};
use crate::settle::{Ending, Fact, Ledger, Metered, STOPPED, Streamed};
use bytes::Bytes;
use gantry_llm::dialect::Dialect;
use gantry_llm::errors::{self, ErrorKind, ErrorView};
use gantry_telemetry::metrics::OpenStream;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Longest wait for the end of the framing once the stream's own end mark is there.
const END_WAIT: Duration = Duration::from_secs(1);

/// What of a reply goes out.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and never kept")]
pub(crate) enum Out {
    /// All of it.
    Whole(Bytes),
    Stream(Box<Relay>),
    /// Nothing: a screen stopped it before its first byte.
    Blocked(Refusal, Ledger),
}

/// A reply as it comes from the gate, with what its relay needs of the attempt.
pub(crate) struct Inflow {
    pub(crate) gated: Gated,
    pub(crate) started_us: u64,
    pub(crate) request_losses: usize,
    pub(crate) prompt: Prompt,
}

/// Sends a reply on, or begins to.
pub(crate) fn relay(inflow: Inflow, mut ledger: Ledger) -> Out {
    let pump = &inflow.gated.pump;
    if let End::Blocked(why) = &inflow.gated.end {
        ledger.note(Fact::Metered(metered(pump, &inflow.prompt)));
        return Out::Blocked(Refusal::caller(RefusalKind::Blocked, why.clone()), ledger);
    }
    if inflow.gated.stream {
        return Out::Stream(Box::new(Relay::new(inflow, ledger)));
    }
    let body = inflow.gated.first;
    ledger.note(Fact::Replied { bytes: body.len() as u64, body: ledger.logged(&body) });
    if pump.metered {
        // Earlier targets, pauses and the caller's upload are not this target's time. The attempt
        // has just ended and looked at the clock.
        let (now_us, usage) = (ledger.now_us(), pump.usage());
        let spent_us = now_us.saturating_sub(inflow.started_us);
        let spent = usage.map(|usage| (spent_us, usage.output.max(1)));
        pump.model.health.measured(now_us, None, spent);
        ledger.note(Fact::Metered(metered(pump, &inflow.prompt)));
    }
    ledger.settle(Ending::ok(200));
    Out::Whole(body)
}

fn metered<'a>(pump: &'a Pump, prompt: &'a Prompt) -> Metered<'a> {
    Metered { finish_reason: pump.finish_reason(), observer: &pump.observer, prompt }
}

/// A stream on its way to the caller.
pub struct Relay {
    pump: Pump,
    /// Pieces that are ready to go out.
    queue: VecDeque<Bytes>,
    /// Gone once settled.
    ledger: Option<Ledger>,
    dialect: &'static dyn Dialect,
    prompt: Prompt,
    idle: Pin<Box<Sleep>>,
    idle_limit: Duration,
    /// Longest time from the first token to the end.
    stream_us_max: u64,
    /// When something came last, on the request's own clock.
    last_read_us: u64,
    times: Times,
    logged: Option<Vec<u8>>,
    /// How many of the record's losses are the request's; the stream's follow them.
    request_losses: usize,
    /// Counts this stream as open while it lives.
    _open: OpenStream,
}

/// When tokens came, on the request's own clock.
struct Times {
    /// When the attempt that answers began, on the monotonic clock.
    attempt_us: u64,
    first_token_us: u64,
    last_token_us: u64,
    tokens: u64,
    bytes: u64,
}

impl Relay {
    fn new(inflow: Inflow, ledger: Ledger) -> Self {
        let Inflow { gated, started_us, request_losses, prompt } = inflow;
        let config = &ledger.shared().config;
        let (idle_limit, stream_us_max) =
            (config.idle_timeout(), config.stream_timeout_ms.saturating_mul(1000));
        let elapsed_us = ledger.elapsed_us();
        let logged = ledger.logs_bodies().then(Vec::new);
        let open = ledger.shared().recorder.metrics().stream_opened();
        let times = Times {
            attempt_us: started_us,
            first_token_us: elapsed_us,
            last_token_us: elapsed_us,
            tokens: u64::from(gated.tokens),
            bytes: 0,
        };
        let mut relay = Self {
            pump: gated.pump,
            queue: VecDeque::with_capacity(2),
            dialect: ledger.api.dialect,
            ledger: Some(ledger),
            prompt,
            idle: Box::pin(tokio::time::sleep(idle_limit)),
            idle_limit,
            stream_us_max,
            last_read_us: elapsed_us,
            times,
            logged,
            request_losses,
            _open: open,
        };
        relay.push(gated.first);
        gated.more.into_iter().for_each(|bytes| relay.push(bytes));
        match gated.end {
            End::Error(error) => relay.upstream_error(&error),
            End::Ended => relay.ended(),
            End::Open => relay.hurry(),
            End::Blocked(why) => relay.blocked(why),
        }
        relay
    }

    /// Whether the drain is over, which wakes every connection.
    fn stops(&self) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.shared().shutdown.ending())
    }

    /// A stream whose end mark is there already was whole.
    fn stop(&mut self) {
        if self.pump.observer.ended() {
            let step = self.pump.end();
            return self.step(step);
        }
        let message = STOPPED.to_owned();
        self.push_error("stopped", ErrorKind::Internal, 503, message);
        self.attempt_ended("cancelled", STOPPED);
        self.settle(Ending::stopped(200));
    }

    /// The next piece; `None` after the last.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.queue.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            if self.ledger.is_none() {
                return Poll::Ready(None);
            }
            // First: an upstream that always has more, or a slow caller, must not put it off.
            if self.stops() {
                self.stop();
                continue;
            }
            match self.pump.poll_step(cx) {
                Poll::Ready(step) => self.step(step),
                Poll::Pending => ready!(self.poll_idle(cx)),
            }
        }
    }

    fn step(&mut self, step: Step) {
        self.last_read_us = self.elapsed_us();
        match step {
            Step::Events { bytes, tokens, error, .. } => {
                if tokens > 0 {
                    self.times.tokens += u64::from(tokens);
                    self.times.last_token_us = self.last_read_us;
                }
                self.push(bytes);
                match error {
                    Some(error) => self.upstream_error(&error),
                    None => self.hurry(),
                }
            }
            Step::Ended { bytes } => {
                self.push(bytes);
                self.ended();
            }
            Step::Blocked(why) => self.blocked(why),
            Step::Failed(broken) => self.broken(&broken),
        }
        // Looked at when something came: what is silent ends by the idle limit.
        let took_us = self.last_read_us.saturating_sub(self.times.first_token_us);
        if took_us > self.stream_us_max && self.ledger.is_some() {
            let limit = shown(Duration::from_micros(self.stream_us_max));
            let message =
                format!("the stream took longer than {limit}, the gateway's limit for one");
            self.fail("stream_timeout", ErrorKind::Timeout, message);
        }
    }

    /// A screen stopped the stream; what it saw is not sent.
    fn blocked(&mut self, why: String) {
        self.push_error("blocked", ErrorKind::ContentFilter, 400, why.clone());
        self.attempt_ended("blocked", &why);
        let (refusal, fault) = (RefusalKind::Blocked.name(), "caller");
        self.settle(Ending { status: 200, refusal, fault, error: why });
    }

    /// Behind the end mark only the framing's end is waited for, and not for long.
    fn hurry(&mut self) {
        if self.pump.observer.ended() && self.idle_limit > END_WAIT {
            self.idle_limit = END_WAIT;
            self.idle.as_mut().reset(Instant::now() + END_WAIT);
        }
    }

    /// Ready when nothing came for too long; the stream has failed then, unless it was whole. An
    /// upstream that leaves the framing open is left with its connection.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.idle.as_mut().poll(cx));
            let idle_us = self.elapsed_us().saturating_sub(self.last_read_us);
            let left = self.idle_limit.saturating_sub(Duration::from_micros(idle_us));
            if left.is_zero() {
                break;
            }
            self.idle.as_mut().reset(Instant::now() + left);
        }
        if self.pump.observer.ended() {
            let step = self.pump.end();
            self.step(step);
            return Poll::Ready(());
        }
        let message = format!("the model sent nothing for {}", shown(self.idle_limit));
        self.blame();
        self.fail("idle_timeout", ErrorKind::Timeout, message);
        Poll::Ready(())
    }

    fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.times.bytes += bytes.len() as u64;
        if let (Some(logged), Some(ledger)) = (&mut self.logged, &self.ledger) {
            let room = ledger.shared().config.logged_body_bytes_max.saturating_sub(logged.len());
            logged.extend_from_slice(bytes.get(..room).unwrap_or(&bytes));
        }
        self.queue.push_back(bytes);
    }

    fn ended(&mut self) {
        let measured = self.measured();
        self.elapsed_us();
        if let (Some(ledger), Some((first, output))) = (&self.ledger, measured) {
            self.pump.model.health.measured(ledger.now_us(), Some(first), output);
        }
        self.note(Fact::AttemptDone);
        self.settle(Ending::ok(200));
    }

    /// First-token time of the attempt, and time and number of the tokens after it.
    fn measured(&self) -> Option<(u64, Option<(u64, u64)>)> {
        let ledger = self.ledger.as_ref()?;
        let began = ledger.since_start(self.times.attempt_us);
        let first = self.times.first_token_us.saturating_sub(began);
        let spent = self.times.last_token_us.saturating_sub(self.times.first_token_us);
        // Reasoning that was not shown was done before the first token.
        let shown = self.pump.observer.shows_reasoning();
        let tokens = self.pump.usage().map_or(self.times.tokens, |usage| match shown {
            true => usage.output,
            false => usage.output.saturating_sub(usage.reasoning),
        });
        Some((first, (tokens > 1).then(|| (spent, tokens - 1))))
    }

    /// The upstream's own error event, unless its bytes went on already.
    fn upstream_error(&mut self, told: &Told) {
        let error = &told.view;
        if !told.shown {
            let mut shown = error.clone();
            shown.request_id = self.request_id();
            self.push(errors::print_event(self.dialect, &shown).into());
        }
        if error_blames_target(error) {
            self.blame();
        }
        self.failed("stream_error", error.message.clone());
    }

    /// Notes a failure that speaks against the target.
    fn blame(&self) {
        if let Some(ledger) = &self.ledger {
            self.pump.model.health.broke(ledger.now_us());
        }
    }

    fn broken(&mut self, broken: &Break) {
        let (outcome, message) = broken.describe();
        // As before the first byte, a large reply is not held against the target.
        if !matches!(broken, Break::TooLarge(_)) {
            self.blame();
        }
        self.fail(outcome, ErrorKind::Upstream, message);
    }

    fn fail(&mut self, outcome: &'static str, kind: ErrorKind, message: String) {
        let status = if kind == ErrorKind::Timeout { 504 } else { 502 };
        self.push_error(outcome, kind, status, message.clone());
        self.failed(outcome, message);
    }

    fn push_error(&mut self, code: &str, kind: ErrorKind, status: u16, message: String) {
        let (code, request_id) = (Some(code.to_owned()), self.request_id());
        let error = ErrorView { status, kind, code, param: None, message, request_id };
        self.push(errors::print_event(self.dialect, &error).into());
    }

    fn failed(&mut self, outcome: &'static str, message: String) {
        self.attempt_ended(outcome, &message);
        // The status line went out with 200; the record says what the reply was worth.
        self.settle(Ending { status: 200, refusal: outcome, fault: "upstream", error: message });
    }

    /// Tells how the attempt ended that brought the stream.
    fn attempt_ended(&mut self, outcome: &'static str, error: &str) {
        self.elapsed_us();
        self.note(Fact::AttemptBroke { outcome, error });
    }

    fn note(&mut self, fact: Fact<'_>) {
        if let Some(ledger) = &mut self.ledger {
            ledger.note(fact);
        }
    }

    fn settle(&mut self, ending: Ending) {
        self.account();
        if let Some(ledger) = self.ledger.take() {
            ledger.settle(ending);
        }
    }

    /// Tells what the stream came to so far.
    fn account(&mut self) {
        let Some(ledger) = &mut self.ledger else { return };
        let body = self.logged.take().map(|body| String::from_utf8_lossy(&body).into_owned());
        ledger.note(Fact::Replied { bytes: self.times.bytes, body });
        ledger.note(Fact::Streamed(Streamed {
            request_losses: self.request_losses,
            losses: self.pump.losses(),
            tokens: self.times.tokens,
            first_token_us: self.times.first_token_us,
            last_token_us: self.times.last_token_us,
        }));
        ledger.note(Fact::Metered(metered(&self.pump, &self.prompt)));
    }

    /// Looks at the clock: microseconds since the request was received.
    fn elapsed_us(&mut self) -> u64 {
        let Some(ledger) = &mut self.ledger else { return 0 };
        ledger.look();
        ledger.elapsed_us()
    }

    fn request_id(&self) -> String {
        self.ledger.as_ref().map(|ledger| ledger.id().to_string()).unwrap_or_default()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Unsettled: the caller left, which the ledger's own drop says, or took nothing any more
        // when the drain was over. The tokens are charged here.
        let cut = self.ledger.as_ref().map_or("", Ledger::cut);
        self.attempt_ended("cancelled", cut);
        match self.stops() {
            true => self.settle(Ending::stopped(200)),
            false => self.account(),
        }
    }
}
