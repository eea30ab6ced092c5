//! Clouds: the signatures that they ask for, and the identities that sign.
//!
//! Object stores and upstreams use it. [`sign`] is pure, [`credentials`] asks the cloud's own
//! services for what to sign with, off the path of a request.

pub mod credentials;
pub mod sign;
pub mod xml;
