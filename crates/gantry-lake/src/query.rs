//! Records by condition and by id, from the files and the journal together.

use crate::columns::Columns;
use crate::convert::to_records;
use crate::filter::{self, Filter, Logs};
use crate::ingest::{RecordError, each_record};
use crate::schema::{Layout, schema};
use crate::store::{DataFile, Hour};
use crate::table::Files;
use crate::{Error, Lake, blocking};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col};
use gantry_model::record::RequestRecord;
use gantry_model::rest::LogQuery;
use gantry_telemetry::journal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many hours a search looks at in its first steps, nearest first. Most questions are about
/// the last requests, and the whole lake may be large.
const STEP_HOURS: [usize; 3] = [2, 24, 168];
/// So many of the requests that an ambiguous beginning of an id may mean are told.
const CANDIDATES_MAX: usize = 10;
/// A merging may take files away while a query reads them; it is asked again so many times.
const TRIES: usize = 4;

/// Rows of the journal by the hour they belong to.
type Batches = BTreeMap<Hour, Vec<RecordBatch>>;

/// A consistent set of rows.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    files: Vec<DataFile>,
    journal: Batches,
}

impl Lake {
    /// The records that meet all conditions, without bodies: newest first, or with `after_id`
    /// oldest first. By default 100, at most 1000.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a condition that cannot be understood; else what failed.
    pub async fn requests(&self, query: &LogQuery) -> Result<Vec<RequestRecord>, Error> {
        let logs = filter::logs(query)?;
        let columns = list_columns();
        self.bounded(|| self.search(&logs, &columns)).await
    }

    /// The record with this id, or the only one whose id begins so (at least 8 digits), bodies
    /// included. With a `subject` only this caller's records are looked at.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when there are several, [`Error::Invalid`] for what is no id.
    pub async fn request(
        &self,
        id_or_prefix: &str,
        subject: Option<&String>,
    ) -> Result<Option<RequestRecord>, Error> {
        let filter = filter::begins(id_or_prefix, subject)?;
        let logs = Logs { filter, ascending: false, limit: CANDIDATES_MAX };
        let columns = list_columns();
        let found = self.bounded(|| self.search(&logs, &columns)).await?;
        // Bodies may be large, so they are read once it is known whose.
        let id = match found.as_slice() {
            [] => return Ok(None),
            [one] => one.id.map(|id| id.to_string()).unwrap_or_default(),
            [..] => {
                let prefix = id_or_prefix.to_owned();
                return Err(Error::Ambiguous { prefix, candidates: found });
            }
        };
        let filter = Filter { bodies: true, ..filter::begins(&id, subject)? };
        let logs = Logs { filter, ascending: false, limit: 1 };
        let columns: Vec<Expr> = schema().fields().iter().map(|field| col(field.name())).collect();
        let mut found = self.bounded(|| self.search(&logs, &columns)).await?;
        Ok(found.pop())
    }

    /// Asks again when it failed while files were replaced, and gives up when the time is over.
    pub(crate) async fn bounded<T, Asked>(&self, ask: impl Fn() -> Asked) -> Result<T, Error>
    where
        Asked: Future<Output = Result<T, Error>>,
    {
        let limit = self.0.config.query_time;
        let tries = async {
            let mut tries_left = TRIES;
            loop {
                let replaced = self.0.replaced.load(Ordering::SeqCst);
                let result = ask().await;
                tries_left -= 1;
                // The engine's errors do not keep the store's, so the cause is not looked for.
                let vanished = replaced != self.0.replaced.load(Ordering::SeqCst);
                if result.is_ok() || !vanished || tries_left == 0 {
                    return result;
                }
            }
        };
        tokio::time::timeout(limit, tries).await.unwrap_or(Err(Error::Timeout { limit }))
    }

    async fn search(&self, logs: &Logs, columns: &[Expr]) -> Result<Vec<RequestRecord>, Error> {
        let scope = self.scope(&logs.filter).await?;
        let mut found = Vec::new();
        for step in steps(scope, logs.ascending) {
            let wanted = logs.limit - found.len();
            let frame = self
                .frame(step)?
                .filter(logs.filter.condition.clone())?
                .sort(vec![col("id").sort(logs.ascending, false)])?
                .limit(0, Some(wanted))?
                .select(columns.to_vec())?;
            for batch in frame.collect().await? {
                found.extend(to_records(&batch)?);
            }
            if found.len() >= logs.limit {
                break;
            }
        }
        Ok(found)
    }

    /// What is in the journal and in the files at one moment, for the filter's time span.
    pub(crate) async fn scope(&self, filter: &Filter) -> Result<Scope, Error> {
        // While this is held no file is replaced by a merged one.
        let _layout = self.0.layout.read().await;
        // The journal first: what is ingested between the two looks is then seen twice, not
        // never, and the names tell.
        let (segments, journal) = self.journal_rows(filter.clone()).await?;
        let mut files = self.0.store.list(filter.from_ms.map(Hour::of)).await?.files;
        files.retain(|file| {
            let in_time = filter.to_ms.is_none_or(|to| file.hour.0 * crate::store::HOUR_MS < to);
            in_time && file.segment().is_none_or(|segment| !segments.contains(segment))
        });
        Ok(Scope { files, journal })
    }

    /// Names of all segments, and their rows in the filter's time span.
    async fn journal_rows(&self, filter: Filter) -> Result<(BTreeSet<String>, Batches), Error> {
        let (journal, limit) = (self.0.journal.clone(), self.0.config.query_journal_bytes);
        blocking(move || {
            let segments = journal.segments()?;
            let bytes = segments.iter().map(|segment| segment.bytes).sum();
            if bytes > limit {
                return Err(Error::Backlog { bytes });
            }
            let mut names = BTreeSet::new();
            let mut rows = JournalRows::new(filter);
            for segment in segments {
                let frames = match journal.read(&segment.name) {
                    // Gone since the listing: its files are complete, so they are read instead.
                    Ok(None) => continue,
                    // Ingestion complains of it.
                    Err(journal::Error::Newer { .. }) => continue,
                    Ok(Some(frames)) => frames,
                    Err(error) => return Err(error.into()),
                };
                // What is missing of a segment is told when it is ingested.
                each_record(frames, &segment.name, |hour, ms, payload| {
                    rows.append(hour, ms, payload)
                })?;
                names.insert(segment.name);
            }
            Ok((names, rows.finish()?))
        })
        .await
    }

    /// The rows of a scope as one table.
    pub(crate) fn frame(&self, scope: Scope) -> Result<DataFrame, Error> {
        let config = SessionConfig::new().with_target_partitions(4);
        let context = SessionContext::new_with_config_rt(config, self.engine()?);
        let batches = scope.journal.into_values().flatten().collect();
        let journal = MemTable::try_new(schema(), vec![batches])?;
        let journal = context.read_table(Arc::new(journal))?;
        if scope.files.is_empty() {
            return Ok(journal);
        }
        let store = ObjectStoreUrl::parse(self.0.store.root())?;
        let files = Files { store, files: scope.files };
        Ok(context.read_table(Arc::new(files))?.union(journal)?)
    }
}

/// What a query needs of the journal.
struct JournalRows {
    filter: Filter,
    hours: BTreeMap<Hour, Columns>,
    batches: Batches,
}

impl JournalRows {
    fn new(filter: Filter) -> Self {
        Self { filter, hours: BTreeMap::new(), batches: BTreeMap::new() }
    }

    fn append(&mut self, hour: Hour, ms: u64, payload: &[u8]) -> Result<(), RecordError> {
        if !self.filter.includes(ms) {
            return Ok(());
        }
        let bodies = self.filter.bodies;
        let columns = self.hours.entry(hour).or_insert_with(|| Columns::new(bodies));
        columns.append(payload)?;
        if columns.full() {
            self.batches.entry(hour).or_default().push(columns.finish()?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Batches, Error> {
        for (hour, mut columns) in self.hours {
            self.batches.entry(hour).or_default().push(columns.finish()?);
        }
        Ok(self.batches)
    }
}

/// All columns but the bodies.
fn list_columns() -> Vec<Expr> {
    let columns = Layout::current().columns.iter();
    columns.filter(|column| !column.body).map(|column| col(column.name)).collect()
}

/// Cuts a scope into steps of time, in the order in which they are searched.
fn steps(scope: Scope, ascending: bool) -> Vec<Scope> {
    let hours = scope.files.iter().map(|file| file.hour);
    let hours: BTreeSet<Hour> = hours.chain(scope.journal.keys().copied()).collect();
    let mut hours: Vec<Hour> = hours.into_iter().collect();
    if !ascending {
        hours.reverse();
    }
    let mut steps = Vec::new();
    let mut rest = scope;
    let mut at = 0;
    for step in STEP_HOURS {
        at += step;
        // The first hour that is not in this step any more.
        let Some(bound) = hours.get(at) else { break };
        let inside = |hour: Hour| if ascending { hour < *bound } else { hour > *bound };
        let (files, files_left) = rest.files.into_iter().partition(|file| inside(file.hour));
        let (journal, left) = rest.journal.into_iter().partition(|(hour, _)| inside(*hour));
        steps.push(Scope { files, journal });
        rest = Scope { files: files_left, journal: left };
    }
    steps.push(rest);
    steps
}

/// Rows of several batches.
pub(crate) fn row_count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}
