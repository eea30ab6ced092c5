//! The process dies between any two steps: nothing is lost, nothing shows twice.

use super::*;

/// Another lake on the same folders, as after a new start of the process. Whoever replaces the
/// fixture's lake by it ends the process before, and its lock.
fn restarted(fixture: &Fixture) -> Lake {
    let inner = &fixture.lake.0;
    Lake::open(inner.config.clone(), fixture.clock.clone(), inner.metrics.clone()).unwrap()
}

fn three() -> Vec<RequestRecord> {
    vec![record(1, 120), record(2, 119), record(3, 10)]
}

#[tokio::test]
async fn dying_after_the_files_are_stored_shows_each_record_once() {
    let mut fixture = Fixture::new();
    fixture.seal(&three());
    let [segment] = fixture.segments().try_into().unwrap();
    fixture.lake.store_segment(&segment).await.unwrap();
    // Here the process dies: the segment and its files both exist.
    fixture.lake = restarted(&fixture);
    assert_eq!(fixture.files(), (2, 0));
    assert_eq!(fixture.all().await, [1, 2, 3]);
    assert_eq!(fixture.lake.ingest().await.unwrap(), 3);
    assert_eq!(fixture.files(), (2, 0), "the same files again");
    assert_eq!(fixture.all().await, [1, 2, 3]);
}

#[tokio::test]
async fn dying_between_two_files_of_a_segment_loses_nothing() {
    let mut fixture = Fixture::new();
    fixture.seal(&three());
    let [segment] = fixture.segments().try_into().unwrap();
    fixture.lake.store_segment(&segment).await.unwrap();
    let listing = fixture.lake.0.store.list(None).await.unwrap();
    fixture.lake.0.store.delete(&listing.files[1].meta.location).await.unwrap();
    fixture.lake = restarted(&fixture);
    assert_eq!(fixture.all().await, [1, 2, 3]);
    fixture.lake.ingest().await.unwrap();
    assert_eq!((fixture.files(), fixture.segments().len()), ((2, 0), 0));
    assert_eq!(fixture.all().await, [1, 2, 3]);
}

#[tokio::test]
async fn file_whose_segment_still_exists_is_not_merged() {
    let mut fixture = Fixture::new();
    fixture.seal(&[record(1, 120)]);
    fixture.lake.ingest().await.unwrap();
    fixture.seal(&[record(2, 119)]);
    let [segment] = fixture.segments().try_into().unwrap();
    fixture.lake.store_segment(&segment).await.unwrap();
    assert_eq!(fixture.lake.compact().await.unwrap(), 0);
    fixture.lake.ingest().await.unwrap();
    assert_eq!(fixture.lake.compact().await.unwrap(), 2);
    assert_eq!(fixture.all().await, [1, 2]);
}

/// Two files of an hour that is over, and one of the present hour.
async fn ready_to_merge() -> Fixture {
    let mut fixture = Fixture::new();
    for record in three() {
        fixture.seal(&[record]);
    }
    fixture.lake.ingest().await.unwrap();
    assert_eq!(fixture.files(), (3, 0));
    fixture
}

#[tokio::test]
async fn files_of_hours_that_are_over_become_one() {
    let mut fixture = ready_to_merge().await;
    assert_eq!(fixture.lake.compact().await.unwrap(), 2);
    assert_eq!(fixture.files(), (2, 0));
    assert_eq!(fixture.all().await, [1, 2, 3]);
    assert_eq!(fixture.lake.compact().await.unwrap(), 0, "nothing is left to do");
    // A request that lasted long comes after its hour was merged.
    fixture.seal(&[record(4, 118)]);
    fixture.lake.ingest().await.unwrap();
    assert_eq!(fixture.lake.compact().await.unwrap(), 2);
    assert_eq!((fixture.files(), fixture.all().await), ((2, 0), vec![1, 2, 4, 3]));
    let whole = fixture.lake.request(&three()[0].id.unwrap().to_string(), None).await.unwrap();
    assert_eq!(whole.as_ref(), three().first());
}

#[tokio::test]
async fn hour_is_merged_only_some_time_after_its_end() {
    let fixture = ready_to_merge().await;
    let hour_end = store::Hour::of(NOW_MS - 119 * MINUTE_MS).end_ms();
    let config = LakeConfig {
        compact_after: Duration::from_millis(NOW_MS - hour_end + 1),
        ..fixture.lake.0.config.clone()
    };
    let lake = Lake::open(config, fixture.clock.clone(), fixture.lake.0.metrics.clone()).unwrap();
    assert_eq!(lake.compact().await.unwrap(), 0);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(lake.compact().await.unwrap(), 2);
}

#[tokio::test]
async fn dying_before_the_merged_file_counts_goes_back() {
    for with_output in [true, false] {
        let mut fixture = ready_to_merge().await;
        let files = fixture.lake.0.store.list(None).await.unwrap().files;
        let merging = fixture.lake.merge(files[0].hour, &files[..2]).await.unwrap().unwrap();
        let output = fixture.lake.0.store.path(files[0].hour, &merging.merge.output);
        if !with_output {
            // Dead after the note, before the merged file.
            fixture.lake.0.store.delete(&output).await.unwrap();
        }
        fixture.lake = restarted(&fixture);
        assert_eq!(fixture.files(), (3 + usize::from(with_output), 1));
        assert_eq!(fixture.all().await, [1, 2, 3]);
        assert_eq!(fixture.lake.compact().await.unwrap(), 2);
        assert_eq!(fixture.files(), (2, 0));
        assert_eq!(fixture.all().await, [1, 2, 3]);
    }
}

#[tokio::test]
async fn dying_after_the_merged_file_counts_goes_on() {
    for deleted in 0..=2 {
        let mut fixture = ready_to_merge().await;
        let store = &fixture.lake.0.store;
        let files = store.list(None).await.unwrap().files;
        let merging = fixture.lake.merge(files[0].hour, &files[..2]).await.unwrap().unwrap();
        let done = store::Merge { done: true, ..merging.merge };
        store.put(&merging.note, serde_json::to_vec(&done).unwrap()).await.unwrap();
        for file in &files[..deleted] {
            store.delete(&file.meta.location).await.unwrap();
        }
        fixture.lake = restarted(&fixture);
        assert_eq!(fixture.all().await, [1, 2, 3], "{deleted} files deleted");
        fixture.lake.compact().await.unwrap();
        assert_eq!((fixture.files(), fixture.all().await), ((2, 0), vec![1, 2, 3]));
    }
}

#[tokio::test]
async fn files_that_vanish_under_a_query_make_it_ask_again() {
    let fixture = ready_to_merge().await;
    let filter = filter::logs(&LogQuery::default()).unwrap().filter;
    let asked = std::cell::Cell::new(0);
    let count = fixture.lake.bounded(|| async {
        let scope = fixture.lake.scope(&filter).await?;
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            fixture.lake.compact().await?;
        }
        Ok(query::row_count(&fixture.lake.frame(scope)?.collect().await?))
    });
    assert_eq!(count.await.unwrap(), 3);
    assert_eq!(asked.get(), 2);
}

#[tokio::test]
async fn compaction_and_queries_at_the_same_time_show_each_record_once() {
    for _ in 0..5 {
        let fixture = ready_to_merge().await;
        let lake = fixture.lake.clone();
        let work = gantry_runtime::tasks::spawn("compact", async move {
            lake.compact().await.unwrap();
        });
        while !work.is_finished() {
            assert_eq!(fixture.all().await, [1, 2, 3]);
        }
        work.await.unwrap();
        assert_eq!(fixture.files(), (2, 0));
    }
}

#[tokio::test]
async fn mergings_that_an_earlier_release_began_are_ended() {
    for done in [false, true] {
        let fixture = ready_to_merge().await;
        let store = &fixture.lake.0.store;
        let files = store.list(None).await.unwrap().files;
        let merging = fixture.lake.merge(files[0].hour, &files[..2]).await.unwrap().unwrap();
        // The same with names as that release gave them.
        let output = store.path(files[0].hour, &merging.merge.output);
        let bytes = store.get(&output).await.unwrap();
        store.delete(&output).await.unwrap();
        store.delete(&merging.note).await.unwrap();
        let merge = store::Merge { done, output: "c-1-2.parquet".into(), ..merging.merge };
        store.put(&store.path(files[0].hour, &merge.output), bytes).await.unwrap();
        let note = store.path(files[0].hour, "c-1-2.merge");
        store.put(&note, serde_json::to_vec(&merge).unwrap()).await.unwrap();
        assert_eq!((fixture.files(), fixture.all().await), ((4, 1), vec![1, 2, 3]));
        let merged = fixture.lake.compact().await.unwrap();
        assert_eq!(merged, if done { 0 } else { 2 });
        assert_eq!((fixture.files(), fixture.all().await), ((2, 0), vec![1, 2, 3]));
    }
}
