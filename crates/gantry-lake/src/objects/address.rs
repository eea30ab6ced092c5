//! The lake's address: `s3://bucket/prefix`, `azure://container/prefix` and its other spellings.

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
    /// Reads an address; `None` for a scheme of another store.
    ///
    /// # Errors
    /// When it names no bucket, or carries what does not belong there; the text says what.
    pub(crate) fn parse(url: &Url) -> Option<Result<Self, String>> {
        let azure = match url.scheme() {
            "s3" => false,
            "azure" | "az" | "abfs" | "abfss" => true,
            _ => return None,
        };
        Some(named(url, azure))
    }

    /// The address under which DataFusion knows the store.
    pub(crate) fn root(&self) -> String {
        match self {
            Self::S3 { bucket } => format!("s3://{bucket}/"),
            Self::Azure { container, .. } => format!("azure://{container}/"),
        }
    }
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
