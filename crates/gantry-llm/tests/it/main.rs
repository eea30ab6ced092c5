//! Tests of translation from the outside: golden cases by folder, and properties.

mod golden;
mod roundtrip;
mod streams;
mod support;
