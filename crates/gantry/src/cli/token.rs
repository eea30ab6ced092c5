//! `gantry token`: tokens for people and for gateways that run apart.

use super::block_on;
use super::connection::{Connection, Flags};
use crate::out;
use http::Method;
use serde::{Deserialize, Serialize};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The token's name.
    name: String,
    /// For a gateway that runs apart, instead of for yourself.
    #[arg(long)]
    gateway: bool,
    #[command(flatten)]
    connection: Flags,
}

#[derive(Serialize)]
struct Request<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Created {
    token: String,
}

/// Creates a token and prints it, alone on standard output.
///
/// # Errors
/// When the control plane refuses.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let connection = Connection::open(&arguments.connection)?;
    let path = if arguments.gateway { "gateway/tokens" } else { "personal-access-tokens" };
    let request = Request { name: &arguments.name };
    let created: Created = block_on(connection.send(Method::POST, path, Some(&request)))?;
    out::line(created.token)
}
