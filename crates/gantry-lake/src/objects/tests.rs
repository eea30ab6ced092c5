//! Addresses, listings and signed requests without a server, and what passes or stays of failures.
//! `tests/clients/python/test_objects.py` has real servers.

use super::address::shown;
use super::*;
use gantry_cloud::credentials::Environment;
use gantry_http::client::Client;
use gantry_model::secret::Secret;
use gantry_runtime::clock::Clock;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// 2023-11-14 22:13:20.
const NOW_MS: u64 = 1_700_000_000_000;
const AZURE_KEY: &str = "dGhlLXNlY3JldA==";

fn environment(variables: &[(&'static str, &str)]) -> Environment {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
    Environment::new(move |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    })
}

fn client() -> Client {
    Client::new(Clock::manual(NOW_MS))
}

fn s3(bucket: &str, more: &[(&'static str, &str)]) -> Result<s3::S3, Error> {
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "the-secret")];
    s3::S3::open(bucket, &environment(&[&keys, more].concat()), client())
}

#[test]
fn addresses_are_read_and_what_is_wrong_is_said() {
    let s3 = |bucket: &str| Address::S3 { bucket: bucket.to_owned() };
    let azure = |container: &str, host: Option<&str>| {
        let (container, host) = (container.to_owned(), host.map(str::to_owned));
        Address::Azure { container, host }
    };
    let host = "a.dfs.core.windows.net";
    for (url, expected) in [
        ("s3://lake", s3("lake")),
        ("s3://lake/a/b", s3("lake")),
        ("azure://lake/a", azure("lake", None)),
        ("az://lake", azure("lake", None)),
        ("abfss://lake@a.dfs.core.windows.net/a", azure("lake", Some(host))),
    ] {
        assert_eq!(locate(url).unwrap().1, Location::Remote(expected), "{url}");
    }
    assert_eq!(locate("file:///a/b").unwrap().1, Location::Folder("/a/b".into()));
    for (url, message) in [
        ("s3://", "names no bucket"),
        ("azure:///x", "names no container"),
        ("s3://a@lake/x", "no `@`"),
        ("s3://id:the-secret@lake/x", "stand in variables"),
        ("azure://lake/x?sig=the-secret", "stand in variables"),
        ("s3://lake:80/x", "stand in variables"),
        ("gs://lake/x", "gs is no scheme"),
        ("lake", "relative URL"),
        ("file://host/x", "names no folder"),
    ] {
        let error = check_address(url).unwrap_err();
        assert!(error.contains(message), "{url}: {error}");
        assert!(!error.contains("the-secret"), "{url}");
    }
    assert_eq!(shown("abfss://lake@host/a"), "abfss://lake@host/a");
}

#[tokio::test]
async fn buckets_are_addressed_by_host_at_amazon_and_by_path_elsewhere() {
    let ask = Ask::new(Method::GET, "a b/day=1");
    let region = ("AWS_REGION", "eu-west-1");
    let general = ("AWS_ENDPOINT_URL", "http://general:9000");
    let own = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000/base/");
    type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], &'a str);
    let cases: [Case<'_>; 6] = [
        ("lake", &[region], "https://lake.s3.eu-west-1.amazonaws.com/a%20b/day%3D1"),
        ("my.lake", &[region], "https://s3.eu-west-1.amazonaws.com/my.lake/a%20b/day%3D1"),
        (
            "lake",
            &[("AWS_DEFAULT_REGION", "cn-north-1")],
            "https://lake.s3.cn-north-1.amazonaws.com.cn/a%20b/day%3D1",
        ),
        ("lake", &[general], "http://general:9000/lake/a%20b/day%3D1"),
        ("lake", &[general, own], "http://127.0.0.1:9000/base/lake/a%20b/day%3D1"),
        ("lake", &[own, region], "http://127.0.0.1:9000/base/lake/a%20b/day%3D1"),
    ];
    for (bucket, variables, url) in cases {
        let store = s3(bucket, variables).unwrap();
        assert_eq!(store.signed(&ask, NOW_MS).await.unwrap().url, url);
        assert!(!format!("{store:?}").contains("the-secret"));
    }
    let error = s3("lake", &[]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("set AWS_REGION"), "{cause}");
}

#[tokio::test]
async fn a_shared_access_signature_travels_in_the_query_and_shows_nowhere() {
    let sas = ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=the-secret%3D");
    let account = ("AZURE_STORAGE_ACCOUNT", "a");
    let open = |host: Option<&str>, variables: &[_]| {
        azure::Azure::open("lake", host, &environment(variables), client()).unwrap()
    };
    let store = open(None, &[account, sas]);
    let span = Span { prefix: "p/".into(), ..Span::default() };
    let signed = store.signed(&azure::list(&span), NOW_MS).await.unwrap();
    let query = "restype=container&comp=list&prefix=p%2F&sv=1&sig=the-secret%3D";
    assert_eq!(signed.url, format!("https://a.blob.core.windows.net/lake?{query}"));
    assert!(!signed.headers.contains_key("authorization"));
    assert!(!format!("{store:?}").contains("the-secret"));

    let key = ("AZURE_STORAGE_KEY", AZURE_KEY);
    let store = open(Some("b.dfs.core.usgovcloudapi.net"), &[account, key]);
    let signed = store.signed(&Ask::new(Method::GET, "x"), NOW_MS).await.unwrap();
    assert_eq!(signed.url, "https://b.blob.core.usgovcloudapi.net/lake/x");
    let authorization = signed.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("SharedKey b:"), "{authorization}");
    assert!(!format!("{store:?}").contains(AZURE_KEY));
}

#[test]
fn listings_are_read_and_one_that_would_lose_objects_is_none() {
    let object = |key: &str| Listed {
        key: key.to_owned(),
        bytes: 7,
        e_tag: Some("\"e\"".to_owned()),
        modified: time::macros::datetime!(2026-03-01 07:00 UTC),
    };
    let entry = "<Contents><Key>a&amp;b</Key><LastModified>2026-03-01T07:00:00.000Z</LastModified>\
        <ETag>&quot;e&quot;</ETag><Size>7</Size><Owner><ID>x</ID></Owner></Contents>";
    let s3 = |rest: &str| {
        let root = "ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
        s3::page(format!("<{root}>{entry}{rest}</ListBucketResult>").as_bytes())
    };
    let more = "<IsTruncated>true</IsTruncated>";
    let page = s3(&format!("{more}<NextContinuationToken>t</NextContinuationToken>")).unwrap();
    assert_eq!((page.objects, page.next.as_deref()), (vec![object("a&b")], Some("t")));
    assert_eq!(s3("<IsTruncated>false</IsTruncated>").unwrap().next, None);
    assert!(s3(more).is_none(), "there is more, and no way to it");
    assert!(s3("<Contents><Key>k</Key></Contents>").is_none(), "no size");
    assert!(s3::page(b"<html><body>Welcome</body></html>").is_none());

    let blob = "<Blob><Name>a</Name><Properties><Last-Modified>Sun, 01 Mar 2026 07:00:00 GMT\
        </Last-Modified><Etag>\"e\"</Etag><Content-Length>7</Content-Length></Properties></Blob>";
    let azure = |next: &str| {
        let text = format!("<Blobs>{blob}</Blobs>{next}");
        azure::page(format!("<EnumerationResults>{text}</EnumerationResults>").as_bytes()).unwrap()
    };
    let page = azure("<NextMarker>m</NextMarker>");
    assert_eq!((page.objects, page.next.as_deref()), (vec![object("a")], Some("m")));
    assert_eq!(azure("<NextMarker/>").next, None);
}

/// A store that answers the request with this number by `answer`; and how many came.
async fn store(answer: fn(usize) -> (u16, &'static str)) -> (Remote, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let come = count.clone();
    gantry_runtime::tasks::spawn("store", async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let (status, rest) = answer(come.fetch_add(1, Ordering::SeqCst));
            let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{rest}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let variables = environment(&[
        ("AWS_ENDPOINT_URL_S3", &url),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "the-secret"),
    ]);
    let address = Address::S3 { bucket: "lake".to_owned() };
    (Remote::open(&address, &variables, Clock::system()).unwrap(), count)
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_one_that_refuses_is_not() {
    let (busy, count) = store(|number| match number {
        0 => (503, "content-length: 0\r\n\r\n"),
        _ => (
            206,
            "content-length: 2\r\ncontent-range: bytes 1-2/9\r\n\
             last-modified: Sun, 01 Mar 2026 07:00:00 GMT\r\n\r\nxy",
        ),
    })
    .await;
    let path = Path::from("a");
    assert_eq!(busy.get_range(&path, 1..3).await.unwrap(), "xy");
    assert_eq!(count.load(Ordering::SeqCst), 2);

    let text = "<Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
    assert_eq!(text.len(), 62);
    let (closed, count) = store(|_| {
        (
            403,
            "content-length: 62\r\n\r\n\
             <Error><Code>AccessDenied</Code><Message>No.</Message></Error>",
        )
    })
    .await;
    let error = closed.get(&path).await.unwrap_err().to_string();
    assert!(error.contains("403 AccessDenied (No)"), "{error}");
    assert!(error.contains("s3:GetObject") && !error.contains("the-secret"), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_object_that_is_not_there_is_told_from_a_bucket_that_is_not() {
    let (empty, _) = store(|_| (404, "content-length: 0\r\n\r\n")).await;
    let path = Path::from("a");
    let missing = empty.get(&path).await;
    assert!(matches!(missing, Err(object_store::Error::NotFound { .. })), "{missing:?}");
    let (gone, _) =
        store(|_| (404, "content-length: 40\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>"))
            .await;
    let error = gone.get(&path).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Generic { .. }), "{error:?}");
    assert!(error.to_string().contains("correct `objects_url`"), "{error}");
    let (moved, _) =
        store(|_| (301, "x-amz-bucket-region: eu-west-3\r\ncontent-length: 0\r\n\r\n")).await;
    let error = moved.check(&path).await.unwrap_err();
    assert!(error.to_string().contains("set AWS_REGION=eu-west-3"), "{error}");
    assert!(!error.temporary());
}

#[tokio::test]
async fn what_the_lake_does_not_use_is_refused_and_not_done_by_half() {
    let (store, count) = store(|_| (200, "content-length: 0\r\n\r\n")).await;
    let path = Path::from("a");
    let unknown = object_store::UpdateVersion { e_tag: None, version: None };
    let update = object_store::PutOptions::from(object_store::PutMode::Update(unknown));
    assert!(store.put_opts(&path, "x".into(), update).await.is_err());
    assert!(store.put_multipart(&path).await.is_err());
    assert!(store.copy(&path, &path).await.is_err());
    assert!(store.list_with_delimiter(None).await.is_err());
    let options = object_store::GetOptions::new().with_if_match(Some("e"));
    assert!(store.get_opts(&path, options).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn conditions_of_a_write_travel_in_headers_and_their_failure_is_told() {
    let version = UpdateVersion { e_tag: Some("\"e1\"".to_owned()), version: None };
    for (mode, name, value) in
        [(PutMode::Create, "if-none-match", "*"), (PutMode::Update(version), "if-match", "\"e1\"")]
    {
        let mut ask = Ask::new(Method::PUT, "a");
        remote::condition(&mode, &mut ask.headers).unwrap();
        assert_eq!(ask.headers.get(name).unwrap(), value);
        for (status, expected) in [(412, true), (409, true), (404, false), (503, false)] {
            let status = http::StatusCode::from_u16(status).unwrap();
            assert_eq!(remote::condition_failed(&ask, status), expected, "{status}");
        }
    }
    let plain = Ask::new(Method::PUT, "a");
    assert!(!remote::condition_failed(&plain, http::StatusCode::CONFLICT));
    let error = Error::Conflict { store: "s".to_owned(), key: "k".to_owned() };
    assert!(matches!(object_store::Error::from(error), object_store::Error::Precondition { .. }));
}
