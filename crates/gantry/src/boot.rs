//! The boot configuration of all roles: `gantry.toml` and `GANTRY_*` variables.

use anyhow::Context;
use gantry_runtime::logging::Format;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Variables with the prefix that are no configuration keys.
const KNOWN: [&str; 5] =
    ["GANTRY_HOST", "GANTRY_TOKEN", "GANTRY_TOKENS", "GANTRY_LOCAL_SERVERS", "GANTRY_MASTER_KEY"];

/// Everything that a process needs before it has a control plane.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Boot {
    /// Address of the data port. Default `127.0.0.1:7100`.
    pub listen: SocketAddr,
    /// Address of `/metrics` of a gateway that runs alone. Default `127.0.0.1:7101`.
    pub admin_listen: SocketAddr,
    /// Where state lives. Default: `gantry` in the user's data directory.
    pub data_dir: Option<PathBuf>,
    /// After Ctrl-C, streams in progress have so long to end. Default 30 s.
    pub drain_timeout_ms: u64,
    pub log: Log,
    pub gateway: gantry_gateway::Config,
    pub records: Records,
    pub telemetry: Telemetry,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub format: Format,
    /// As in `RUST_LOG`. Default `info`.
    pub filter: String,
}

/// Where request records go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Records {
    /// `file:///folder`, `s3://bucket/prefix` or `azure://container/prefix`, with credentials by
    /// the vendors' variables (`docs/operating.md`). Default: `lake` in the data directory.
    pub objects_url: Option<String>,
}

/// Traces to an OpenTelemetry collector, besides the records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Base address of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. Default: the
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT`, else no traces leave.
    pub otlp_endpoint: Option<String>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7100)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7101)),
            data_dir: None,
            drain_timeout_ms: 30_000,
            log: Log::default(),
            gateway: gantry_gateway::Config::default(),
            records: Records::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info".to_owned() }
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
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Reads the configuration and starts logging.
///
/// # Errors
/// When a key is unknown or has a wrong type; the message names file, line and key.
pub(crate) fn read(flags: &Flags) -> anyhow::Result<Boot> {
    let mut boot: Boot =
        gantry_runtime::boot::load(flags.boot.as_deref(), std::env::vars(), &KNOWN)
            .context("the boot configuration is not usable")?;
    if let Some(listen) = flags.listen {
        boot.listen = listen;
    }
    if let Some(data_dir) = &flags.data_dir {
        boot.data_dir = Some(data_dir.clone());
    }
    gantry_runtime::logging::start(boot.log.format, &boot.log.filter);
    Ok(boot)
}

impl Boot {
    /// The data directory, created with access for its owner only.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let path = self.data_dir.clone().unwrap_or_else(default_data_dir);
        create_private(&path)
            .with_context(|| format!("create the data directory {}", path.display()))?;
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

/// Opens a file for writing anew, readable by its owner only.
pub(crate) fn create_private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
