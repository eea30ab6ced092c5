//! The lake's address: `s3://bucket/prefix`, `azure://container/prefix` and its other spellings.

use std::path::PathBuf;
use url::Url;

/// What an address may begin with, for messages.
pub(crate) const SCHEMES: &str = "file:///folder, s3://bucket/prefix or azure://container/prefix";

/// A bucket or a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    S3 {
        bucket: String,
    },
    Azure {
        container: String,
        /// From `abfss://container@account.dfs.core.windows.net`; else a variable names it.
        host: Option<String>,
    },
}

impl Address {
    /// The address under which DataFusion knows the store.
    pub(crate) fn root(&self) -> String {
        match self {
            Self::S3 { bucket } => format!("s3://{bucket}/"),
            Self::Azure { container, .. } => format!("azure://{container}/"),
        }
    }
}

/// Where an address leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Folder(PathBuf),
    Remote(Address),
}

/// Whether a lake may lie there, as far as the spelling tells.
///
/// # Errors
/// What is wrong with it, and what is expected; it shows no secret that the address may hold.
pub fn check_address(address: &str) -> Result<(), String> {
    match locate(address) {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("`{}` is no address of a lake: {why}", shown(address))),
    }
}

/// Takes an address apart.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn locate(address: &str) -> Result<(Url, Location), String> {
    let url = Url::parse(address).map_err(|error| format!("{error}: expected {SCHEMES}"))?;
    let location = match url.scheme() {
        "s3" => Location::Remote(named(&url, false)?),
        "azure" | "az" | "abfs" | "abfss" => Location::Remote(named(&url, true)?),
        "file" => {
            let path = url.to_file_path();
            Location::Folder(path.map_err(|()| format!("it names no folder: expected {SCHEMES}"))?)
        }
        scheme => return Err(format!("{scheme} is no scheme of a lake: expected {SCHEMES}")),
    };
    Ok((url, location))
}

fn named(url: &Url, azure: bool) -> Result<Address, String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    if url.password().is_some() || url.port().is_some() || url.query().is_some() {
        return Err(format!("expected {SCHEMES}; credentials and endpoints stand in variables"));
    }
    if host.is_empty() {
        let what = if azure { "container" } else { "bucket" };
        return Err(format!("it names no {what}: expected {SCHEMES}"));
    }
    Ok(match (azure, url.username()) {
        (false, "") => Address::S3 { bucket: host },
        (false, _) => return Err("a bucket has no `@`".to_owned()),
        (true, "") => Address::Azure { container: host, host: None },
        (true, container) => Address::Azure { container: container.to_owned(), host: Some(host) },
    })
}

/// An address for messages, without what may be a secret: a password, or a query.
pub(crate) fn shown(address: &str) -> String {
    let plain = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return plain.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://***@{host}"),
        _ => plain.to_owned(),
    }
}
