//! What tests of several crates share: a fault-injecting mock upstream and builders of snapshots.
//!
//! Only tests depend on it, and the `mock-upstream` program that tests in other languages start. It
//! knows the dialects as an upstream prints them and must not use Gantry's own parsers or printers:
//! a mistake there would then hide itself.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use gantry_testkit::{Answer, Fault, MockUpstream, Place, Retry, Step};
//!
//! let mock = MockUpstream::start().await?;
//! mock.script(vec![
//!     Step::Fault(Fault::Status { code: 429, retry: Retry::Millis(5) }),
//!     Step::Fault(Fault::Cut { at: Place::MidStream, reset: true }),
//!     Step::Answer(Answer::text("the third request gets this; later ones the usual reply")),
//! ]);
//! let _base_url = format!("{}/v1", mock.url());
//! # Ok(())
//! # }
//! ```

mod call;
mod mock;
mod plan;
mod print;
pub mod snapshot;
mod step;

pub use call::Operation;
pub use mock::{MockUpstream, Progress, Recorded};
pub use step::{Act, Answer, Fault, Place, Raw, Retry, Step, Thinking, ToolCall, UnknownName};
