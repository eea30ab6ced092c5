//! CPU time and memory of another process, from `/proc` (Linux, `man 5 proc`).
//!
//! Used at the two ends of a measurement. It never averages.

use std::fs::read_to_string;
use std::io::{Error, Result};

/// One reading.
pub(super) struct Sample {
    /// User and system time of all threads, ended ones too, in microseconds. The kernel counts it
    /// in nanoseconds and shows it here in ticks of 10 ms.
    pub(super) cpu_us: u64,
    pub(super) rss_kib: u64,
    pub(super) peak_kib: u64,
}

/// Length of a tick of `/proc/PID/stat`: `USER_HZ` is 100 on every Linux that Rust supports.
const TICK_US: u64 = 10_000;

/// Reads process `pid`.
pub(super) fn sample(pid: u32) -> Result<Sample> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let ticks = ticks(&stat).ok_or_else(|| Error::other("parse /proc/PID/stat"))?;
    let field = |name| {
        kib(&status, name).ok_or_else(|| Error::other(format!("find {name} in /proc/PID/status")))
    };
    Ok(Sample { cpu_us: ticks * TICK_US, rss_kib: field("VmRSS:")?, peak_kib: field("VmHWM:")? })
}

/// `utime + stime`, fields 14 and 15; the command's name, field 2, may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_of_the_manual_page() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 2 0 99 1 2";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(kib("VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n", "VmRSS:"), Some(1024));
    }
}
