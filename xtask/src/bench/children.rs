//! Starts and stops the programs of a measurement, each bound to its cores.
//!
//! Binding goes through `taskset` and the limit of open files through `prlimit` (util-linux),
//! because the system calls would need unsafe code. `nice` puts them before other work where the
//! user may do so, and does nothing elsewhere. A child never outlives its [`Running`].

use anyhow::{Context as _, bail};
use std::fs::{File, read_to_string};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Open files that a proxy with 2,000 streams on both sides needs, with room to spare.
const OPEN_FILES: &str = "--nofile=16384:16384";
/// The highest priority (`man 1 nice`).
const PRIORITY: &str = "-20";
/// How often a child is looked at while it starts or stops.
const LOOK: Duration = Duration::from_millis(20);
/// Looks before a child that was asked to stop is killed: 5 s; valgrind needs long to write.
const STOP_LOOKS: u32 = 250;

/// A program to start.
pub(super) struct Program<'a> {
    /// As `taskset -c` takes it, such as `0` or `1-3`.
    pub(super) cores: &'a str,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(&'a str, String)>,
    /// Takes its standard error, and its standard output unless it announces its address.
    pub(super) log: PathBuf,
}

/// A child process; stopped when dropped.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Program<'_> {
    /// Starts it in the background.
    pub(super) fn start(&self) -> anyhow::Result<Running> {
        let log = self.open_log()?;
        self.spawn(Stdio::from(log))
    }

    /// Starts it and waits for its line `listening ADDRESS`.
    pub(super) fn start_announced(&self) -> anyhow::Result<(Running, String)> {
        let mut running = self.spawn(Stdio::piped())?;
        let mut line = String::new();
        if let Some(output) = running.child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening ") {
            Some(address) => Ok((running, address.to_owned())),
            None => bail!("{} did not start: {}", self.name(), running.last_words()),
        }
    }

    /// Runs it to its end and returns what it printed.
    pub(super) fn output(&self) -> anyhow::Result<String> {
        let mut command = self.command(Stdio::from(self.open_log()?))?;
        let output = command.stdout(Stdio::piped()).output()?;
        if !output.status.success() {
            let log = read_to_string(&self.log).unwrap_or_default();
            bail!("{} failed: {}", self.name(), last_lines(&log));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn spawn(&self, output: Stdio) -> anyhow::Result<Running> {
        let mut command = self.command(Stdio::from(self.open_log()?))?;
        let child = command.stdout(output).spawn();
        let child = child.with_context(|| format!("start {}", self.name()))?;
        Ok(Running { child, log: self.log.clone() })
    }

    fn command(&self, errors: Stdio) -> anyhow::Result<Command> {
        let mut command = Command::new("nice");
        command.args(["-n", PRIORITY, "prlimit", OPEN_FILES, "taskset", "-c", self.cores]);
        command.args(&self.command);
        command.stdin(Stdio::null()).stderr(errors);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        Ok(command)
    }

    fn open_log(&self) -> anyhow::Result<File> {
        let file = File::options().create(true).append(true).open(&self.log);
        file.with_context(|| format!("open {}", self.log.display()))
    }

    fn name(&self) -> &str {
        self.command.first().map_or("a program", String::as_str)
    }
}

impl Running {
    /// `nice`, `prlimit` and `taskset` replace themselves, so this is the program's own.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of its log, for an error message.
    pub(super) fn last_words(&self) -> String {
        last_lines(&read_to_string(&self.log).unwrap_or_default())
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(&mut self) {
        let pid = self.pid().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let mut looks = if asked.is_ok() { STOP_LOOKS } else { 0 };
        while looks > 0 && self.lives() {
            pause(LOOK);
            looks -= 1;
        }
        // Nothing is left to do when the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.lives() {
            self.stop();
        }
    }
}

/// Blocks for `time`; there is no runtime here that it could stall.
pub(super) fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// Tries `ready` every 20 ms until it holds or `limit` has passed.
pub(super) fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let looks = limit.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if ready() {
            return true;
        }
        pause(LOOK);
    }
    false
}

/// An address on which nothing listens.
pub(super) fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Where `program` lies, as a shell would find it; the system folders are always searched.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let mut files = folders.into_iter().chain(system).map(|folder| folder.join(program));
    files.find(|file| Path::is_file(file))
}

fn last_lines(text: &str) -> String {
    if text.is_empty() {
        return "it said nothing".to_owned();
    }
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
