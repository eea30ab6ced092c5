//! An object store behind HTTP as the trait that DataFusion and the lake use.

use super::address::Address;
use super::error::{Error, Said, failing};
use super::{Ask, Listed, Service, Span, azure, s3};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use gantry_cloud::credentials::Environment;
use gantry_http::client::{Answer, Call, Client};
use gantry_runtime::clock::Clock;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UpdateVersion,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// For one request: a merged file of 32 MiB within it takes 0.5 MiB a second.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Pauses before a request that met a passing failure goes out again. Whatever takes longer is for
/// the next round of ingestion, or for whoever asks the question once more.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(1_000)];

/// Requests at the same time when several objects are deleted.
const DELETES_AT_ONCE: usize = 8;

/// Name of the object that the check at the start writes and deletes.
const PROBE: &str = "gantry-start-check";

/// A bucket or a container; clones share connections and lent keys.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Service,
    client: Client,
    clock: Clock,
}

impl Remote {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When a setting in the variables is missing or unusable.
    pub(crate) fn open(
        address: &Address,
        environment: &Environment,
        clock: Clock,
    ) -> std::result::Result<Self, Error> {
        let client = Client::new(clock.clone());
        let service = match address {
            Address::S3 { bucket } => {
                Service::S3(s3::S3::open(bucket, environment, client.clone())?)
            }
            Address::Azure { container, host } => {
                let host = host.as_deref();
                let store = azure::Azure::open(container, host, environment, client.clone())?;
                Service::Azure(store)
            }
        };
        Ok(Self(Arc::new(Inner { service, client, clock })))
    }

    /// Tries listing, writing, reading and deleting below `folder`, once each.
    ///
    /// # Errors
    /// The first that fails.
    pub(crate) async fn check(&self, folder: &Path) -> std::result::Result<(), Error> {
        let key = folder.clone().join(PROBE).to_string();
        let span = Span { prefix: key.clone(), ..Span::default() };
        let answer = self.try_once("list", &self.0.service.list(&span)).await?;
        let unread = || Error::Answer { store: self.0.service.name().to_owned() };
        self.0.service.page(&answer).ok_or_else(unread)?;
        let probe = self.0.service.put(&key, Bytes::from_static(b"see docs/operating.md\n"));
        self.try_once("write to", &probe).await?;
        self.try_once("read from", &Ask::new(Method::GET, &key)).await?;
        match self.try_once("delete from", &Ask::new(Method::DELETE, &key)).await {
            // Another process that starts has deleted it.
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a request, again when the failure may have passed. All of them may be sent twice.
    async fn send(&self, doing: &'static str, ask: &Ask) -> std::result::Result<Answer, Error> {
        for pause in PAUSES {
            match self.try_once(doing, ask).await {
                Err(error) if error.passing() => tokio::time::sleep(pause).await,
                settled => return settled,
            }
        }
        self.try_once(doing, ask).await
    }

    async fn try_once(&self, doing: &'static str, ask: &Ask) -> std::result::Result<Answer, Error> {
        let Inner { service, client, clock } = &*self.0;
        let signed = service.signed(ask, clock.unix_ms()).await?;
        let (method, body) = (ask.method.clone(), ask.body.clone());
        let (url, headers) = (signed.url.as_str(), signed.headers);
        let answer = client.call(Call { method, url, headers, body, timeout: TIMEOUT }).await;
        let store = service.name().to_owned();
        let answer = match answer {
            Ok(answer) if answer.status.is_success() => return Ok(answer),
            Ok(answer) => answer,
            Err(source) => return Err(Error::Unreachable { store, source }),
        };
        let (status, said) = (answer.status.as_u16(), Said::of(&answer));
        if condition_failed(ask, answer.status) {
            return Err(Error::Conflict { store, key: ask.key.clone() });
        }
        if failing(answer.status) {
            return Err(Error::Failing { doing, store, status, said });
        }
        // Of a bucket that is gone it is the code that tells, or that there is no key.
        let bucket_gone = ["NoSuchBucket", "ContainerNotFound"].contains(&said.code.as_str());
        if answer.status == StatusCode::NOT_FOUND && !bucket_gone && !ask.key.is_empty() {
            return Err(Error::NotFound { store, key: ask.key.clone() });
        }
        let advice = service.advice(&said.code, &answer.headers);
        Err(Error::Refused { doing, store, status, said, advice })
    }

    /// Size and the like of an object.
    async fn head(&self, location: &Path) -> Result<ObjectMeta> {
        let ask = Ask::new(Method::HEAD, location.as_ref());
        let answer = self.send("read from", &ask).await?;
        self.meta(location, &answer.headers)
    }

    fn meta(&self, location: &Path, headers: &HeaderMap) -> Result<ObjectMeta> {
        let unread = || Error::Answer { store: self.0.service.name().to_owned() };
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // `bytes 0-9/1234` in an answer with a part.
        let whole = text(header::CONTENT_RANGE).and_then(|range| range.rsplit('/').next());
        let size = whole.or_else(|| text(header::CONTENT_LENGTH));
        let size = size.and_then(|size| size.parse().ok()).ok_or_else(unread)?;
        let modified = text(header::LAST_MODIFIED).unwrap_or_default();
        let modified = OffsetDateTime::parse(modified, &Rfc2822).map_err(|_| unread())?;
        let e_tag = text(header::ETAG).map(str::to_owned);
        Ok(meta(location.clone(), size, e_tag, modified))
    }

    /// The objects of one part of a listing, and the span of the next.
    async fn page(&self, mut span: Span) -> Result<(Vec<ObjectMeta>, Option<Span>)> {
        let answer = self.send("list", &self.0.service.list(&span)).await?;
        let unread = || Error::Answer { store: self.0.service.name().to_owned() };
        let page = self.0.service.page(&answer).ok_or_else(unread)?;
        let wanted = |object: &Listed| span.after.as_ref().is_none_or(|after| object.key > *after);
        // A key that is no path is not the lake's.
        let of = |object: Listed| {
            let location = Path::parse(&object.key).ok()?;
            Some(meta(location, object.bytes, object.e_tag, object.modified))
        };
        let objects = page.objects.into_iter().filter(wanted).filter_map(of).collect();
        span.next = page.next;
        let next = span.next.is_some().then_some(span);
        Ok((objects, next))
    }

    /// A step of a listing: a part, and what asks for the next one.
    async fn next_page(&self, span: Option<Span>) -> Result<Option<(Part, Option<Span>)>> {
        let Some(span) = span else { return Ok(None) };
        let (objects, next) = self.page(span).await?;
        let objects: Vec<Result<ObjectMeta>> = objects.into_iter().map(Ok).collect();
        Ok(Some((stream::iter(objects), next)))
    }

    fn pages(&self, prefix: Option<&Path>, after: Option<&Path>) -> Listing {
        // A prefix of the trait is a folder, one of the stores any beginning.
        let prefix = prefix.filter(|prefix| !prefix.as_ref().is_empty());
        let prefix = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let first = Span { prefix, after: after.map(Path::to_string), next: None };
        let remote = self.clone();
        let pages = stream::try_unfold(Some(first), move |span| {
            let remote = remote.clone();
            async move { remote.next_page(span).await }
        });
        pages.try_flatten().boxed()
    }
}

type Part = stream::Iter<std::vec::IntoIter<Result<ObjectMeta>>>;
type Listing = BoxStream<'static, Result<ObjectMeta>>;

fn meta(location: Path, size: u64, e_tag: Option<String>, modified: OffsetDateTime) -> ObjectMeta {
    let last_modified = std::time::SystemTime::from(modified).into();
    ObjectMeta { location, last_modified, size, e_tag, version: None }
}

/// The condition of a write: S3 and Azure know the same two headers (RFC 9110, section 13.1).
pub(super) fn condition(mode: &PutMode, headers: &mut HeaderMap) -> Result<()> {
    match mode {
        PutMode::Overwrite => {}
        PutMode::Create => {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        PutMode::Update(UpdateVersion { e_tag, .. }) => {
            let value = e_tag.as_deref().and_then(|e_tag| HeaderValue::from_str(e_tag).ok());
            let Some(value) = value else { return not_supported("put over an unknown version") };
            headers.insert(header::IF_MATCH, value);
        }
    }
    Ok(())
}

/// Whether the answer says that the condition of a write does not hold.
pub(super) fn condition_failed(ask: &Ask, status: StatusCode) -> bool {
    let asked = [header::IF_MATCH, header::IF_NONE_MATCH];
    let asked = asked.iter().any(|name| ask.headers.contains_key(name));
    // 409 is Azure's for a blob that exists, and S3's for two writes at the same moment.
    asked && [StatusCode::PRECONDITION_FAILED, StatusCode::CONFLICT].contains(&status)
}

fn not_supported<T>(what: &str) -> Result<T> {
    Err(object_store::Error::NotImplemented {
        operation: what.to_owned(),
        implementer: "gantry-lake".to_owned(),
    })
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.service.name())
    }
}

#[async_trait]
impl ObjectStore for Remote {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if !options.tags.encoded().is_empty() || !options.attributes.is_empty() {
            return not_supported("put with tags or attributes");
        }
        let mut ask = self.0.service.put(location.as_ref(), Bytes::from(payload));
        condition(&options.mode, &mut ask.headers)?;
        let answer = self.send("write to", &ask).await?;
        let e_tag = answer.headers.get(header::ETAG).and_then(|value| value.to_str().ok());
        Ok(PutResult { e_tag: e_tag.map(str::to_owned), version: None })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        not_supported("put in parts")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let conditions = [&options.if_match, &options.if_none_match, &options.version];
        let since = [&options.if_modified_since, &options.if_unmodified_since];
        if conditions.iter().any(|it| it.is_some()) || since.iter().any(|it| it.is_some()) {
            return not_supported("get with a condition");
        }
        let range = match options.range {
            // Azure knows no range from the end.
            Some(GetRange::Suffix(bytes)) => {
                let size = self.head(location).await?.size;
                Some(GetRange::Bounded(size.saturating_sub(bytes)..size))
            }
            range => range,
        };
        let method = if options.head { Method::HEAD } else { Method::GET };
        let mut ask = Ask::new(method, location.as_ref());
        if let Some(range) = &range {
            let invalid = |source: Box<dyn std::error::Error + Send + Sync>| {
                object_store::Error::Generic { store: "object store", source }
            };
            range.is_valid().map_err(|error| invalid(Box::new(error)))?;
            let value = HeaderValue::from_str(&range.to_string());
            ask.headers.insert(header::RANGE, value.map_err(|error| invalid(Box::new(error)))?);
        }
        let answer = self.send("read from", &ask).await?;
        let meta = self.meta(location, &answer.headers)?;
        let whole = 0..meta.size;
        let part = (answer.status == StatusCode::PARTIAL_CONTENT).then_some(range).flatten();
        let range = part.and_then(|range| range.as_range(meta.size).ok()).unwrap_or(whole);
        let body = answer.body;
        let payload = GetResultPayload::Stream(stream::once(async { Ok(body) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let remote = self.clone();
        let delete = move |location: Result<Path>| {
            let remote = remote.clone();
            async move {
                let location = location?;
                let ask = Ask::new(Method::DELETE, location.as_ref());
                remote.send("delete from", &ask).await?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.pages(prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.pages(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        not_supported("list by folders")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        not_supported("copy")
    }
}
