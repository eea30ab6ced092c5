//! What the translation of a reply must be given of its request.
//!
//! `translate::request` makes it, the gateway keeps it until the reply is there.

use super::{Losses, Request, Str, ToolNames};
use gantry_model::facts::Limits;

/// Of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    pub names: ToolNames,
    /// Tools that take text, not JSON, as the caller declared them.
    custom: Vec<String>,
    /// Members of the request that the caller's dialect repeats in replies, as JSON and each with a
    /// comma behind it; often empty.
    pub(crate) echo: String,
}

impl Carried {
    /// Notes what a request needs, and makes its tools as the upstream takes them; `schemas` gets
    /// those that changed, by the tool's index.
    pub(crate) fn of(
        request: &mut Request<'_>,
        limits: &Limits,
        schemas: &mut Vec<(usize, String)>,
        losses: &mut Losses,
    ) -> Self {
        let custom = request.tools.iter().filter(|tool| tool.custom);
        let custom = custom.map(|tool| tool.name.to_string()).collect();
        let names = ToolNames::fit(request, limits, schemas, losses);
        Self { names, custom, echo: String::new() }
    }

    /// Whether the caller declared this tool as one that takes text.
    pub(crate) fn is_custom(&self, name: &Str<'_>) -> bool {
        self.custom.iter().any(|custom| **custom == **name)
    }
}
