//! AWS: an access key, web identity (IRSA on EKS), container credentials (EKS Pod Identity, ECS).
//!
//! The variables are those of AWS's "SDKs and Tools Reference", looked at in its order. Profiles
//! and the metadata service of EC2 are left out: a process in a cluster should not act as its
//! machine.

use super::{Environment, Error, Lent, Renewed, TIMEOUT, accepted, token_file};
use crate::sign::aws::Keys;
use crate::sign::query;
use crate::xml::Element;
use bytes::Bytes;
use gantry_http::client::{Answer, Call, Client};
use gantry_model::ids::UnixMs;
use gantry_model::secret::Secret;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Where a relative address of container credentials leads, and the other hosts that may be asked
/// without TLS: ECS, and the agent of EKS Pod Identity.
const ECS: &str = "http://169.254.170.2";
const PLAIN_HOSTS: [&str; 6] =
    ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "127.0.0.1", "[::1]", "localhost"];

const ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with an IAM role \
    that sets AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or AWS_CONTAINER_CREDENTIALS_FULL_URI";

/// A way to keys.
#[derive(Debug)]
pub struct Aws {
    source: Source,
    lent: Renewed<Keys>,
}

#[derive(Debug)]
enum Source {
    Fixed(Keys),
    WebIdentity { url: String, role: String, session: String, token_file: String },
    Container { url: String, token: Option<Secret>, token_file: Option<String> },
}

impl Aws {
    /// Chooses the way by the variables. `region` is where a role's keys are asked for.
    ///
    /// # Errors
    /// When the variables show no way; the error names them.
    pub fn from_environment(environment: &Environment, region: &str) -> Result<Self, Error> {
        let source = fixed(environment)?
            .or_else(|| web_identity(environment, region))
            .map_or_else(|| container(environment), |source| Ok(Some(source)))?;
        let missing = || Error::Missing { advice: ADVICE.to_owned() };
        Ok(Self { source: source.ok_or_else(missing)?, lent: Renewed::new() })
    }

    /// What to look at when the keys are refused.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match &self.source {
            Source::Fixed(_) => "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
            Source::WebIdentity { .. } => "check the role in AWS_ROLE_ARN and its trust policy",
            Source::Container { .. } => "check the role that the pod or task is associated with",
        }
    }

    /// The keys that hold now.
    ///
    /// # Errors
    /// When the service that lends them cannot be asked, or refuses.
    pub async fn keys(&self, client: &Client, now_ms: UnixMs) -> Result<Keys, Error> {
        if let Source::Fixed(keys) = &self.source {
            return Ok(keys.clone());
        }
        self.lent.get(now_ms, self.fetch(client)).await
    }

    async fn fetch(&self, client: &Client) -> Result<Lent<Keys>, Error> {
        match &self.source {
            // Never asked for.
            Source::Fixed(keys) => Ok(Lent { value: keys.clone(), until_ms: UnixMs::MAX }),
            Source::WebIdentity { url, role, session, token_file: path } => {
                let token = token_file(TOKEN_FILE, path)?;
                let form = query([
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", token.expose()),
                ]);
                assumed(url, &exchange(client, url, None, Some(form)).await?)
            }
            Source::Container { url, token, token_file: path } => {
                let path = path.as_deref().map(|path| token_file(CONTAINER_TOKEN_FILE, path));
                let token = path.transpose()?.or_else(|| token.clone());
                contained(url, &exchange(client, url, token.as_ref(), None).await?)
            }
        }
    }
}

fn fixed(environment: &Environment) -> Result<Option<Source>, Error> {
    let id = environment.text(&["AWS_ACCESS_KEY_ID"]);
    let secret = environment.secret("AWS_SECRET_ACCESS_KEY");
    let (access_key_id, secret_access_key) = match (id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(lone("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(lone("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
    };
    let session_token = environment.secret("AWS_SESSION_TOKEN");
    Ok(Some(Source::Fixed(Keys { access_key_id, secret_access_key, session_token })))
}

fn lone(set: &str, missing: &str) -> Error {
    Error::Missing { advice: format!("{set} is set, so set {missing} too") }
}

fn web_identity(environment: &Environment, region: &str) -> Option<Source> {
    let token_file = environment.text(&[TOKEN_FILE])?;
    let role = environment.text(&["AWS_ROLE_ARN"])?;
    let session = environment.text(&["AWS_ROLE_SESSION_NAME"]).unwrap_or("gantry".to_owned());
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let given = environment.text(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]);
    let url = given.unwrap_or_else(|| format!("https://sts.{region}.{domain}/"));
    Some(Source::WebIdentity { url, role, session, token_file })
}

fn container(environment: &Environment) -> Result<Option<Source>, Error> {
    let relative = environment.text(&["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]);
    let url = relative.map(|path| format!("{ECS}{path}"));
    let url = url.or_else(|| environment.text(&["AWS_CONTAINER_CREDENTIALS_FULL_URI"]));
    let Some(url) = url else { return Ok(None) };
    let host = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    let plain = |host: &str| {
        PLAIN_HOSTS.iter().any(|known| {
            host.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    };
    if !url.starts_with("https://") && !host.is_some_and(plain) {
        let advice = "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or lead to this machine \
            or the agent of ECS or EKS";
        return Err(Error::Missing { advice: advice.to_owned() });
    }
    Ok(Some(Source::Container {
        url,
        token: environment.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        token_file: environment.text(&[CONTAINER_TOKEN_FILE]),
    }))
}

/// Posts a form, or gets with a token.
async fn exchange(
    client: &Client,
    url: &str,
    token: Option<&Secret>,
    form: Option<String>,
) -> Result<Answer, Error> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = crate::sign::sensitive(token.expose());
        let value =
            value.map_err(|_| Error::Answer { service: CONTAINER_TOKEN_FILE.to_owned() })?;
        headers.insert(header::AUTHORIZATION, value);
    }
    let method = if form.is_some() { Method::POST } else { Method::GET };
    if form.is_some() {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
    }
    let body = Bytes::from(form.unwrap_or_default());
    let answer = client.call(Call { method, url, headers, body, timeout: TIMEOUT }).await;
    let unreachable = |source| Error::Unreachable { service: url.to_owned(), source };
    accepted(url, answer.map_err(unreachable)?)
}

/// The keys in the answer of STS.
fn assumed(service: &str, answer: &Answer) -> Result<Lent<Keys>, Error> {
    let unusable = || Error::Answer { service: service.to_owned() };
    let document = Element::parse(&answer.body).map_err(|_| unusable())?;
    let found = document.find("Credentials").ok_or_else(unusable)?;
    let text = |name: &str| found.text_of(name).map(str::to_owned).ok_or_else(unusable);
    let keys = Keys {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: Secret::new(text("SecretAccessKey")?),
        session_token: Some(Secret::new(text("SessionToken")?)),
    };
    let until_ms = unix_ms(&text("Expiration")?).ok_or_else(unusable)?;
    Ok(Lent { value: keys, until_ms })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contained {
    access_key_id: String,
    secret_access_key: Secret,
    token: Option<Secret>,
    expiration: Option<String>,
}

fn contained(service: &str, answer: &Answer) -> Result<Lent<Keys>, Error> {
    let unusable = || Error::Answer { service: service.to_owned() };
    let found: Contained = serde_json::from_slice(&answer.body).map_err(|_| unusable())?;
    let until_ms = match &found.expiration {
        Some(text) => unix_ms(text).ok_or_else(unusable)?,
        None => UnixMs::MAX,
    };
    let Contained { access_key_id, secret_access_key, token: session_token, .. } = found;
    Ok(Lent { value: Keys { access_key_id, secret_access_key, session_token }, until_ms })
}

fn unix_ms(text: &str) -> Option<UnixMs> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok()?.checked_mul(1000)
}
