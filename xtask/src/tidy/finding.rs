//! One broken rule at one place; every tidy rule produces these and `tidy::run` prints them.

use std::fmt;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// Path from the root of the repository.
    pub(super) file: String,
    /// Line, from 1.
    pub(super) line: usize,
    /// Stable short name of the rule.
    pub(super) rule: &'static str,
    /// What was found and what to do about it.
    pub(super) advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.advice)
    }
}
