//! Which parts this program was built with, in words for those who ask for another.
//!
//! Without the feature `control-plane` there is the gateway role alone: no store, no lake, and no
//! command that talks to a control plane.

/// Why a setting of the lake is refused.
#[cfg(not(feature = "control-plane"))]
pub(crate) const NO_LAKE: &str = "this build has no lake: records go to a control plane \
    (--control-plane); take the setting out, or use the build with all features";

/// Why a setting of the store is refused.
#[cfg(not(feature = "control-plane"))]
pub(crate) const NO_STORE: &str = "this build has no store: a control plane keeps what is \
    configured; take the setting out, or use the build with all features";

/// Commands of the build with all features.
#[cfg(not(feature = "control-plane"))]
const ELSEWHERE: [&str; 9] =
    ["up", "control-plane", "apply", "diff", "get", "delete", "logs", "usage", "token"];

/// What to say to somebody who calls a command that is not here.
#[cfg(not(feature = "control-plane"))]
pub(crate) fn absent(command: &str) -> anyhow::Error {
    if ELSEWHERE.contains(&command) {
        return anyhow::anyhow!(
            "`gantry {command}` is not in this build, which has the gateway alone; use the build \
             with all features"
        );
    }
    anyhow::anyhow!("there is no command `{command}`; see `gantry --help`")
}

#[cfg(all(test, not(feature = "control-plane")))]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_the_whole_build_is_told_from_one_that_never_was() {
        for (command, expected) in [("up", "use the build with all features"), ("upp", "--help")] {
            let said = absent(command).to_string();
            assert!(said.contains(&format!("`gantry {command}`")) == (command == "up"), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }
}
