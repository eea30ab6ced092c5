//! Standard output, and notes beside it: the one place that writes to them. Commands and the start
//! of roles use it.
//!
//! Much of what is printed was written by others: callers, upstreams, whoever wrote a manifest. So
//! what would steer a terminal is escaped here, whatever it is part of.
//!
//! A reader that has seen enough, as in `gantry logs | head -1`, is no failure: what writes gets
//! [`Closed`], and `main` ends the command as if all had been read. Nothing here may panic.

use gantry_model::printable;
use std::fmt::Display;
use std::io::Write;

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(crate) struct Closed;

/// Prints a text of several lines and hands it on at once.
///
/// # Errors
/// [`Closed`], or what else the system says, as when a disk is full.
pub(crate) fn text(text: impl Display) -> anyhow::Result<()> {
    write(std::io::stdout().lock(), &text.to_string())
}

/// Prints one line, whatever line ends the text has.
///
/// # Errors
/// As [`text`].
#[cfg(feature = "control-plane")]
pub(crate) fn line(text: impl Display) -> anyhow::Result<()> {
    let text = text.to_string();
    write(std::io::stdout().lock(), &format!("{}\n", printable::line(&text)))
}

/// Prints lines, each of them one whatever line ends it has.
///
/// # Errors
/// As [`text`].
#[cfg(feature = "control-plane")]
pub(crate) fn rows(rows: &[String]) -> anyhow::Result<()> {
    let shown: String = rows.iter().map(|row| format!("{}\n", printable::line(row))).collect();
    write(std::io::stdout().lock(), &shown)
}

/// Prints JSON for people, on several lines.
///
/// # Errors
/// As [`text`].
#[cfg(feature = "control-plane")]
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    text(format_args!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Says something to the person in front of it, on standard error: what is read by a program stays
/// clean. Whether anybody reads it does not matter.
pub(crate) fn note(text: impl Display) {
    let text = text.to_string();
    let _ = writeln!(std::io::stderr().lock(), "gantry: {}", printable::lines(&text));
}

/// What a command ends with: a closed output is as good as one that was read.
pub(crate) fn settled(done: anyhow::Result<()>) -> anyhow::Result<()> {
    match done {
        Err(error) if error.is::<Closed>() => Ok(()),
        done => done,
    }
}

fn write(mut to: impl Write, text: &str) -> anyhow::Result<()> {
    match to.write_all(printable::lines(text).as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Closed.into()),
        done => done.map_err(|error| anyhow::Error::new(error).context("write standard output")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails every write with one kind of error.
    struct Failing(std::io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is_one() {
        assert!(settled(write(Failing(std::io::ErrorKind::BrokenPipe), "x")).is_ok());
        let full = settled(write(Failing(std::io::ErrorKind::StorageFull), "x"));
        assert!(full.unwrap_err().to_string().contains("standard output"));
        let mut kept = Vec::new();
        write(&mut kept, "x\n").unwrap();
        assert_eq!(kept, b"x\n");
    }

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        let mut kept = Vec::new();
        write(&mut kept, "a\u{1b}]0;b\u{7}\u{202e}c\nd\n").unwrap();
        assert_eq!(kept, b"a\\u001b]0;b\\u0007\\u202ec\nd\n");
    }
}
