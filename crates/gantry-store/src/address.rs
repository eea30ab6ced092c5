//! The address of a PostgreSQL database, checked. The store and the boot configuration read it;
//! no text that it gives repeats any part of the address, which may hold a password.

use crate::Error;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::borrow::Cow;
use std::net::IpAddr;
use url::Url;

/// Parameters that an address may have. Others would be left out in silence.
const PARAMETERS: [&str; 7] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "application_name", "options"];

const EXPECTED: &str = "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// Whether a text is the address of a database that a store can be kept in.
///
/// # Errors
/// What is wrong with it, without repeating any of it.
pub fn check_address(text: &str) -> Result<(), String> {
    options(text).map(drop).map_err(|error| match error {
        Error::Address(problem) => problem,
        other => other.to_string(),
    })
}

/// How to connect. An address that says nothing of TLS demands it, verified in full, but for a
/// server on this machine: the default of PostgreSQL's clients takes a connection in clear
/// whenever somebody on the way says that the server knows no TLS.
pub(crate) fn options(text: &str) -> Result<PgConnectOptions, Error> {
    let bad = |problem: &str| Error::Address(format!("{problem}; {EXPECTED}"));
    let url = Url::parse(text).map_err(|error| bad(&format!("it is no URL ({error})")))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(bad("its scheme is not postgres"));
    }
    if url.path().trim_start_matches('/').is_empty() {
        return Err(bad("it names no database"));
    }
    let known = |key: &str| PARAMETERS.contains(&key);
    if url.query_pairs().any(|(key, _)| !known(&key)) {
        let known = PARAMETERS.join(", ");
        return Err(bad(&format!("it has a parameter other than {known}")));
    }
    // What sqlx says of a parameter that it cannot read may repeat its value.
    let options: PgConnectOptions =
        text.parse().map_err(|_| bad("a parameter of it is malformed"))?;
    let said = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, said)| said);
    let host = said("host").or_else(|| url.host_str().map(Cow::from));
    let host = host.filter(|host| !host.is_empty()).ok_or_else(|| bad("it names no host"))?;
    if said("sslmode").is_some() || is_here(&host) {
        return Ok(options);
    }
    Ok(options.ssl_mode(PgSslMode::VerifyFull))
}

/// Whether the server is on this machine: by loopback, or by a socket's folder as the host.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost"
        || host.starts_with('/')
        || host.starts_with("%2F")
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_address_is_refused_without_being_repeated() {
        let cases = [
            ("the-secret", "no URL"),
            ("mysql://a:the-secret@db/gantry", "scheme is not postgres"),
            ("postgres://a:the-secret@db", "names no database"),
            ("postgres:///gantry?user=the-secret", "a parameter other than"),
            ("postgres:///gantry", "names no host"),
            ("postgres://a@db/gantry?passwd=the-secret", "a parameter other than sslmode"),
            ("postgres://a@db/gantry?sslmode=the-secret", "is malformed"),
        ];
        for (text, expected) in cases {
            let problem = check_address(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(problem.contains("expected postgres://"), "{problem}");
            assert!(!problem.contains("the-secret"), "{problem}");
        }
    }

    #[test]
    fn tls_is_demanded_of_servers_elsewhere_unless_the_address_says_otherwise() {
        let mode = |text: &str| format!("{:?}", options(text).unwrap().get_ssl_mode());
        let cases = [
            ("postgres://a:b@db.example/gantry", "VerifyFull"),
            ("postgresql://a:b@10.0.0.1:5433/gantry", "VerifyFull"),
            ("postgres://a:b@db.example/gantry?sslmode=disable", "Disable"),
            ("postgres://a:b@127.0.0.1/gantry", "Prefer"),
            ("postgres://a:b@[::1]/gantry", "Prefer"),
            ("postgres://a:b@localhost/gantry", "Prefer"),
            ("postgres://a:b@%2Frun%2Fpostgresql/gantry", "Prefer"),
            ("postgres:///gantry?host=db.example", "VerifyFull"),
            ("postgres:///gantry?host=/run/postgresql", "Prefer"),
        ];
        for (text, expected) in cases {
            assert_eq!(mode(text), expected, "{text}");
        }
    }
}
