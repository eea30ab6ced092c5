//! The machine and the programs that a run uses: found, built and described once.
//!
//! It never installs anything.

use super::Args;
use super::children::{Program, Running, find};
use anyhow::{Context as _, bail, ensure};
use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is published is measured, the pass-through built the same way.
const PROFILE: &str = "dist";

/// Everything that stays the same during a run.
pub(super) struct Machine {
    /// `gantry-bench`, built as Gantry is.
    pub(super) bench: PathBuf,
    /// Gantry, or why it cannot run.
    pub(super) gantry: Result<PathBuf, String>,
    pub(super) nginx: Result<PathBuf, String>,
    /// The core of the proxy under test, for `taskset`.
    pub(super) proxy_core: String,
    /// The cores of the mock upstream and of the load driver.
    pub(super) mock_core: String,
    pub(super) load_core: String,
    /// A folder for configs, logs and data, emptied at start.
    pub(super) folder: PathBuf,
    /// Held until the end: two runs at once would measure each other.
    _lock: File,
}

impl Machine {
    /// Finds and builds what the run needs.
    pub(super) fn prepare(args: &Args) -> anyhow::Result<Self> {
        for tool in ["taskset", "prlimit", "nice", "kill", "chrt"] {
            let advice = "install util-linux, coreutils and procps";
            ensure!(find(tool).is_some(), "`{tool}` is missing: {advice}");
        }
        let lock = lock()?;
        let target = target_folder()?;
        build("gantry-bench").context("build the benchmark's programs")?;
        let gantry = gantry(args, &target);
        let nginx = find("nginx").ok_or_else(|| "not run: nginx not installed".to_owned());
        let folder = target.join("bench");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let (proxy_core, mock_core, load_core) = cores(args.core, core_count())?;
        Ok(Self {
            bench: target.join(PROFILE).join("gantry-bench"),
            gantry,
            nginx,
            proxy_core,
            mock_core,
            load_core,
            folder,
            _lock: lock,
        })
    }

    /// Keeps the cores from falling asleep, with loops that run only when nothing else wants to
    /// (`man 7 sched`, `SCHED_IDLE`), until the returned programs are dropped.
    pub(super) fn keep_awake(&self) -> anyhow::Result<Vec<Running>> {
        let mut cores = vec![&self.proxy_core, &self.mock_core, &self.load_core];
        cores.dedup();
        let start = |core: &String| {
            let command = ["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"];
            let command = command.map(str::to_owned).to_vec();
            let log = self.folder.join("awake.log");
            Program { cores: core, command, environment: Vec::new(), log }.start()
        };
        cores.into_iter().map(start).collect()
    }

    /// Where and with what the figures were measured, in one line.
    pub(super) fn describe(&self) -> String {
        let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = cpu.unwrap_or("unknown processor").trim_start_matches(['\t', ' ', ':']);
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut parts = vec![
            format!("{} cores of {cpu}", core_count()),
            format!("Linux {}", kernel.trim()),
            version(Path::new("rustc"), "--version"),
        ];
        parts.extend(self.gantry.as_ref().ok().map(|path| version(path, "--version")));
        parts.extend(self.nginx.as_ref().ok().map(|path| version(path, "-v")));
        parts.push(format!(
            "proxy on core {}, mock upstream on {}, load on {}",
            self.proxy_core, self.mock_core, self.load_core
        ));
        parts.join("; ")
    }
}

/// Makes sure that no other run is in progress on this machine.
fn lock() -> anyhow::Result<File> {
    let path = std::env::temp_dir().join("gantry-bench.lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    file.try_lock().with_context(|| {
        format!("lock {}: another `cargo xtask bench` runs on this machine", path.display())
    })?;
    Ok(file)
}

/// What all cores together did since boot, in seconds.
#[derive(Clone, Copy)]
pub(super) struct CoreTime {
    /// Stolen time included.
    pub(super) busy: f64,
    /// Somebody wanted to run here, and the host ran something else.
    stolen: f64,
    /// Idle time included.
    total: f64,
}

impl CoreTime {
    /// From `/proc/stat` (`man 5 proc_stat`: user, nice, system, idle, iowait, irq, softirq, steal,
    /// in ticks of 10 ms).
    pub(super) fn now() -> Self {
        Self::parse(&read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let ticks = line.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
        let seconds: Vec<f64> = ticks.take(8).map(|ticks| ticks as f64 / 100.0).collect();
        let busy = seconds.iter().enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
        Self {
            busy: busy.map(|(_, seconds)| seconds).sum(),
            stolen: seconds.get(7).copied().unwrap_or_default(),
            total: seconds.iter().sum(),
        }
    }

    /// The share of the cores' time that was stolen since then, 0 to 1.
    pub(super) fn stolen_since(self, before: Self) -> f64 {
        (self.stolen - before.stolen) / (self.total - before.total).max(0.01)
    }
}

/// The folder that cargo builds into: this program lies in its `debug` or `release`.
fn target_folder() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(Path::parent).context("find cargo's target folder")?;
    Ok(folder.to_path_buf())
}

fn build(package: &str) -> anyhow::Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--profile", PROFILE, "--package", package]);
    let status = cargo.current_dir(crate::workspace::root()).status()?;
    ensure!(status.success(), "`cargo build --profile {PROFILE} --package {package}` failed");
    Ok(())
}

fn gantry(args: &Args, target: &Path) -> Result<PathBuf, String> {
    if let Some(path) = &args.gantry {
        let missing = || format!("not run: {} is not a file", path.display());
        return if path.is_file() { Ok(path.clone()) } else { Err(missing()) };
    }
    if !args.only.contains(&super::Contender::Gantry) {
        return Err("not run: left out".to_owned());
    }
    build("gantry").map_err(|error| format!("not run: {error}"))?;
    Ok(target.join(PROFILE).join("gantry"))
}

fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The cores of proxy, mock upstream and load; with two cores the last two share one.
fn cores(proxy: usize, count: usize) -> anyhow::Result<(String, String, String)> {
    if count < 2 {
        bail!("two cores are needed: one is the proxy's alone");
    }
    ensure!(proxy < count, "core {proxy} does not exist: there are {count}");
    let mut others = (0..count).filter(|core| *core != proxy);
    let mock = others.next().unwrap_or_default();
    let load = others.next().unwrap_or(mock);
    Ok((proxy.to_string(), mock.to_string(), load.to_string()))
}

/// The first line that a program prints about itself.
fn version(program: &Path, flag: &str) -> String {
    let name = || program.display().to_string();
    let Ok(output) = Command::new(program).arg(flag).output() else { return name() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().map_or_else(name, |line| line.replace("nginx version: ", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_cores_did() {
        let before = CoreTime::parse("cpu  100 20 300 5000 60 7 8 900 11 12\ncpu0 1 2 3\n");
        let time = CoreTime::parse("cpu  130 20 300 5060 60 7 8 910 11 12\ncpu0 1 2 3\n");
        assert!((before.busy - 13.35).abs() < 1e-9 && (time.busy - 13.75).abs() < 1e-9);
        assert!((time.stolen_since(before) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn keeps_the_proxy_alone_on_its_core() {
        let cases = [
            ((0, 2), Some(("0", "1", "1"))),
            ((1, 2), Some(("1", "0", "0"))),
            ((0, 8), Some(("0", "1", "2"))),
            ((1, 3), Some(("1", "0", "2"))),
            ((0, 1), None),
            ((2, 2), None),
        ];
        for ((proxy, count), expected) in cases {
            let found = cores(proxy, count).ok();
            let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
            assert_eq!(found, expected, "proxy on {proxy} of {count}");
        }
    }
}
