//! JSON Schemas of all kinds (draft 2020-12), for editors and for validation.
//!
//! The structs of [`crate::kinds`] give them; the rows of the catalogue narrow them to what one
//! provider takes. `cargo xtask codegen` writes [`files`] to `schemas/`. Validation uses the same
//! schemas, compiled into shapes, so that an editor and `apply` never disagree.

pub(crate) mod build;
pub(crate) mod compile;
pub mod files;

#[cfg(test)]
mod tests;
