//! Which control plane a command talks to, and as whom.

use anyhow::{Context, bail};
use bytes::Bytes;
use gantry_providers::client::{Call, call};
use gantry_providers::sign::percent_encoded;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What `gantry up` leaves in its data directory for the commands on the same machine.
pub(crate) const CREDENTIALS_FILE: &str = "credentials.json";

const TIMEOUT: Duration = Duration::from_secs(60);

/// Flags of every command.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Flags {
    /// Address of the control plane [env: GANTRY_HOST, TFY_HOST].
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// Token [env: GANTRY_TOKEN, TFY_API_KEY].
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Data directory of a `gantry up` whose credentials are used [env: GANTRY_DATA_DIR].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Address and token.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Credentials {
    pub host: String,
    pub token: String,
}

/// A control plane to talk to.
pub(super) struct Connection(Credentials);

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl Flags {
    /// The data directory that is named, else the usual one.
    pub(super) fn data_dir(&self) -> PathBuf {
        let variable = || crate::boot::variable("GANTRY_DATA_DIR").map(PathBuf::from);
        self.data_dir.clone().or_else(variable).unwrap_or_else(crate::boot::default_data_dir)
    }
}

impl Connection {
    /// From flags, else variables, else the credentials of a local `gantry up`.
    ///
    /// # Errors
    /// When there is no address or no token; the message says how to give them.
    pub(super) fn open(flags: &Flags) -> anyhow::Result<Self> {
        let variable = |names: [&str; 2]| {
            names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
        };
        let local = local(flags);
        let host = flags
            .host
            .clone()
            .or_else(|| variable(["GANTRY_HOST", "TFY_HOST"]))
            .or_else(|| local.as_ref().map(|local| local.host.clone()));
        let token = flags
            .token
            .clone()
            .or_else(|| variable(["GANTRY_TOKEN", "TFY_API_KEY"]))
            .or_else(|| local.map(|local| local.token));
        match (host, token) {
            (Some(host), Some(token)) => {
                let host = host.trim_end_matches('/').to_owned();
                Ok(Self(Credentials { host, token }))
            }
            (None, _) => bail!(
                "no control plane: start one with `gantry up`, or name one with --host or \
                 GANTRY_HOST"
            ),
            (_, None) => bail!("no token: give one with --token or GANTRY_TOKEN"),
        }
    }

    /// Calls `path` below the API's root and reads the JSON answer.
    ///
    /// # Errors
    /// When the call fails, or the control plane refuses: its message is the error.
    pub(super) async fn send<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> anyhow::Result<T> {
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.0.token))
            .context("the token holds characters that no token has")?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let url = format!("{}/api/svc/v1/{path}", self.0.host);
        let answer =
            call(Call { method, url: &url, headers, body: Bytes::from(body), timeout: TIMEOUT })
                .await
                .with_context(|| format!("talk to the control plane at {}", self.0.host))?;
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body)
                .context("understand the control plane's answer");
        }
        match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(error) => bail!("{}", error.message),
            Err(_) => bail!("the control plane answered {}", answer.status),
        }
    }
}

/// A text as one part of a path or one value of a query (RFC 3986, section 2.3).
pub(super) fn encoded(text: &str) -> String {
    percent_encoded(text, "")
}

fn local(flags: &Flags) -> Option<Credentials> {
    let text = std::fs::read(flags.data_dir().join(CREDENTIALS_FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_writes_stays_one_part_of_a_path() {
        assert_eq!(encoded("openai-2.b_c~"), "openai-2.b_c~");
        assert_eq!(encoded("a/b?c=d&e é"), "a%2Fb%3Fc%3Dd%26e%20%C3%A9");
    }
}
