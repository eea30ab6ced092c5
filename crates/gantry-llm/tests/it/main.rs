//! Tests of translation from the outside: golden cases by folder, and properties.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod calls;
mod fit;
mod golden;
mod outcomes;
mod roundtrip;
mod streams;
mod support;
mod toy;
mod toy_dialect;
