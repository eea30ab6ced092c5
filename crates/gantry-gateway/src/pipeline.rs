//! The path of a request, to be read aloud. One file a stage; "where is X" has one answer.
//!
//! The ledger goes along from the first byte: whatever happens to the request, dropping the
//! ledger leaves its one record.

use crate::admit::{Admitted, admit};
use crate::attempt::attempt;
use crate::authenticate::authenticate;
use crate::body::ReplyBody;
use crate::cors;
use crate::decode::{Wanted, decode};
use crate::early::Early;
use crate::local::{self, Asked};
use crate::receive::{Inbound, Received, receive};
use crate::refusal::Refusal;
use crate::reply::{self, Answer, Done};
use crate::route::{self, Plan};
use crate::settle::{Fact, Ledger, Opening};
use crate::shared::Worker;
use crate::snapshot::Snapshot;
use gantry_http::server::{Rejected, Request, Response, detached};
use gantry_llm::operation::Handler;
use std::future::{Future as _, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// Answers one request.
pub(crate) async fn handle(worker: &Rc<Worker>, request: Request) -> Response<ReplyBody> {
    let inbound = match receive(request, &worker.shared.apis.operations) {
        Received::Ours(inbound) => inbound,
        Received::Other(request) => {
            let other = &worker.shared.other;
            let response = detached(*request, |request| other.call(request)).await;
            return Response::from(response).map(ReplyBody::other);
        }
    };
    let origin = worker.shared.config.cors_origins.allowed(&inbound.headers);
    let mut response = match &origin {
        Some(_) if cors::is_preflight(&inbound.method, &inbound.headers) => {
            reply::preflight(cors::preflight(&inbound.headers, &worker.shared.apis.operations))
        }
        _ => answer(worker, inbound).await,
    };
    if let Some(origin) = origin {
        cors::open(&mut response.lines, &origin);
    }
    response
}

/// Answers what is no request. It leaves a record too.
pub(crate) fn reject(worker: &Worker, rejected: &Rejected) -> Response<ReplyBody> {
    let ledger = Ledger::open(
        &worker.shared,
        &Opening::of_rejected(rejected, &worker.shared.apis.operations),
    );
    reply::refuse(&Refusal::rejected(rejected), ledger)
}

async fn answer(worker: &Rc<Worker>, inbound: Box<Inbound>) -> Response<ReplyBody> {
    let ledger = Ledger::open(&worker.shared, &Opening::of(&inbound));
    let caller = reply::Caller::of(&ledger);
    // On the heap, and gone when the reply begins: connections that stream stay small.
    let mut running = Box::pin(run(worker.clone(), inbound, ledger));
    let done = poll_fn(|cx| {
        let polled = running.as_mut().poll(cx);
        match (polled, worker.head_due.take()) {
            (Poll::Ready(done), _) => Poll::Ready(Some(done)),
            (Poll::Pending, true) => Poll::Ready(None),
            (Poll::Pending, false) => Poll::Pending,
        }
    });
    match done.await {
        Some(done) => done.into_response(),
        None => Early::response(running, worker.clone(), caller),
    }
}

async fn run(worker: Rc<Worker>, inbound: Box<Inbound>, mut ledger: Ledger) -> Done {
    let answered = stages(&worker, inbound, &mut ledger).await;
    Done { answered, ledger }
}

async fn stages(
    worker: &Worker,
    inbound: Box<Inbound>,
    ledger: &mut Ledger,
) -> Result<Answer, Refusal> {
    let matched = inbound.matched()?;
    let snapshot = pinned(worker)?;
    ledger.note(Fact::Pinned(&snapshot));
    let identified = authenticate(&worker.shared.clock, &snapshot, &inbound)?;
    ledger.note(Fact::Identified(&identified));
    let exchange = match &matched.operation.handler {
        Handler::Upstream(exchange) => exchange,
        Handler::Local(name) => {
            let (snapshot, identified, matched) = (&snapshot, &identified, &matched);
            return local::answer(name, &Asked { snapshot, identified, matched })
                .map(Answer::Local);
        }
    };
    let wanted = Wanted { matched, exchange, inbound };
    let call = decode(&worker.shared, wanted, &identified, ledger.body()).await?;
    ledger.note(Fact::Decoded(&call));
    let admitted = admit(&snapshot, &identified, &call)?;
    ledger.look();
    let input = call.route_input((ledger.now_ms(), ledger.now_us()));
    let plan = planned(&admitted, &input, ledger)?;
    let reply = attempt(worker, &snapshot, &call, plan, ledger).await?;
    Ok(Answer::upstream(&call, reply).await)
}

fn planned<'a>(
    admitted: &'a Admitted,
    input: &'a route::Input<'a>,
    ledger: &mut Ledger,
) -> Result<Plan<'a>, Refusal> {
    let (mut plan, failed) = Plan::of(&admitted.entry, input);
    ledger.note(Fact::Planned { admitted, steps: plan.take_steps() });
    failed.map_or(Ok(plan), |why| Err(why.into()))
}

fn pinned(worker: &Worker) -> Result<Arc<Snapshot>, Refusal> {
    worker.shared.snapshot.load_full().ok_or_else(Refusal::no_snapshot)
}
