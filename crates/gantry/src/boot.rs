//! The boot configuration of all roles: `gantry.toml` and `GANTRY_*` variables.

mod store;
mod telemetry;

use anyhow::{Context, bail};
use gantry_http::server::PortConfig;
use gantry_kinds::variables::Allowed;
use gantry_runtime::logging::{Filter, Format};
use http::Uri;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::Store;
use telemetry::Telemetry;

/// Folders of the data directory that hold requests and secrets.
const FOLDERS: [&str; 3] = ["journal", "lake", "gateway"];

/// Variables with the prefix that are no configuration keys.
const KNOWN: [&str; 5] =
    ["GANTRY_HOST", "GANTRY_TOKEN", "GANTRY_TOKENS", "GANTRY_LOCAL_SERVERS", "GANTRY_MASTER_KEY"];

const UNUSABLE: &str = "the boot configuration is not usable";

/// Everything that a process needs before it has a control plane.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Boot {
    /// Address of the data port. Default `127.0.0.1:7100`.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Address of the admin port: metrics, tasks and health without a token. Default
    /// `127.0.0.1:7101`, or another port of 127.0.0.1 where that is taken.
    #[serde(deserialize_with = "optional_address")]
    pub admin_listen: Option<SocketAddr>,
    /// Where state lives. Default: `gantry` in the user's data directory.
    pub data_dir: Option<PathBuf>,
    /// After Ctrl-C, streams in progress have so long to end. Default 30 s.
    pub drain_timeout_ms: u64,
    pub listeners: Listeners,
    pub log: Log,
    pub gateway: gantry_gateway::Config,
    pub records: Records,
    pub store: Store,
    pub secrets: Secrets,
    pub telemetry: Telemetry,
}

/// What is spoken on the ports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listeners {
    /// The data port: [`Boot::listen`].
    pub data: PortConfig,
    /// The port of `/metrics` of a gateway that runs alone: [`Boot::admin_listen`].
    pub admin: PortConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub format: Format,
    pub filter: Filter,
}

/// Where request records go.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Records {
    /// `file:///folder`, `s3://bucket/prefix` or `azure://container/prefix`, with credentials by
    /// the vendors' variables (`docs/operating.md`). Default: `lake` in the data directory.
    #[serde(deserialize_with = "lake_address")]
    pub objects_url: Option<String>,
    /// Records are deleted when they are so many days old; 0 keeps them. Default 90.
    pub retention_days: u32,
    /// Most bytes of all files of records: the oldest are deleted. 0, the default, sets no bound.
    pub retention_bytes: u64,
    /// Most refused requests without a caller that leave a record in one minute. Default 60.
    pub anonymous_per_minute: u32,
}

impl Records {
    /// How long records are kept; zero for ever.
    pub(crate) fn retention(&self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.retention_days) * 86_400)
    }
}

impl Default for Records {
    fn default() -> Self {
        let (retention_days, retention_bytes, anonymous_per_minute) = (90, 0, 60);
        Self { objects_url: None, retention_days, retention_bytes, anonymous_per_minute }
    }
}

/// What manifests may refer to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Secrets {
    /// Variables that `env://NAME` may name: names, in which `*` stands for any text. Default: the
    /// usual credential of an account's provider, sent to that provider's own address.
    #[serde(deserialize_with = "variables")]
    pub env: Allowed,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7100)),
            admin_listen: None,
            data_dir: None,
            drain_timeout_ms: 30_000,
            listeners: Listeners::default(),
            log: Log::default(),
            gateway: gantry_gateway::Config::default(),
            records: Records::default(),
            store: Store::default(),
            secrets: Secrets::default(),
            telemetry: Telemetry::default(),
        }
    }
}

/// Flags that all roles share; they win over file and variables.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Boot configuration (TOML).
    #[arg(long = "boot", value_name = "FILE")]
    boot: Option<PathBuf>,
    /// Where state lives.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the data port.
    #[arg(long, value_name = "ADDRESS", value_parser = socket_address)]
    listen: Option<SocketAddr>,
    /// Address of the admin port, which serves `/metrics` without a token.
    #[arg(long, value_name = "ADDRESS", value_parser = socket_address)]
    admin_listen: Option<SocketAddr>,
}

/// Reads the configuration and starts logging.
///
/// # Errors
/// When a key is unknown or has a wrong type; the message names file, line and key.
pub(crate) fn read(flags: &Flags) -> anyhow::Result<Boot> {
    let variables = ours(std::env::vars_os()).context(UNUSABLE)?;
    let mut boot: Boot =
        gantry_runtime::boot::load(flags.boot.as_deref(), variables.into_iter(), &KNOWN)
            .context(UNUSABLE)?;
    boot.telemetry.complete(variable).context(UNUSABLE)?;
    if let Some(listen) = flags.listen {
        boot.listen = listen;
    }
    boot.admin_listen = flags.admin_listen.or(boot.admin_listen);
    if let Some(data_dir) = &flags.data_dir {
        boot.data_dir = Some(data_dir.clone());
    }
    gantry_runtime::logging::start(boot.log.format, &boot.log.filter);
    Ok(boot)
}

/// The variables that begin as Gantry's do. Others may hold what is no text.
fn ours(all: impl Iterator<Item = (OsString, OsString)>) -> anyhow::Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| name.starts_with("GANTRY_")) else { continue };
        let Ok(value) = value.into_string() else {
            bail!("environment variable {name}: its value is not UTF-8 text");
        };
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

impl Boot {
    /// The data directory, created with access for its owner only. One that exists keeps its own
    /// mode, for it may be anything, such as a mounted volume; what lies in it is closed to others.
    ///
    /// # Errors
    /// When it cannot be created or belongs to somebody else.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let path = self.data_dir.clone().unwrap_or_else(default_data_dir);
        create_private(&path)
            .with_context(|| format!("create the data directory {}", path.display()))?;
        for folder in FOLDERS.map(|name| path.join(name)) {
            close_to_others(&folder)
                .with_context(|| format!("make {} private", folder.display()))?;
        }
        Ok(path)
    }
}

/// `$XDG_DATA_HOME/gantry`, else `~/.local/share/gantry`.
pub(crate) fn default_data_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(|| PathBuf::from("."))
        .join("gantry")
}

/// A variable of this process; an empty one counts as absent.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// From here on all files and folders of this process are made for their owner only.
pub(crate) fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Takes access from everybody but the owner, also where a release before this one, or another
/// program, has made the folder.
fn close_to_others(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if folder.is_dir() {
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        return std::fs::set_permissions(folder, owner_only);
    }
    Ok(())
}

/// An address such as `127.0.0.1:7100`.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address: expected IP and port, such as 127.0.0.1:7100")
    })
}

/// An address of another server.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let uri: Option<Uri> = text.parse().ok();
    let web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.filter(web).is_some_and(|uri| uri.host().is_some_and(|host| !host.is_empty())) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no URL: expected such as http://127.0.0.1:8000")),
    }
}

fn variables<'de, D: Deserializer<'de>>(from: D) -> Result<Allowed, D::Error> {
    Allowed::new(Vec::deserialize(from)?).map_err(D::Error::custom)
}

fn lake_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    #[cfg(feature = "control-plane")]
    text.iter().try_for_each(|text| gantry_lake::check_address(text)).map_err(D::Error::custom)?;
    #[cfg(not(feature = "control-plane"))]
    if text.is_some() {
        return Err(D::Error::custom(crate::build::NO_LAKE));
    }
    Ok(text)
}

fn optional_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    address(from).map(Some)
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    socket_address(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Boot, String> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let loaded = gantry_runtime::boot::load(Some(file.path()), std::iter::empty(), &KNOWN);
        loaded.map_err(|error: gantry_runtime::boot::Error| {
            error.to_string().replace(&file.path().display().to_string(), "gantry.toml")
        })
    }

    #[test]
    fn values_that_cannot_work_refuse_to_start_and_say_what_can() {
        let cases = [
            ("listen = \"here\"", "1:10: `here` is no address", "127.0.0.1:7100"),
            ("admin_listen = \":1\"", "1:16: `:1` is no address", "127.0.0.1:7100"),
            ("[log]\nfilter = \"a=b=c\"", "2:10: `a=b=c` is no log filter", "`info`"),
            ("[telemetry]\notlp_endpoint = \"nonsense\"", "2:17: `nonsense` is no URL", "http://"),
            ("[gateway]\nidle_timeout_ms = 0", "2:19: 0 is too small", "at least 1"),
            ("[gateway]\nrequest_bytes_max = 0", "2:21: 0 is too small", "at least 1"),
            ("[gateway]\nbusy_poll_us = 20000", "2:16: 20000 is too large", "at most 10000"),
            ("[gateway]\nworkers = 100000", "2:11: 100000 is too large", "at most 1024"),
            ("[log]\nfilter = \"inof\"", "2:10: `inof` is no log filter", "`info`"),
            (
                "[gateway]\ncors_origins = \"https://a.example\"",
                "2:16: invalid type: string \"https://a.example\"",
                "expected a list such as",
            ),
            (
                "[gateway]\ncors_origins = [\"https://a.example/\"]",
                "2:16: `https://a.example/` is no origin",
                "such as https://app.example.com",
            ),
            (
                "[telemetry]\nmetadata_labels = [\"a-b\", \"a.b\"]",
                "2:19: `a-b` and `a.b` would both be the label `llm_gateway_metadata_a_b`",
                "one of them",
            ),
            (
                "[records]\nobjects_url = \"gs://lake\"",
                "2:15: `gs://lake` is no address of a lake: gs is no scheme of a lake",
                "s3://bucket",
            ),
            ("[secrets]\nenv = [\"A B\"]", "2:7: `A B` is no name of a variable", "TEAM_*"),
            (
                "[secrets]\nenv = [\"GANTRY_*\"]",
                "2:7: `GANTRY_*` would open Gantry's own variables",
                "another name",
            ),
            ("drain_timeout_ms = \"x\"", "1:20: invalid type: string \"x\"", "a whole number"),
        ];
        for (text, place, expected) in cases {
            let error = load(text).unwrap_err();
            assert!(error.starts_with(&format!("gantry.toml:{place}")), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_an_address_should_not_hold_is_not_repeated() {
        for address in
            ["s3://id:the-secret@lake", "azure://lake/x?sig=the-secret", "gs://a:the-secret@b"]
        {
            let line = format!("objects_url = \"{address}\"");
            let by_file = load(&format!("[records]\n{line}")).unwrap_err();
            let variable = ("GANTRY_RECORDS__OBJECTS_URL".to_owned(), address.to_owned());
            let variables = [variable].into_iter();
            let loaded = gantry_runtime::boot::load::<Boot>(None, variables, &KNOWN);
            for error in [by_file, loaded.unwrap_err().to_string()] {
                assert!(error.contains("is no address of a lake"), "{error}");
                assert!(!error.contains("the-secret"), "{error}");
            }
        }
    }

    #[cfg(feature = "control-plane")]
    #[test]
    fn the_address_of_the_store_is_taken_and_never_shown() {
        let good = "postgres://gantry:the-secret@db.example:5432/gantry?sslmode=verify-full";
        let boot = load(&format!("[store]\nurl = \"{good}\"")).unwrap();
        assert_eq!(boot.store.url.as_ref().unwrap().expose(), good);
        assert!(!format!("{boot:?}").contains("the-secret"));
        for wrong in ["mysql://gantry:the-secret@db/gantry", "postgres:/gantry:the-secret@db"] {
            let by_file = load(&format!("[store]\nurl = \"{wrong}\"")).unwrap_err();
            let variable = ("GANTRY_STORE__URL".to_owned(), wrong.to_owned());
            let variables = [variable].into_iter();
            let loaded = gantry_runtime::boot::load::<Boot>(None, variables, &KNOWN);
            for error in [by_file, loaded.unwrap_err().to_string()] {
                assert!(error.contains("not the address of a store"), "{error}");
                assert!(error.contains("expected postgres://USER"), "{error}");
                assert!(!error.contains("the-secret"), "{error}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_of_somebody_else_may_hold_anything() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = || OsString::from_vec(vec![0xff]);
        let all = [("FOO".into(), bytes()), (bytes(), "x".into()), ("GANTRY_A".into(), "b".into())];
        let kept = ours(all.into_iter()).unwrap();
        assert_eq!(kept, [("GANTRY_A".to_owned(), "b".to_owned())]);
        let error = ours([("GANTRY_LISTEN".into(), bytes())].into_iter()).unwrap_err();
        assert!(error.to_string().contains("GANTRY_LISTEN: its value is not UTF-8"), "{error}");
    }

    #[test]
    fn values_that_can_work_are_taken() {
        let boot = load(
            "listen = \"[::1]:7100\"\ndrain_timeout_ms = 0\n[gateway]\nworkers = 0\n\
             logged_body_bytes_max = 0\n[telemetry]\notlp_endpoint = \"https://otel:4318\"",
        );
        assert_eq!(boot.unwrap().listen.port(), 7100);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_exists_keeps_its_mode_and_what_holds_requests_is_closed() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("journal")] {
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let boot = Boot { data_dir: Some(dir.path().to_owned()), ..Boot::default() };
        boot.data_dir().unwrap();
        assert_eq!((mode(dir.path()), mode(&dir.path().join("journal"))), (0o755, 0o700));
        let new = dir.path().join("new");
        Boot { data_dir: Some(new.clone()), ..boot }.data_dir().unwrap();
        assert_eq!(mode(&new), 0o700);
    }
}
