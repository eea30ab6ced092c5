//! Azure Storage: an account key, a shared access signature, or workload identity of Entra.
//!
//! The variables are those of Azure's command line and of its identity libraries, in that order.
//! Managed identities of machines are left out: a process in a cluster should not act as its node.

use super::{Environment, Error, Lent, Renewed, TIMEOUT, accepted, token_file};
use crate::sign::azure::AccountKey;
use crate::sign::query;
use bytes::Bytes;
use gantry_http::client::{Call, Client};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;

const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
const KEY: [&str; 2] = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"];

/// Entra's public cloud; AZURE_AUTHORITY_HOST names another.
const AUTHORITY: &str = "https://login.microsoftonline.com/";
const SCOPE: &str = "https://storage.azure.com/.default";
/// RFC 7523, section 2.2.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const ADVICE: &str = "set AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN, or run with workload \
    identity, which sets AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE";

/// A way to prove oneself to Azure Storage.
#[derive(Debug)]
pub struct Azure {
    source: Source,
    lent: Renewed<Secret>,
}

#[derive(Debug)]
enum Source {
    Key(AccountKey),
    Sas(Secret),
    Workload { url: String, client_id: String, token_file: String },
}

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The request is signed.
    Key(AccountKey),
    /// It stands in the query, as it is.
    Sas(Secret),
    /// It stands in `Authorization`.
    Bearer(Secret),
}

/// The storage account's name, by the variables.
#[must_use]
pub fn account(environment: &Environment) -> Option<String> {
    environment.text(&ACCOUNT)
}

impl Azure {
    /// Chooses the way by the variables.
    ///
    /// # Errors
    /// When the variables show no way; the error names them.
    pub fn from_environment(environment: &Environment, account: &str) -> Result<Self, Error> {
        let key = KEY.iter().find_map(|name| environment.secret(name));
        let key = key.map(|key| Source::Key(AccountKey { account: account.to_owned(), key }));
        let source = key
            .or_else(|| shared_access(environment))
            .or_else(|| workload(environment))
            .ok_or_else(|| Error::Missing { advice: ADVICE.to_owned() })?;
        Ok(Self { source, lent: Renewed::new() })
    }

    /// What to look at when the proof is refused.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match &self.source {
            Source::Key(_) => "check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY",
            Source::Sas(_) => "check AZURE_STORAGE_SAS_TOKEN: its end, its services, its rights",
            Source::Workload { .. } => "check AZURE_CLIENT_ID and the roles of that identity",
        }
    }

    /// The proof that holds now.
    ///
    /// # Errors
    /// When Entra cannot be asked, or refuses.
    pub async fn proof(&self, client: &Client, now_ms: UnixMs) -> Result<Proof, Error> {
        match &self.source {
            Source::Key(key) => Ok(Proof::Key(key.clone())),
            Source::Sas(token) => Ok(Proof::Sas(token.clone())),
            Source::Workload { url, client_id, token_file } => {
                let fetch = exchange(client, url, client_id, token_file, now_ms);
                self.lent.get(now_ms, fetch).await.map(Proof::Bearer)
            }
        }
    }
}

fn shared_access(environment: &Environment) -> Option<Source> {
    let token = environment.secret("AZURE_STORAGE_SAS_TOKEN")?;
    Some(Source::Sas(Secret::new(token.expose().trim().trim_start_matches('?'))))
}

fn workload(environment: &Environment) -> Option<Source> {
    let token_file = environment.text(&[TOKEN_FILE])?;
    let client_id = environment.text(&["AZURE_CLIENT_ID"])?;
    let tenant = environment.text(&["AZURE_TENANT_ID"])?;
    let authority = environment.text(&["AZURE_AUTHORITY_HOST"]);
    let authority = authority.as_deref().unwrap_or(AUTHORITY).trim_end_matches('/');
    let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
    Some(Source::Workload { url, client_id, token_file })
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: u64,
}

async fn exchange(
    client: &Client,
    url: &str,
    client_id: &str,
    path: &str,
    now_ms: UnixMs,
) -> Result<Lent<Secret>, Error> {
    let assertion = token_file(TOKEN_FILE, path)?;
    let form = query([
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("scope", SCOPE),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion.expose()),
    ]);
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, kind);
    let (method, body) = (Method::POST, Bytes::from(form));
    let answer = client.call(Call { method, url, headers, body, timeout: TIMEOUT }).await;
    let unreachable = |source| Error::Unreachable { service: url.to_owned(), source };
    let answer = accepted(url, answer.map_err(unreachable)?)?;
    let granted: Granted = serde_json::from_slice(&answer.body)
        .map_err(|_| Error::Answer { service: url.to_owned() })?;
    let until_ms = now_ms.saturating_add(granted.expires_in.saturating_mul(1000));
    Ok(Lent { value: granted.access_token, until_ms })
}
