//! Starts the mock upstream and each proxy under test, with everything on for Gantry.
//!
//! Configs lie in `bench/config`. A proxy is handed out only when it answers.

use super::children::{Program, Running, free_address, wait_until};
use super::machine::Machine;
use super::plan::{BUSY_POLL_US, Contender};
use super::probe;
use anyhow::{Context as _, bail, ensure};
use std::fs::{create_dir_all, read_to_string, write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest start of a proxy; under valgrind a start takes many seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A proxy that answers, or the mock upstream itself.
pub(super) struct Proxy {
    pub(super) running: Running,
    pub(super) address: String,
    /// The process that does the work: nginx's worker, not its master.
    pub(super) pid: u32,
    /// Where Gantry keeps its records.
    pub(super) data: Option<PathBuf>,
}

/// Starts the mock upstream.
pub(super) fn mock(machine: &Machine) -> anyhow::Result<Proxy> {
    own(machine, &machine.mock_core, &["mock", "127.0.0.1:0"], &[])
}

/// Starts a proxy in front of `upstream`, its command line preceded by `wrapper`.
pub(super) fn start(
    machine: &Machine,
    contender: Contender,
    upstream: &str,
    wrapper: &[String],
) -> anyhow::Result<Proxy> {
    match contender {
        Contender::Direct => mock(machine),
        Contender::PassThrough => {
            let words = ["passthrough", "127.0.0.1:0", upstream];
            own(machine, &machine.proxy_core, &words, wrapper)
        }
        Contender::Nginx => nginx(machine, upstream),
        Contender::Gantry => gantry(machine, upstream, wrapper, "gantry", &[]),
    }
}

fn own(
    machine: &Machine,
    cores: &str,
    words: &[&str],
    wrapper: &[String],
) -> anyhow::Result<Proxy> {
    let mut command = wrapper.to_vec();
    command.push(machine.bench.display().to_string());
    command.extend(words.iter().map(ToString::to_string));
    let name = words.first().copied().unwrap_or_default();
    let log = machine.folder.join(format!("{name}.log"));
    let program = Program { cores, command, environment: Vec::new(), log };
    let (running, address) = program.start_announced()?;
    Ok(Proxy { pid: running.pid(), running, address, data: None })
}

fn nginx(machine: &Machine, upstream: &str) -> anyhow::Result<Proxy> {
    let path = machine.nginx.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
    let address = free_address()?;
    let folder = machine.folder.display().to_string();
    let text = include_str!("../../../bench/config/nginx.conf");
    let text = text.replace("{{folder}}", &folder).replace("{{listen}}", &address);
    let config = machine.folder.join("nginx.conf");
    write(&config, text.replace("{{upstream}}", upstream))?;
    let command = vec![
        path.display().to_string(),
        "-p".to_owned(),
        folder,
        "-c".to_owned(),
        config.display().to_string(),
    ];
    let log = machine.folder.join("nginx.start.log");
    let program = Program { cores: &machine.proxy_core, command, environment: Vec::new(), log };
    let mut running = program.start()?;
    wait_for_answer(&mut running, &address)?;
    let master = running.pid();
    let children = read_to_string(format!("/proc/{master}/task/{master}/children"))?;
    let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    Ok(Proxy { pid: pid.context("find nginx's worker")?, running, address, data: None })
}

/// Starts a Gantry whose workers poll before they sleep, beside the usual one.
pub(super) fn polling_gantry(machine: &Machine, upstream: &str) -> anyhow::Result<Proxy> {
    let polls = [("GANTRY_GATEWAY__BUSY_POLL_US", BUSY_POLL_US)];
    gantry(machine, upstream, &[], "polling-gantry", &polls)
}

fn gantry(
    machine: &Machine,
    upstream: &str,
    wrapper: &[String],
    name: &str,
    settings: &[(&'static str, &str)],
) -> anyhow::Result<Proxy> {
    let path = machine.gantry.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
    let address = free_address()?;
    let config = machine.folder.join(format!("{name}-config"));
    let data = machine.folder.join(format!("{name}-data"));
    create_dir_all(&config)?;
    // Records of an earlier round would hide that this round wrote none.
    let _ = std::fs::remove_dir_all(&data);
    create_dir_all(&data)?;
    for (file, text) in MANIFESTS {
        write(config.join(file), text.replace("{{upstream}}", upstream))?;
    }
    let mut command = wrapper.to_vec();
    command.push(path.display().to_string());
    command.extend(["gateway", "--config"].map(str::to_owned));
    command.push(config.display().to_string());
    command.extend(["--listen", &address, "--data-dir"].map(str::to_owned));
    command.push(data.display().to_string());
    let tokens = format!("{}=virtualaccount:bench", probe::TOKEN);
    let admin = free_address()?;
    let mut environment = vec![("GANTRY_TOKENS", tokens), ("GANTRY_ADMIN_LISTEN", admin.clone())];
    environment.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let log = machine.folder.join(format!("{name}.log"));
    let program = Program { cores: &machine.proxy_core, command, environment, log };
    let mut running = program.start()?;
    wait_for_answer(&mut running, &address)?;
    check_everything_is_on(&address, &admin)?;
    Ok(Proxy { pid: running.pid(), running, address, data: Some(data) })
}

const MANIFESTS: [(&str, &str); 4] = [
    ("openai.yaml", include_str!("../../../bench/config/gantry/openai.yaml")),
    ("anthropic.yaml", include_str!("../../../bench/config/gantry/anthropic.yaml")),
    ("virtual-models.yaml", include_str!("../../../bench/config/gantry/virtual-models.yaml")),
    ("caller.yaml", include_str!("../../../bench/config/gantry/caller.yaml")),
];

fn wait_for_answer(running: &mut Running, address: &str) -> anyhow::Result<()> {
    let mut status = None;
    let answered = wait_until(START_LIMIT, || {
        status = probe::chat(address, probe::TOKEN);
        status.is_some_and(|status| status != 503) || !running.lives()
    });
    match status {
        Some(200) if answered => Ok(()),
        Some(status) => bail!("answered with status {status}: {}", running.last_words()),
        None => bail!("did not start: {}", running.last_words()),
    }
}

/// A figure for Gantry with half of it switched off would be worth nothing.
fn check_everything_is_on(address: &str, admin: &str) -> anyhow::Result<()> {
    let status = probe::chat(address, "tfy_nobody");
    ensure!(status == Some(401), "a wrong token was answered with {status:?}: is access off?");
    let status = probe::get(admin, "/metrics");
    ensure!(status == Some(200), "/metrics was answered with {status:?}: are metrics off?");
    Ok(())
}

/// Bytes of all files below `folder`.
pub(super) fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
