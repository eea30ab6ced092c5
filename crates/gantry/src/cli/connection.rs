//! Which control plane a command talks to, and as whom.

use crate::boot::{http_url, variable};
use crate::credentials::{self, Credentials};
use anyhow::{Context, bail};
use bytes::Bytes;
use gantry_cloud::sign::percent_encoded;
use gantry_http::client::{self, Call, call};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// A control plane to talk to.
pub(super) struct Connection {
    to: Credentials,
    /// The data directory that the token was saved in, if it is that one.
    saved_in: Option<PathBuf>,
}

/// The control plane is not well: it may answer the next time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unwell(String);

/// Whether what failed may work the next time, without anybody's doing here: the control plane
/// could not be reached, or is not well.
pub(super) fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<client::Error>() || cause.is::<Unwell>())
}

/// A part of a list.
#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    /// Items of the whole list.
    total: usize,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl Flags {
    /// The data directory that is named, else the usual one.
    pub(super) fn data_dir(&self) -> PathBuf {
        let named = || variable("GANTRY_DATA_DIR").map(PathBuf::from);
        self.data_dir.clone().or_else(named).unwrap_or_else(crate::boot::default_data_dir)
    }
}

impl Connection {
    /// From flags, else variables, else the credentials of a local `gantry up`.
    ///
    /// # Errors
    /// When there is no address or no token; the message says how to give them.
    pub(super) fn open(flags: &Flags) -> anyhow::Result<Self> {
        let saved = credentials::read(&flags.data_dir());
        let token = saved.as_ref().map(|saved| saved.token.clone());
        let to = chosen(flags, &variable, saved)?;
        let saved_in = (token.as_ref() == Some(&to.token)).then(|| flags.data_dir());
        Ok(Self { to, saved_in })
    }

    /// All items of the list at `path`, which may have a query already.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        all_pages(async |offset| {
            let path = format!("{path}{joint}limit={PAGE}&offset={offset}");
            self.send(Method::GET, &path, None::<&()>).await
        })
        .await
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
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.to.token))
            .context("the token holds characters that no token has")?;
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let url = format!("{}/api/svc/v1/{path}", self.to.host);
        let answer =
            call(Call { method, url: &url, headers, body: Bytes::from(body), timeout: TIMEOUT })
                .await
                .with_context(|| format!("talk to the control plane at {}", self.to.host))?;
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body)
                .with_context(|| format!("understand the answer: is {} Gantry?", self.to.host));
        }
        let message = match serde_json::from_slice::<ErrorBody>(&answer.body) {
            Ok(error) => error.message,
            Err(_) => format!("the control plane answered {}", answer.status),
        };
        match &self.saved_in {
            _ if answer.status.is_server_error() => bail!(Unwell(message)),
            Some(dir) if answer.status == StatusCode::UNAUTHORIZED => {
                bail!("{message}; {}", stale(dir))
            }
            _ => bail!(message),
        }
    }
}

/// What to do when a saved token is refused.
fn stale(data_dir: &Path) -> String {
    let (file, dir) = (credentials::path(data_dir), data_dir.display());
    format!(
        "it is the one in {}: with that control plane stopped, `gantry token NAME --admin \
         --data-dir {dir}` makes another and leaves it there",
        file.display()
    )
}

/// Items that one page of a list holds at most.
const PAGE: usize = 1000;

/// All items of a list. `fetch` brings the page that begins after so many items.
async fn all_pages<T>(
    mut fetch: impl AsyncFnMut(usize) -> anyhow::Result<Page<T>>,
) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    loop {
        let page = fetch(all.len()).await?;
        let empty = page.data.is_empty();
        all.extend(page.data);
        // An empty page ends it, too: items may be deleted between two questions.
        if empty || all.len() >= page.pagination.total {
            return Ok(all);
        }
    }
}

/// Address and token by flags, else by variables, else as a local `gantry up` left them.
///
/// The token that was left is an administrator's: it goes to no other address than the one beside
/// it.
fn chosen(
    flags: &Flags,
    variable: &dyn Fn(&str) -> Option<String>,
    local: Option<Credentials>,
) -> anyhow::Result<Credentials> {
    let first = |names: [&str; 2]| {
        names.into_iter().find_map(|name| variable(name).map(|value| (name.to_owned(), value)))
    };
    let flag = |name: &str, value: &Option<String>| {
        value.clone().filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value))
    };
    let host = match flag("--host", &flags.host).or_else(|| first(["GANTRY_HOST", "TFY_HOST"])) {
        Some((source, named)) => {
            Some(http_url(&named).map_err(|why| anyhow::anyhow!("{source}: {why}"))?)
        }
        None => local.as_ref().map(|local| local.host.clone()),
    };
    let Some(host) = host.map(|host| host.trim_end_matches('/').to_owned()) else {
        bail!(
            "no control plane: start one with `gantry up`, or name one with --host or \
             GANTRY_HOST, or its data directory on this machine with --data-dir"
        )
    };
    let given = flag("--token", &flags.token).or_else(|| first(["GANTRY_TOKEN", "TFY_API_KEY"]));
    if let Some((_, token)) = given {
        return Ok(Credentials { host, token });
    }
    match local {
        Some(local) if same_server(&local.host, &host) => {
            Ok(Credentials { host, token: local.token })
        }
        Some(local) => bail!(
            "no token for {host}: give one with --token or GANTRY_TOKEN; the one that `gantry up` \
             left here is for {}",
            local.host
        ),
        None => bail!("no token: give one with --token or GANTRY_TOKEN"),
    }
}

/// Whether two addresses are those of one server: the same, or those of one port that listens on
/// all addresses and on this machine's own.
fn same_server(saved: &str, named: &str) -> bool {
    let saved = saved.trim_end_matches('/');
    let socket = |url: &str| url.strip_prefix("http://").and_then(|s| s.parse().ok());
    let (all, own): (Option<SocketAddr>, Option<SocketAddr>) = (socket(saved), socket(named));
    let reached = |(all, own): (SocketAddr, SocketAddr)| {
        let family = all.is_ipv4() == own.is_ipv4();
        family && all.ip().is_unspecified() && own.ip().is_loopback() && all.port() == own.port()
    };
    saved == named || all.zip(own).is_some_and(reached)
}

/// A text as one part of a path or one value of a query (RFC 3986, section 2.3).
pub(super) fn encoded(text: &str) -> String {
    percent_encoded(text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_read_to_its_end() {
        let read = async |there: usize, total: usize| {
            all_pages(async |offset| {
                let data: Vec<usize> = (offset..there.min(offset + PAGE)).collect();
                Ok(Page { data, pagination: Pagination { total } })
            })
            .await
        };
        for (there, total) in [(0, 0), (7, 7), (1000, 1000), (2001, 2001), (1500, 1700)] {
            assert!(read(there, total).await.unwrap().into_iter().eq(0..there), "{there}");
        }
    }

    fn choose(
        flags: [Option<&str>; 2],
        set: &[(&str, &str)],
        saved: Option<&str>,
    ) -> Result<(String, String), String> {
        let [host, token] = flags.map(|flag| flag.map(str::to_owned));
        let flags = Flags { host, token, data_dir: None };
        let variable = |name: &str| {
            let found = set.iter().find(|(known, value)| *known == name && !value.is_empty());
            found.map(|(_, value)| (*value).to_owned())
        };
        let token = "saved".to_owned();
        let saved = saved.map(|host| Credentials { host: host.to_owned(), token });
        let chosen = chosen(&flags, &variable, saved).map_err(|error| error.to_string())?;
        Ok((chosen.host, chosen.token))
    }

    #[test]
    fn the_token_that_was_saved_goes_to_the_address_beside_it_only() {
        let here = "http://127.0.0.1:7100";
        let ok = |host: &str, token: &str| Ok((host.to_owned(), token.to_owned()));
        assert_eq!(choose([None, None], &[], Some(here)), ok(here, "saved"));
        let slash = format!("{here}/");
        assert_eq!(choose([Some(&slash), None], &[], Some(here)), ok(here, "saved"));
        let everywhere = Some("http://0.0.0.0:7100");
        assert_eq!(choose([Some(here), None], &[], everywhere), ok(here, "saved"));
        let elsewhere = "https://gantry.example";
        let set = [("TFY_HOST", elsewhere), ("GANTRY_HOST", "")];
        for error in [
            choose([Some(elsewhere), None], &[], Some(here)).unwrap_err(),
            choose([None, None], &set, Some(here)).unwrap_err(),
            choose([Some("http://127.0.0.1:7101"), None], &[], everywhere).unwrap_err(),
            choose([Some("http://10.0.0.1:7100"), None], &[], everywhere).unwrap_err(),
        ] {
            assert!(error.starts_with("no token for http"), "{error}");
        }
        let given = [("GANTRY_TOKEN", "mine"), set[0]];
        assert_eq!(choose([None, None], &given, Some(here)), ok(elsewhere, "mine"));
        let flags = [Some(elsewhere), Some("flag")];
        assert_eq!(choose(flags, &given, Some(here)), ok(elsewhere, "flag"));
        assert!(choose([None, None], &[], None).unwrap_err().starts_with("no control plane"));
    }

    #[test]
    fn an_address_without_a_scheme_is_refused_with_an_example() {
        let by_flag = choose([Some("127.0.0.1:7100"), Some("t")], &[], None).unwrap_err();
        assert!(by_flag.starts_with("--host: `127.0.0.1:7100` is no URL"), "{by_flag}");
        let set = [("TFY_HOST", "gantry.example"), ("GANTRY_TOKEN", "t")];
        let by_variable = choose([None, None], &set, None).unwrap_err();
        assert!(by_variable.starts_with("TFY_HOST: `gantry.example` is no URL"), "{by_variable}");
    }

    #[test]
    fn what_a_person_writes_stays_one_part_of_a_path() {
        assert_eq!(encoded("openai-2.b_c~"), "openai-2.b_c~");
        assert_eq!(encoded("a/b?c=d&e é"), "a%2Fb%3Fc%3Dd%26e%20%C3%A9");
    }
}
