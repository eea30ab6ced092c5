//! Several processes on one lake: one of them merges and deletes, and whatever they do at the same
//! time, each record counts once.

use super::*;
use crate::compact::Merging;
use crate::owner::LEASE_MS;
use gantry_model::rest::UsageQuery;
use object_store::ObjectStore;
use object_store::memory::InMemory;

/// One process: a journal of its own, and a lake that it shares.
struct Process {
    _dir: tempfile::TempDir,
    journal: journal::Writer,
    lake: Lake,
}

/// What the processes share.
struct Shared {
    clock: Clock,
    /// `None` for a folder.
    objects: Option<Arc<dyn ObjectStore>>,
    dir: tempfile::TempDir,
}

impl Shared {
    fn both() -> [Self; 2] {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        [Some(memory), None].map(|objects| Self {
            clock: Clock::manual(NOW_MS),
            objects,
            dir: tempfile::tempdir().unwrap(),
        })
    }

    fn in_memory() -> Self {
        let [memory, _] = Self::both();
        memory
    }

    fn process(&self) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let options = journal::Options::new(dir.path().to_owned());
        let url = url::Url::from_directory_path(self.dir.path()).unwrap();
        let config = LakeConfig::new(url.to_string(), options.dir.clone());
        let metrics = Arc::new(Metrics::default());
        let journal = journal::Writer::open(options, self.clock.clone(), metrics.clone()).unwrap();
        let lake = match &self.objects {
            Some(objects) => {
                let store = store::Store::in_memory(objects.clone());
                Lake::on(store, config, self.clock.clone(), metrics)
            }
            None => Lake::open(config, self.clock.clone(), metrics).unwrap(),
        };
        Process { _dir: dir, journal, lake }
    }
}

impl Process {
    async fn take(&mut self, records: &[RequestRecord]) {
        for record in records {
            self.journal.append(record);
            self.journal.seal();
        }
        assert_eq!(self.lake.ingest().await.unwrap(), records.len() as u64);
    }

    /// Requests and input tokens, as usage has them.
    async fn usage(&self) -> (u64, u64) {
        let rows = self.lake.usage(&UsageQuery::default()).await.unwrap();
        (rows[0].requests, rows[0].usage.input)
    }

    async fn files(&self) -> Vec<store::DataFile> {
        self.lake.0.store.list(None).await.unwrap().files
    }
}

/// A request of two hours ago, whose tokens tell it from others in a sum.
fn used(number: u128) -> RequestRecord {
    let usage = TokenUsage { input: 1 << number, ..TokenUsage::default() };
    RequestRecord { usage, ..record(number, 120) }
}

/// Two processes, of which each has put two files into the same hour.
async fn two(shared: &Shared) -> [Process; 2] {
    let mut processes = [shared.process(), shared.process()];
    processes[0].take(&[used(0), used(1)]).await;
    processes[1].take(&[used(2), used(3)]).await;
    processes
}

const ALL: (u64, u64) = (4, 0b1111);

#[tokio::test]
async fn of_two_processes_one_merges_and_both_ingest() {
    for shared in Shared::both() {
        let [one, mut two] = two(&shared).await;
        assert_eq!(one.lake.compact().await.unwrap(), 4);
        two.take(&[used(4), used(5)]).await;
        assert_eq!(two.lake.compact().await.unwrap(), 0, "it is not the owner");
        assert_eq!(two.lake.expire().await.unwrap(), 0);
        assert_eq!((one.files().await.len(), two.usage().await), (3, (6, 0b11_1111)));
        let page = |process: &Process| process.lake.0.metrics.render();
        assert!(page(&one).contains("gantry_lake_owner 1\n"));
        assert!(page(&two).contains("gantry_lake_owner 0\n"));
    }
}

#[tokio::test]
async fn an_owner_that_died_is_followed_by_another() {
    for shared in Shared::both() {
        let [one, two] = two(&shared).await;
        let files = one.files().await;
        let mut owner = one.lake.0.maintenance.lock().await;
        assert!(one.lake.owned(&mut owner).await.unwrap());
        drop(owner);
        let begun = one.lake.merge(files[0].hour, &files[..3]).await.unwrap();
        assert!(begun.is_some());
        assert_eq!(two.lake.compact().await.unwrap(), 0);
        // It dies with a merging half done.
        let leased = shared.objects.is_some();
        drop(one);
        if leased {
            shared.clock.advance(Duration::from_millis(LEASE_MS - 1));
            assert_eq!(two.lake.compact().await.unwrap(), 0, "the lease is not over");
            shared.clock.advance(Duration::from_millis(1));
        }
        assert_eq!(two.lake.compact().await.unwrap(), 4);
        assert_eq!((two.files().await.len(), two.usage().await), (1, ALL));
    }
}

#[tokio::test]
async fn an_owner_keeps_the_lake_while_it_works_and_gives_it_up_at_its_end() {
    let shared = Shared::in_memory();
    let [one, two] = two(&shared).await;
    for _ in 0..10 {
        one.lake.compact().await.unwrap();
        shared.clock.advance(Duration::from_millis(LEASE_MS / 2));
        assert_eq!(two.lake.compact().await.unwrap(), 0);
    }
    one.lake.disown().await;
    let mut owner = two.lake.0.maintenance.lock().await;
    assert!(two.lake.owned(&mut owner).await.unwrap());
}

/// How far the one gets before the other, who believes to be the owner too, does all of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Listed,
    Taken,
    Stored,
    Done,
}

/// What the first process does before it is held up; the merging that it may go on with.
async fn begin(one: &Process, files: &[store::DataFile], until: Until) -> Option<Merging> {
    let store = &one.lake.0.store;
    if until == Until::Listed {
        return None;
    }
    let merging = one.lake.merge(files[0].hour, files).await.unwrap().unwrap();
    if until == Until::Taken {
        let output = store.path(files[0].hour, &merging.merge.output);
        store.delete(&output).await.unwrap();
    }
    if until != Until::Done {
        return Some(merging);
    }
    let done = serde_json::to_vec(&store::Merge { done: true, ..merging.merge }).unwrap();
    let condition = store::If::Still(merging.version);
    assert!(store.put_if(&merging.note, done, condition).await.unwrap().is_some());
    None
}

/// It goes on as if nothing had happened in between.
async fn go_on(one: &Process, files: &[store::DataFile], merging: Option<Merging>, until: Until) {
    let (store, hour) = (&one.lake.0.store, files[0].hour);
    if let Some(merging) = merging {
        let output = store.path(hour, &merging.merge.output);
        store.put(&output, "late, and half of it").await.unwrap();
        assert!(!one.lake.finish(merging).await.unwrap(), "{until:?}");
    } else if until == Until::Listed {
        // Its files are gone: it fails, and has ended nothing.
        assert!(one.lake.merge(hour, files).await.is_err());
    }
}

#[tokio::test]
async fn two_that_both_believe_to_own_the_lake_count_each_record_once() {
    let steps = [Until::Listed, Until::Taken, Until::Stored, Until::Done];
    for (until, inputs) in steps.into_iter().flat_map(|until| [2, 3, 4].map(|n| (until, n))) {
        let case = format!("{until:?} {inputs}");
        let shared = Shared::in_memory();
        let [one, two] = two(&shared).await;
        let files = one.files().await;
        let files = &files[..inputs];
        let merging = begin(&one, files, until).await;
        assert_eq!(two.usage().await, ALL, "{case}");
        // The other works to the end, several times.
        for _ in 0..3 {
            two.lake.compact().await.unwrap();
            assert_eq!(two.usage().await, ALL, "{case}");
        }
        go_on(&one, files, merging, until).await;
        assert_eq!(one.usage().await, ALL, "{case}");
        two.lake.compact().await.unwrap();
        assert_eq!(two.usage().await, ALL, "{case}");
    }
}

#[tokio::test]
async fn what_was_settled_may_be_settled_again() {
    let shared = Shared::in_memory();
    let [one, two] = two(&shared).await;
    let files = one.files().await;
    let merging = one.lake.merge(files[0].hour, &files[..2]).await.unwrap().unwrap();
    let done = store::Merge { done: true, ..merging.merge.clone() };
    let condition = store::If::Still(merging.version.clone());
    let bytes = serde_json::to_vec(&done).unwrap();
    one.lake.0.store.put_if(&merging.note, bytes, condition).await.unwrap().unwrap();
    let noted = one.lake.0.store.list(None).await.unwrap().merges;
    two.lake.compact().await.unwrap();
    // The first had only paused: it ends what the other has ended, and merged further.
    for noted in noted {
        one.lake.resume(noted).await.unwrap();
    }
    assert_eq!((one.usage().await, two.usage().await), (ALL, ALL));
}

#[tokio::test]
async fn a_segment_whose_file_another_process_has_merged_does_not_come_back() {
    let shared = Shared::in_memory();
    let [one, mut two] = two(&shared).await;
    two.journal.append(&used(4));
    two.journal.seal();
    let [segment] = two.lake.0.journal.segments().unwrap().try_into().unwrap();
    // It dies after the file is stored and before the segment is deleted.
    two.lake.store_segment(&segment.name).await.unwrap();
    assert_eq!(one.lake.compact().await.unwrap(), 5);
    let after = (5, 0b1_1111);
    assert_eq!(one.usage().await, after);
    // It starts again.
    two.lake.ingest().await.unwrap();
    assert_eq!((one.usage().await, two.usage().await), (after, after));
    assert_eq!(two.lake.0.journal.segments().unwrap(), []);
}
