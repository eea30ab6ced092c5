//! The mock upstream: an HTTP/1.1 server on a loopback port that follows scripts.
//!
//! Tests start it and drop it; dropping it ends all of it. It listens on 127.0.0.1 only.

mod body;
mod server;

use crate::step::Step;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A running mock upstream.
#[derive(Debug)]
pub struct MockUpstream {
    addr: SocketAddr,
    state: Arc<State>,
    /// Ends the server and its connections when it is dropped.
    _tasks: JoinSet<()>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: Method,
    pub path_and_query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// How many requests have come how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub connections: usize,
    pub requests: usize,
    /// The whole reply went out, or the script cut it off.
    pub finished: usize,
    /// The client left before that.
    pub abandoned: usize,
}

/// Which requests a queue of steps is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    Any,
    PathEnd(String),
    Model(String),
}

#[derive(Debug)]
struct Queue {
    filter: Filter,
    steps: VecDeque<Step>,
    /// Followed when `steps` is empty.
    always: Option<Step>,
}

#[derive(Debug, Default)]
struct State {
    queues: Mutex<Vec<Queue>>,
    requests: Mutex<Vec<Recorded>>,
    progress: watch::Sender<Progress>,
}

impl MockUpstream {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on a given port of 127.0.0.1; 0 is a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_on(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, state.clone()));
        Ok(Self { addr, state, _tasks: tasks })
    }

    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next requests, whatever they ask for, follow these steps, one each. Then, and whenever
    /// no script applies, the model's name decides (see [`Step::from_name`]), and else comes the
    /// usual reply. A script for a model wins over one for a path, and that over this one.
    pub fn script(&self, steps: Vec<Step>) {
        self.queue(Filter::Any, |queue| queue.steps.extend(steps));
    }

    /// The same for requests whose path ends with `end`, such as `/embeddings`.
    pub fn script_path(&self, end: &str, steps: Vec<Step>) {
        self.queue(Filter::PathEnd(end.to_owned()), |queue| queue.steps.extend(steps));
    }

    /// The same for requests of one model (or Azure deployment).
    pub fn script_model(&self, model: &str, steps: Vec<Step>) {
        self.queue(Filter::Model(model.to_owned()), |queue| queue.steps.extend(steps));
    }

    /// Every request that no script is left for follows this step.
    pub fn always(&self, step: Step) {
        self.queue(Filter::Any, |queue| queue.always = Some(step));
    }

    /// Every request of one model that no script is left for follows this step.
    pub fn always_model(&self, model: &str, step: Step) {
        self.queue(Filter::Model(model.to_owned()), |queue| queue.always = Some(step));
    }

    /// Drops all scripts, steps for always included.
    pub fn clear(&self) {
        lock(&self.state.queues).clear();
    }

    /// All requests so far, in the order in which their bodies were complete.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.state.requests).clone()
    }

    #[must_use]
    pub fn last_request(&self) -> Option<Recorded> {
        lock(&self.state.requests).last().cloned()
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.state.progress.borrow()
    }

    /// Waits until the mock has come so far. The caller bounds the wait.
    pub async fn until(&self, reached: impl FnMut(&Progress) -> bool) -> Progress {
        let mut progress = self.state.progress.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        progress.wait_for(reached).await.map(|progress| *progress).unwrap_or_default()
    }

    fn queue(&self, filter: Filter, change: impl FnOnce(&mut Queue)) {
        let mut queues = lock(&self.state.queues);
        if let Some(queue) = queues.iter_mut().find(|queue| queue.filter == filter) {
            return change(queue);
        }
        let mut queue = Queue { filter, steps: VecDeque::new(), always: None };
        change(&mut queue);
        queues.push(queue);
    }
}

impl Recorded {
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The header's first value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, parsed.
    ///
    /// # Errors
    /// When the body is not JSON of that type.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

impl State {
    fn next_step(&self, path: &str, model: &str) -> Option<Step> {
        let mut queues = lock(&self.queues);
        let mut found: Vec<_> = queues
            .iter_mut()
            .filter(|queue| match &queue.filter {
                Filter::Any => true,
                Filter::PathEnd(end) => path.ends_with(end.as_str()),
                Filter::Model(name) => name == model,
            })
            .collect();
        found.sort_by_key(|queue| match queue.filter {
            Filter::Model(_) => 0,
            Filter::PathEnd(_) => 1,
            Filter::Any => 2,
        });
        found
            .iter_mut()
            .find_map(|queue| queue.steps.pop_front())
            .or_else(|| found.iter().find_map(|queue| queue.always.clone()))
    }

    fn count(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}

/// A test that panicked while it held a lock must not hide behind the poison.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
