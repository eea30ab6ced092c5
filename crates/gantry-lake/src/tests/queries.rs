//! Conditions, ids and sums, each over the journal alone, over files alone and over both.

use super::*;
use gantry_model::rest::{StatusFilter, UsageKey, UsageQuery, UsageRow};

/// The same records in the journal, in files, and half in each.
async fn everywhere(records: &[RequestRecord]) -> Vec<(&'static str, Fixture)> {
    let mut journal = Fixture::new();
    journal.write(records);
    let mut files = Fixture::new();
    files.seal(records);
    files.lake.ingest().await.unwrap();
    let mut both = Fixture::new();
    let (old, new) = records.split_at(records.len() / 2);
    both.seal(old);
    both.lake.ingest().await.unwrap();
    both.write(new);
    vec![("journal", journal), ("files", files), ("both", both)]
}

fn sample() -> Vec<RequestRecord> {
    let with = |number, minutes, change: &dyn Fn(&mut RequestRecord)| {
        let mut record = record(number, minutes);
        change(&mut record);
        record
    };
    vec![
        with(8, 6_000, &|record| record.fault = "upstream".into()),
        with(1, 5_000, &|record| {
            record.model = "slow".into();
            record.duration_us = (5_000 - 1) * MINUTE_MS * 1_000;
        }),
        with(2, 1_000, &|record| {
            record.status = 429;
            record.trace_id = "0af7651916cd43dd8448eb211c80319c".into();
        }),
        with(3, 100, &|record| {
            record.metadata = [("project".into(), "x' OR '1'='1".into())].into()
        }),
        with(4, 99, &|record| record.resolved_model = "other/model".into()),
        with(5, 2, &|record| record.subject = "virtualaccount:ci".into()),
        with(6, 1, &|record| record.status = 500),
        with(7, 0, &|record| record.metadata = [("project".into(), "y".into())].into()),
    ]
}

#[tokio::test]
async fn conditions_select_records() {
    let query = LogQuery::default;
    let at = |minutes: u64| Some(NOW_MS - minutes * MINUTE_MS);
    let metadata = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let text = |number: u128, minutes: u64| id(NOW_MS - minutes * MINUTE_MS, number).to_string();
    let cases = [
        ("everything, newest first", query(), vec![7, 6, 5, 4, 3, 2, 1, 8]),
        ("limit", LogQuery { limit: Some(2), ..query() }, vec![7, 6]),
        ("ended from", LogQuery { ended_from_ms: at(1), ..query() }, vec![7, 6, 1]),
        (
            "ended from, after an id",
            LogQuery { ended_from_ms: at(1), after_id: Some("0".repeat(32)), ..query() },
            vec![1, 6, 7],
        ),
        ("limit 0", LogQuery { limit: Some(0), ..query() }, vec![]),
        ("from is inclusive", LogQuery { from_ms: at(99), ..query() }, vec![7, 6, 5, 4]),
        ("to is exclusive", LogQuery { to_ms: at(1_000), ..query() }, vec![1, 8]),
        ("span", LogQuery { from_ms: at(1_000), to_ms: at(2), ..query() }, vec![4, 3, 2]),
        ("empty span", LogQuery { from_ms: at(1), to_ms: at(2), ..query() }, vec![]),
        ("named model", LogQuery { model: Some("slow".into()), ..query() }, vec![1]),
        ("resolved model", LogQuery { model: Some("other/model".into()), ..query() }, vec![4]),
        ("subject", LogQuery { subject: Some("virtualaccount:ci".into()), ..query() }, vec![5]),
        ("errors", LogQuery { status: Some(StatusFilter::Error), ..query() }, vec![6, 2, 8]),
        ("successes", LogQuery { status: Some(StatusFilter::Ok), ..query() }, vec![7, 5, 4, 3, 1]),
        ("status", LogQuery { status: Some(StatusFilter::Exactly(429)), ..query() }, vec![2]),
        ("metadata", LogQuery { metadata: metadata("project", "y"), ..query() }, vec![7]),
        (
            "metadata that looks like a program",
            LogQuery { metadata: metadata("project", "x' OR '1'='1"), ..query() },
            vec![3],
        ),
        ("absent key", LogQuery { metadata: metadata("\"'; --", "y"), ..query() }, vec![]),
        (
            "two conditions",
            LogQuery { model: Some("fast".into()), status: Some(StatusFilter::Ok), ..query() },
            vec![7, 5, 4, 3],
        ),
        (
            "caller's trace",
            LogQuery { trace: Some("0af7651916cd43dd8448eb211c80319c".into()), ..query() },
            vec![2],
        ),
        ("trace of its own", LogQuery { trace: Some(text(4, 99)), ..query() }, vec![4]),
        ("after an id", LogQuery { after_id: Some(text(4, 99)), ..query() }, vec![5, 6, 7]),
        (
            "after an id, first ones",
            LogQuery { after_id: Some(text(1, 5_000)), limit: Some(2), ..query() },
            vec![2, 3],
        ),
    ];
    for (place, fixture) in everywhere(&sample()).await {
        for (name, query, expected) in &cases {
            let found = fixture.lake.requests(query).await.unwrap();
            assert_eq!(&numbers(&found), expected, "{name}, from {place}");
        }
    }
}

#[tokio::test]
async fn id_or_its_beginning_finds_one_record() {
    let twins = [record(1, 10), record(2, 10), record(3, 500)];
    let text = |number, minutes| id(NOW_MS - minutes * MINUTE_MS, number).to_string();
    for (place, fixture) in everywhere(&twins).await {
        for (prefix, expected) in [
            (text(1, 10), Ok(Some(1))),
            (text(2, 10).to_uppercase(), Ok(Some(2))),
            (text(3, 500)[..8].to_owned(), Ok(Some(3))),
            (text(1, 10)[..20].to_owned(), Err("find one request: 2 ids or more begin with")),
            (text(9, 10), Ok(None)),
            ("ffffffff".to_owned(), Ok(None)),
            ("00000000".to_owned(), Ok(None)),
            ("1234567".to_owned(), Err("understand the query: id \"1234567\" is no request's id")),
            ("+2345678".to_owned(), Err("understand the query: id \"+2345678\" is no request's")),
            (format!("0{}", text(1, 10)), Err("understand the query: id \"0")),
        ] {
            let found = fixture.lake.request(&prefix, None).await;
            match (found, expected) {
                (Ok(found), Ok(number)) => {
                    let found = found.map(|record| record.id.unwrap().0 & 0xffff);
                    assert_eq!(found, number, "{prefix} from {place}");
                }
                (Err(error), Err(text)) => {
                    assert!(error.to_string().starts_with(text), "{prefix}: {error}");
                }
                (found, expected) => panic!("{prefix} from {place}: {found:?}, not {expected:?}"),
            }
        }
    }
}

#[tokio::test]
async fn one_request_has_its_bodies_and_lists_never_have() {
    let said = RequestRecord {
        request_body: Some("{\"model\":\"fast\"}".into()),
        response_body: Some("{}".into()),
        ..record(1, 10)
    };
    for (place, fixture) in everywhere(&[said.clone(), record(2, 5)]).await {
        let listed = fixture.lake.requests(&LogQuery::default()).await.unwrap();
        assert!(listed.iter().all(|record| record.request_body.is_none()), "{place}");
        assert!(listed.iter().all(|record| record.response_body.is_none()), "{place}");
        let id = said.id.unwrap().to_string();
        for prefix in [id.as_str(), &id[..12]] {
            let found = fixture.lake.request(prefix, None).await.unwrap();
            assert_eq!(found.as_ref(), Some(&said), "{prefix} from {place}");
        }
    }
}

#[tokio::test]
async fn an_ambiguous_id_names_the_newest_that_it_may_mean() {
    let twins: Vec<_> = (1..=12).map(|number| record(number, 10)).collect();
    let text = twins[0].id.unwrap().to_string();
    for (place, fixture) in everywhere(&twins).await {
        match fixture.lake.request(&text[..20], None).await {
            Err(Error::Ambiguous { candidates, .. }) => {
                let newest: Vec<u128> = (3..=12).rev().collect();
                assert_eq!(numbers(&candidates), newest, "{place}");
            }
            other => panic!("{other:?} from {place}"),
        }
    }
}

#[tokio::test]
async fn of_one_caller_only_its_own_request_is_found() {
    let own = RequestRecord { subject: "virtualaccount:ci".into(), ..record(1, 10) };
    let prefix = own.id.unwrap().to_string()[..20].to_owned();
    let subject = |name: &str| Some(name.to_owned());
    for (place, fixture) in everywhere(&[own.clone(), record(2, 10)]).await {
        for (name, expected) in [("virtualaccount:ci", Some(&own)), ("user:bob", None)] {
            let found = fixture.lake.request(&prefix, subject(name).as_ref()).await.unwrap();
            assert_eq!(found.as_ref(), expected, "{name} from {place}");
        }
    }
}

#[tokio::test]
async fn newest_records_come_first_over_many_hours() {
    // More hours than the first steps of the search, in files and in the journal, mixed.
    let hours: Vec<u64> = (0..40).chain([300, 9_000]).collect();
    let records: Vec<_> =
        hours.iter().enumerate().map(|(at, hour)| record(at as u128, hour * 60)).collect();
    let mut fixture = Fixture::new();
    let (even, odd): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.id.unwrap().0 % 2 == 0);
    fixture.seal(&even);
    fixture.lake.ingest().await.unwrap();
    fixture.write(&odd);
    for limit in [1, 3, 30, 41, 42, 43] {
        let query = LogQuery { limit: Some(limit), ..LogQuery::default() };
        let found = numbers(&fixture.lake.requests(&query).await.unwrap());
        let expected: Vec<u128> = (0..42).take(limit as usize).collect();
        assert_eq!(found, expected);
        let query = LogQuery { after_id: Some("0".repeat(8)), ..query };
        let found = numbers(&fixture.lake.requests(&query).await.unwrap());
        let expected: Vec<u128> = (0..42).rev().take(limit as usize).collect();
        assert_eq!(found, expected, "oldest first");
    }
}

fn used(number: u128, minutes: u64, input: u64, cost: i64) -> RequestRecord {
    RequestRecord {
        usage: TokenUsage { input, output: 2, cache_read: 1, ..TokenUsage::default() },
        cost: NanoUsd(cost),
        price_version: if cost == 0 { String::new() } else { "p".into() },
        ..record(number, minutes)
    }
}

/// Keys, requests, errors, input tokens, cost, unpriced.
type Line<'a> = (&'a [&'a str], u64, u64, u64, i64, u64);

#[track_caller]
fn check(name: &str, found: &[UsageRow], expected: &[Line<'_>]) {
    let line = |row: &UsageRow| {
        let keys = row.keys.join("|");
        (keys, row.requests, row.errors, row.usage.input, row.cost.0, row.unpriced)
    };
    let found: Vec<_> = found.iter().map(line).collect();
    let line = |line: &Line<'_>| (line.0.join("|"), line.1, line.2, line.3, line.4, line.5);
    let expected: Vec<_> = expected.iter().map(line).collect();
    assert_eq!(found, expected, "{name}");
}

#[tokio::test]
async fn usage_sums_exactly_by_any_keys() {
    // 2^53 + 1 is the first integer that a floating point number cannot hold.
    let big = (1 << 53) + 1;
    let broken = RequestRecord { fault: "upstream".into(), ..used(7, 2_880, 20, 1) };
    let refused = RequestRecord { status: 403, resolved_model: String::new(), ..record(4, 0) };
    let team = RequestRecord { teams: vec!["red".into(), "blue".into()], ..used(5, 0, 100, 7) };
    let metadata = [("project", "x"), ("workspace", "w")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let records = [
        broken,
        used(1, 1_440, big, 3),
        used(2, 0, big, 4),
        used(3, 0, 10, 0),
        refused,
        team,
        RequestRecord { metadata, ..used(6, 0, 1_000, 1) },
    ];
    let by = |by: &[UsageKey]| UsageQuery { by: by.to_vec(), ..UsageQuery::default() };
    let all = 2 * big + 1_130;
    let project = UsageKey::Metadata("project".into());
    for (place, fixture) in everywhere(&records).await {
        let cases: Vec<(UsageQuery, Vec<Line<'_>>)> = vec![
            (by(&[]), vec![(&[], 7, 2, all, 16, 1)]),
            (
                by(&[UsageKey::Model]),
                vec![(&["fast"], 1, 1, 0, 0, 0), (&["main/gpt"], 6, 1, all, 16, 1)],
            ),
            (
                by(&[UsageKey::Day]),
                vec![
                    (&["2026-02-27"], 1, 1, 20, 1, 0),
                    (&["2026-02-28"], 1, 0, big, 3, 0),
                    (&["2026-03-01"], 5, 1, big + 1_110, 12, 1),
                ],
            ),
            (
                by(&[UsageKey::Team]),
                vec![
                    (&[""], 6, 2, all - 100, 9, 1),
                    (&["blue"], 1, 0, 100, 7, 0),
                    (&["red"], 1, 0, 100, 7, 0),
                ],
            ),
            (
                by(&[UsageKey::Caller, project.clone(), UsageKey::Provider]),
                vec![
                    (&["user:ann", "", "openai"], 6, 2, all - 1_000, 15, 1),
                    (&["user:ann", "x", "openai"], 1, 0, 1_000, 1, 0),
                ],
            ),
            (
                by(&[UsageKey::Workspace]),
                vec![(&[""], 6, 2, all - 1_000, 15, 1), (&["w"], 1, 0, 1_000, 1, 0)],
            ),
            (
                UsageQuery { from_ms: Some(NOW_MS), ..by(&[]) },
                vec![(&[], 5, 1, big + 1_110, 12, 1)],
            ),
            (
                UsageQuery { metadata: [("project".into(), "x".into())].into(), ..by(&[]) },
                vec![(&[], 1, 0, 1_000, 1, 0)],
            ),
            (UsageQuery { model: Some("nothing".into()), ..by(&[UsageKey::Day]) }, vec![]),
        ];
        for (query, expected) in cases {
            let found = fixture.lake.usage(&query).await.unwrap();
            check(&format!("{query:?} from {place}"), &found, &expected);
        }
    }
}

#[tokio::test]
async fn sums_beyond_64_bits_stop_at_the_largest_number() {
    let mut fixture = Fixture::new();
    let huge = i64::MAX as u64;
    fixture.write(&[used(1, 0, huge, i64::MAX), used(2, 0, huge, i64::MAX), used(3, 0, huge, 1)]);
    let found = fixture.lake.usage(&UsageQuery::default()).await.unwrap();
    check("", &found, &[(&[], 3, 0, u64::MAX, i64::MAX, 0)]);
}

#[tokio::test]
async fn keys_of_usage_stand_once_and_are_few() {
    let fixture = Fixture::new();
    let metadata = |name: &str| UsageKey::Metadata(name.into());
    let different = |count: usize| (0..count).map(|at| metadata(&at.to_string())).collect();
    let long = metadata(&"n".repeat(1 << 20));
    let cases: Vec<(&str, Vec<UsageKey>, Option<&str>)> = vec![
        ("a model 500 times", vec![UsageKey::Model; 500], Some("has more than 8 keys")),
        ("nine teams", vec![UsageKey::Team; 9], Some("has more than 8 keys")),
        ("nine different", different(9), Some("has more than 8 keys")),
        ("eight different", different(8), None),
        ("a team twice", vec![UsageKey::Team; 2], Some("names a key twice")),
        (
            "a model again",
            vec![UsageKey::Model, UsageKey::Day, UsageKey::Model],
            Some("names a key twice"),
        ),
        ("a long name twice", vec![long.clone(), long], Some("names a key twice")),
        (
            "a workspace by both names",
            vec![UsageKey::Workspace, metadata("workspace")],
            Some("names a key twice"),
        ),
        ("metadata named like a column", vec![UsageKey::Model, metadata("model")], None),
    ];
    for (case, by, refused) in cases {
        match fixture.lake.usage(&UsageQuery { by, ..UsageQuery::default() }).await {
            Ok(_) => assert_eq!(refused, None, "{case}"),
            Err(Error::Invalid { field: "by", found, why }) => {
                assert_eq!(Some(why), refused, "{case}");
                assert!(found.len() <= 64, "{case}: {} bytes", found.len());
            }
            Err(error) => panic!("{case}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let mut fixture = Fixture::with(|config| config.query_journal_bytes = 100);
    let query = LogQuery { limit: Some(1_001), ..LogQuery::default() };
    let error = fixture.lake.requests(&query).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "limit", .. }), "{error}");
    let query = LogQuery { after_id: Some("x".repeat(32)), ..LogQuery::default() };
    let error = fixture.lake.requests(&query).await.unwrap_err();
    assert!(matches!(error, Error::Invalid { field: "after_id", .. }), "{error}");
    fixture.write(&[record(1, 0)]);
    let error = fixture.lake.requests(&LogQuery::default()).await.unwrap_err();
    assert!(matches!(error, Error::Backlog { .. }), "{error}");
    let config = LakeConfig::new("relative/path".into(), fixture.dir.path().join("journal"));
    let metrics = Arc::new(Metrics::default());
    let error = Lake::open(config, Clock::manual(0), metrics).unwrap_err();
    assert!(matches!(error, Error::Address { .. }), "{error}");
}

#[tokio::test]
async fn empty_lake_answers_with_nothing() {
    let fixture = Fixture::new();
    assert_eq!(fixture.lake.requests(&LogQuery::default()).await.unwrap(), []);
    let by = vec![UsageKey::Day];
    let query = UsageQuery { by, ..UsageQuery::default() };
    assert_eq!(fixture.lake.usage(&query).await.unwrap(), []);
    assert_eq!(fixture.lake.ingest().await.unwrap(), 0);
    assert_eq!(fixture.lake.compact().await.unwrap(), 0);
}

/// Handlers of an HTTP server need futures that may change threads.
#[test]
fn answers_can_be_awaited_on_any_thread() {
    fn check<T: Send>(future: T) {
        drop(future);
    }
    let fixture = Fixture::new();
    check(fixture.lake.requests(&LogQuery::default()));
    check(fixture.lake.request("00000000", None));
    check(fixture.lake.usage(&UsageQuery::default()));
    check(fixture.lake.clone().run(Kit::new(Clock::manual(0), Shutdown::default(), 1)));
}
