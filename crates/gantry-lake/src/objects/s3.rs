//! S3 in its REST form: addresses of buckets, listings, and what its refusals mean.
//!
//! The rules are in Amazon's "S3 API Reference". Requests are signed with version 4; a server of
//! somebody else, named by `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, is asked in path style.

use super::{Ask, Error, Listed, Page, Signed, Span, base};
use gantry_cloud::credentials::aws::Aws;
use gantry_cloud::credentials::{self, Environment};
use gantry_cloud::sign::aws::{Scope, Unsigned, sign};
use gantry_cloud::sign::{percent_encoded, query};
use gantry_cloud::xml::Element;
use gantry_http::client::Client;
use gantry_http::endpoint::Endpoint;
use http::{HeaderMap, HeaderValue, Method, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Servers of others take any region; most call theirs so.
const REGION: &str = "us-east-1";

#[derive(Debug)]
pub(super) struct S3 {
    name: String,
    /// Scheme and host, and in path style the bucket; without a slash at the end.
    base: Endpoint,
    region: String,
    credentials: Aws,
    client: Client,
}

impl S3 {
    /// # Errors
    /// When region, endpoint or credentials are missing or unusable.
    pub(super) fn open(
        bucket: &str,
        environment: &Environment,
        client: Client,
    ) -> Result<Self, Error> {
        let name = format!("the bucket {bucket}");
        let unusable = |source| Error::Credentials { store: name.clone(), source };
        let region = environment.text(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let custom = environment.text(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let (url, region) = match (custom, region) {
            (Some(url), region) => {
                let url = format!("{}/{bucket}", url.trim_end_matches('/'));
                (url, region.unwrap_or(REGION.to_owned()))
            }
            (None, Some(region)) => (address(bucket, &region), region),
            (None, None) => {
                let advice = "set AWS_REGION, or AWS_ENDPOINT_URL_S3 for another server than \
                    Amazon's";
                return Err(unusable(credentials::Error::Missing { advice: advice.to_owned() }));
            }
        };
        let credentials = Aws::from_environment(environment, &region).map_err(unusable)?;
        let base = base(&name, &url)?;
        Ok(Self { name, base, region, credentials, client })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn signed(&self, ask: &Ask, now_ms: u64) -> Result<Signed, Error> {
        let keys = self.credentials.keys(&self.client, now_ms).await;
        let keys =
            keys.map_err(|source| Error::Credentials { store: self.name.clone(), source })?;
        let failed = |why: String| Error::Unusable { store: self.name.clone(), why };
        let path = format!("{}/{}", self.base.base_path, percent_encoded(&ask.key, "/"));
        let query = query(ask.pairs());
        let mut headers = ask.headers.clone();
        let host = HeaderValue::from_str(&self.base.authority);
        headers.insert(header::HOST, host.map_err(|error| failed(error.to_string()))?);
        let scope = Scope { region: &self.region, service: "s3", unix_ms: now_ms };
        let request = Unsigned { method: &ask.method, path: &path, query: &query, body: &ask.body };
        sign(request, &mut headers, scope, &keys).map_err(|error| failed(error.to_string()))?;
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(Signed { url: format!("{}{path}{mark}{query}", self.base.origin()), headers })
    }

    pub(super) fn advice(&self, code: &str, headers: &HeaderMap) -> String {
        let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        if let Some(region) = region.filter(|region| *region != self.region) {
            return format!("it lies in the region {region}: set AWS_REGION={region}");
        }
        match code {
            "NoSuchBucket" => "create it, or correct `objects_url`".to_owned(),
            "AccessDenied" => "its owner must allow s3:ListBucket on it and s3:GetObject, \
                s3:PutObject, s3:DeleteObject on its objects"
                .to_owned(),
            "RequestTimeTooSkewed" => "set this machine's clock".to_owned(),
            "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
                "set AWS_REGION to the bucket's region".to_owned()
            }
            _ => self.credentials.advice().to_owned(),
        }
    }
}

/// A bucket at Amazon. A dot in its name would not fit the certificate of `*.s3.…`.
fn address(bucket: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if bucket.contains('.') {
        return format!("https://s3.{region}.{domain}/{bucket}");
    }
    format!("https://{bucket}.s3.{region}.{domain}")
}

/// ListObjectsV2.
pub(super) fn list(span: &Span) -> Ask {
    let mut ask = Ask::new(Method::GET, "");
    ask.query = vec![("list-type", "2".to_owned()), ("prefix", span.prefix.clone())];
    match (&span.next, &span.after) {
        (Some(next), _) => ask.query.push(("continuation-token", next.clone())),
        (None, Some(after)) => ask.query.push(("start-after", after.clone())),
        (None, None) => {}
    }
    ask
}

pub(super) fn page(body: &[u8]) -> Option<Page> {
    let document = Element::parse(body).ok()?;
    if document.name != "ListBucketResult" {
        return None;
    }
    let found = document.children.iter().filter(|child| child.name == "Contents");
    let objects = found.map(listed).collect::<Option<Vec<Listed>>>()?;
    let more = document.text_of("IsTruncated") == Some("true");
    let next = document.text_of("NextContinuationToken").filter(|_| more).map(str::to_owned);
    // Without a token the rest would be lost without a word.
    if more && next.is_none() {
        return None;
    }
    Some(Page { objects, next })
}

fn listed(object: &Element) -> Option<Listed> {
    Some(Listed {
        key: object.child("Key")?.text.clone(),
        bytes: object.text_of("Size")?.parse().ok()?,
        e_tag: object.text_of("ETag").map(str::to_owned),
        modified: OffsetDateTime::parse(object.text_of("LastModified")?, &Rfc3339).ok()?,
    })
}
