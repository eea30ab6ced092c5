//! What is too old or too much goes, the oldest first, and nothing else.

use super::*;

/// Files of three hours: two days, one day and no time ago.
async fn three_hours(change: impl FnOnce(&mut LakeConfig)) -> Fixture {
    let mut fixture = Fixture::with(change);
    for (number, hours) in [(1, 48), (2, 24), (3, 0)] {
        fixture.seal(&[record(number, hours * 60)]);
        fixture.lake.ingest().await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn files_go_when_their_hour_ended_longer_ago_than_the_retention() {
    let hour = Duration::from_secs(3_600);
    for (retention, left) in [
        (hour * 24 * 90, vec![1, 2, 3]),
        (Duration::ZERO, vec![1, 2, 3]),
        // It is half past, so the hour 48 hours ago ended 47.5 hours ago.
        (hour * 48, vec![1, 2, 3]),
        (hour * 47, vec![2, 3]),
        (hour, vec![3]),
    ] {
        let fixture = three_hours(|config| config.retention = retention).await;
        assert_eq!(fixture.lake.expire().await.unwrap(), 3 - left.len(), "{retention:?}");
        assert_eq!(fixture.all().await, left, "{retention:?}");
        assert_eq!(fixture.files(), (left.len(), 0));
    }
}

#[tokio::test]
async fn the_oldest_files_go_until_the_rest_is_small_enough() {
    let sizes = {
        let fixture = three_hours(|_| {}).await;
        let files = fixture.lake.0.store.list(None).await.unwrap().files;
        files.iter().map(|file| file.meta.size).collect::<Vec<_>>()
    };
    let all: u64 = sizes.iter().sum();
    for (bytes, left) in [
        (0, vec![1, 2, 3]),
        (all, vec![1, 2, 3]),
        (all - 1, vec![2, 3]),
        (all - sizes[0] - 1, vec![3]),
        (1, vec![]),
    ] {
        let fixture = three_hours(|config| config.retention_bytes = bytes).await;
        assert_eq!(fixture.lake.expire().await.unwrap(), 3 - left.len(), "{bytes}");
        assert_eq!(fixture.all().await, left, "{bytes}");
    }
}

#[tokio::test]
async fn merged_files_go_with_all_that_belongs_to_them() {
    let mut fixture = Fixture::with(|config| config.retention = Duration::from_secs(3 * 3_600));
    for number in 1..=2 {
        fixture.seal(&[record(number, 120)]);
    }
    fixture.lake.ingest().await.unwrap();
    assert_eq!(fixture.lake.compact().await.unwrap(), 2);
    fixture.clock.advance(Duration::from_secs(3 * 3_600));
    assert_eq!(fixture.lake.expire().await.unwrap(), 1);
    let hour = store::Hour::of(NOW_MS - 120 * MINUTE_MS);
    let note = fixture.lake.0.store.note(hour);
    assert_eq!(fixture.lake.0.store.versioned(&note).await.unwrap(), None);
    let page = fixture.lake.0.metrics.render();
    assert!(page.contains("gantry_lake_expired_files_total 1\n"), "{page}");
    let listing = fixture.lake.0.store.list(None).await.unwrap();
    assert_eq!((listing.files.len(), listing.idle.len(), fixture.files()), (0, 0, (0, 0)));
}

#[tokio::test]
async fn what_is_no_file_of_the_lake_stays() {
    let fixture = three_hours(|config| config.retention_bytes = 1).await;
    let store = &fixture.lake.0.store;
    let hour = store::Hour::of(NOW_MS);
    let foreign = store.path(hour, "notes.txt");
    store.put(&foreign, "mine").await.unwrap();
    assert_eq!(fixture.lake.expire().await.unwrap(), 3);
    assert_eq!(store.get(&foreign).await.unwrap(), "mine");
}

#[tokio::test]
async fn refusals_that_left_no_record_count_in_usage() {
    let mut fixture = Fixture::new();
    let refused = RequestRecord {
        subject: String::new(),
        status: 401,
        refusal: "unauthenticated".into(),
        also_stands_for: 9,
        ..record(1, 0)
    };
    fixture.write(&[refused, record(2, 0)]);
    let query = gantry_model::rest::UsageQuery::default();
    for place in ["journal", "files"] {
        let rows = fixture.lake.usage(&query).await.unwrap();
        assert_eq!((rows[0].requests, rows[0].errors), (11, 10), "{place}");
        fixture.journal.seal();
        fixture.lake.ingest().await.unwrap();
    }
}
