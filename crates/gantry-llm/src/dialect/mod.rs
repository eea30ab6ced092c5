//! One folder for each dialect: its wire structs, parsers into the neutral form, printers from it.
//!
//! Only `translate`, `stream` and `errors` call in here. A dialect must never import another one.

pub(crate) mod anthropic;
pub(crate) mod json;
pub(crate) mod openai;
pub(crate) mod reader;
pub(crate) mod wire;
