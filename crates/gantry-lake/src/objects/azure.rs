//! Azure Blob Storage in its REST form: addresses of containers, listings, what refusals mean.
//!
//! The rules are in Microsoft's "Blob service REST API", in the version that each request names.

use super::{Ask, Error, Listed, Page, Signed, Span, base};
use gantry_cloud::credentials::azure::{self, Proof};
use gantry_cloud::credentials::{self, Environment};
use gantry_cloud::sign::azure::{Unsigned, http_date, shared_key};
use gantry_cloud::sign::sensitive;
use gantry_cloud::sign::{percent_encoded, query};
use gantry_cloud::xml::Element;
use gantry_http::client::Client;
use gantry_http::endpoint::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Of the service that is asked for; the first with all that is used here, and one that emulators
/// and clouds of their own know.
const VERSION: HeaderValue = HeaderValue::from_static("2021-12-02");
const VERSION_NAME: HeaderName = HeaderName::from_static("x-ms-version");
const DATE: HeaderName = HeaderName::from_static("x-ms-date");

#[derive(Debug)]
pub(super) struct Azure {
    name: String,
    /// Address of the container, without a slash at the end.
    base: Endpoint,
    credentials: azure::Azure,
    client: Client,
}

impl Azure {
    /// # Errors
    /// When account, endpoint or credentials are missing or unusable.
    pub(super) fn open(
        container: &str,
        host: Option<&str>,
        environment: &Environment,
        client: Client,
    ) -> Result<Self, Error> {
        let name = format!("the container {container}");
        let unusable = |source| Error::Credentials { store: name.clone(), source };
        let named = host.and_then(|host| host.split('.').next()).map(str::to_owned);
        let account = named.or_else(|| azure::account(environment)).ok_or_else(|| {
            let advice = "set AZURE_STORAGE_ACCOUNT".to_owned();
            unusable(credentials::Error::Missing { advice })
        })?;
        // A lake's host of the file system's protocol has a twin of the blobs'.
        let host = host.map(|host| format!("https://{}", host.replacen(".dfs.", ".blob.", 1)));
        let custom = environment.text(&["AZURE_STORAGE_BLOB_ENDPOINT"]);
        let usual = || format!("https://{account}.blob.core.windows.net");
        let url = custom.or(host).unwrap_or_else(usual);
        let url = format!("{}/{container}", url.trim_end_matches('/'));
        let credentials =
            azure::Azure::from_environment(environment, &account).map_err(unusable)?;
        let base = base(&name, &url)?;
        Ok(Self { name, base, credentials, client })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn signed(&self, ask: &Ask, now_ms: u64) -> Result<Signed, Error> {
        let proof = self.credentials.proof(&self.client, now_ms).await;
        let proof =
            proof.map_err(|source| Error::Credentials { store: self.name.clone(), source })?;
        let failed = |why: String| Error::Unusable { store: self.name.clone(), why };
        let slash = if ask.key.is_empty() { "" } else { "/" };
        let path = format!("{}{slash}{}", self.base.base_path, percent_encoded(&ask.key, "/"));
        let pairs = ask.pairs();
        let mut headers = ask.headers.clone();
        headers.insert(VERSION_NAME, VERSION);
        let date = HeaderValue::from_str(&http_date(now_ms));
        headers.insert(DATE, date.map_err(|error| failed(error.to_string()))?);
        let mut sent_query = query(pairs.iter().copied());
        let authorization = match &proof {
            Proof::Key(account) => {
                let body_bytes = ask.body.len();
                let (method, path, query) = (&ask.method, path.as_str(), pairs.as_slice());
                let request = Unsigned { method, path, query, body_bytes };
                let value = shared_key(request, &headers, account);
                Some(value.map_err(|error| failed(error.to_string()))?)
            }
            Proof::Bearer(token) => {
                let value = sensitive(&format!("Bearer {}", token.expose()));
                Some(value.map_err(|error| failed(error.to_string()))?)
            }
            Proof::Sas(token) => {
                let between = if sent_query.is_empty() { "" } else { "&" };
                sent_query = format!("{sent_query}{between}{}", token.expose());
                None
            }
        };
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        let mark = if sent_query.is_empty() { "" } else { "?" };
        Ok(Signed { url: format!("{}{path}{mark}{sent_query}", self.base.origin()), headers })
    }

    pub(super) fn advice(&self, code: &str) -> String {
        match code {
            "ContainerNotFound" => "create it, or correct `objects_url`".to_owned(),
            "AuthorizationPermissionMismatch" => {
                "the identity needs the role Storage Blob Data Contributor on it".to_owned()
            }
            // Of a key that is wrong, and of a network that is not let in.
            "AuthorizationFailure" => {
                format!("{}, and the account's firewall", self.credentials.advice())
            }
            _ => self.credentials.advice().to_owned(),
        }
    }
}

/// Put Blob takes the body as the whole blob.
pub(super) fn as_block_blob(headers: &mut HeaderMap) {
    headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
}

/// List Blobs. It cannot begin after a key: the caller leaves out what it does not want.
pub(super) fn list(span: &Span) -> Ask {
    let mut ask = Ask::new(Method::GET, "");
    let (kind, what) = ("container".to_owned(), "list".to_owned());
    ask.query = vec![("restype", kind), ("comp", what), ("prefix", span.prefix.clone())];
    ask.query.extend(span.next.iter().map(|next| ("marker", next.clone())));
    ask
}

pub(super) fn page(body: &[u8]) -> Option<Page> {
    let document = Element::parse(body).ok()?;
    let found = document.child("Blobs").filter(|_| document.name == "EnumerationResults")?;
    let found = found.children.iter().filter(|child| child.name == "Blob");
    let objects = found.map(listed).collect::<Option<Vec<Listed>>>()?;
    Some(Page { objects, next: document.text_of("NextMarker").map(str::to_owned) })
}

fn listed(blob: &Element) -> Option<Listed> {
    let properties = blob.child("Properties")?;
    Some(Listed {
        key: blob.child("Name")?.text.clone(),
        bytes: properties.text_of("Content-Length")?.parse().ok()?,
        e_tag: properties.text_of("Etag").map(str::to_owned),
        modified: OffsetDateTime::parse(properties.text_of("Last-Modified")?, &Rfc2822).ok()?,
    })
}
