//! Boot configuration: a TOML file, then environment variables; read once, typos refused.
//!
//! Each component brings its own struct; a role collects them in one and calls [`load`]. A variable
//! `GANTRY_SECTION__KEY` stands for `key` in `[section]`, `GANTRY_KEY` for a top-level `key`.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const PREFIX: &str = "GANTRY_";

/// Protocols of Kubernetes' Services.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// How the parser's message begins when a value is, say, a text instead of a number.
const WRONG_TYPE: &str = "invalid type";

/// Why the process refuses to start: where, what was found, what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the boot configuration {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}:{column}: {message}")]
    File { path: PathBuf, line: usize, column: usize, message: String },
    #[error("environment variable {variable}: {message}")]
    Variable { variable: String, message: String },
}

/// Reads `file` (when given) and the variables, and fills `T`.
///
/// `known` lists variables with the prefix that are not configuration keys but mean something to
/// the program; any other unknown variable with the prefix is refused, but for those that
/// Kubernetes makes of a Service whose name begins with `gantry`.
///
/// # Errors
/// When the file cannot be read, or a key is unknown or has the wrong type.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
    known: &[&str],
) -> Result<T, Error> {
    let mut table = match file {
        Some(path) => read_file::<T>(path)?,
        None => Table::new(),
    };
    for (variable, text) in variables {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        if known.contains(&variable.as_str()) || service_link(&variable, &text) {
            continue;
        }
        set::<T>(&mut table, &variable, rest, &text)?;
    }
    T::deserialize(Value::Table(table)).map_err(|error| Error::Variable {
        variable: format!("{PREFIX}*"),
        message: one_line(error.message()),
    })
}

/// Reads a number that may not be 0, for `deserialize_with`: a limit or a timeout.
///
/// # Errors
/// When it is 0 or no such number.
pub fn positive<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let value = T::deserialize(from)?;
    if value == T::default() {
        return Err(D::Error::custom("0 is too small: expected at least 1"));
    }
    Ok(value)
}

/// Whether Kubernetes made the variable for a Service: `GANTRY_SERVICE_HOST=10.0.0.1`,
/// `GANTRY_SERVICE_PORT_HTTP=80`, `GANTRY_PORT=tcp://10.0.0.1:80`, `GANTRY_PORT_80_TCP_PORT=80` and
/// the like. It does so for every Service of the namespace unless `enableServiceLinks` is false.
fn service_link(variable: &str, text: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().is_ok();
    let address = |text: &str| text.parse::<IpAddr>().is_ok();
    let url = |text: &str| {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_uppercase());
        scheme.is_some_and(|scheme| PROTOCOLS.contains(&scheme.as_str()))
    };
    if variable.ends_with("_SERVICE_HOST") {
        return address(text);
    }
    if let Some((_, port)) = variable.split_once("_SERVICE_PORT") {
        return (port.is_empty() || port.starts_with('_')) && number(text);
    }
    if let Some((_, rest)) = variable.rsplit_once("_PORT_") {
        let parts: Vec<&str> = rest.split('_').collect();
        let port = |number_of: &str, protocol| number(number_of) && PROTOCOLS.contains(protocol);
        return match parts.as_slice() {
            [of, protocol] => port(of, protocol) && url(text),
            [of, protocol, "PROTO"] => port(of, protocol) && text.eq_ignore_ascii_case(protocol),
            [of, protocol, "PORT"] => port(of, protocol) && number(text),
            [of, protocol, "ADDR"] => port(of, protocol) && address(text),
            _ => false,
        };
    }
    variable.ends_with("_PORT") && url(text)
}

/// Parses the file on its own first, so that a mistake is reported with its place.
fn read_file<T: DeserializeOwned>(path: &Path) -> Result<Table, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let at = |error: &toml::de::Error| {
        let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
        let found = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        let found = if may_hold_secret(found) { "***" } else { found };
        Error::File {
            path: path.to_owned(),
            line,
            column,
            message: format!("{}, found `{found}`", one_line(error.message())),
        }
    };
    toml::from_str::<T>(&text).map_err(|error| at(&error))?;
    toml::from_str::<Table>(&text).map_err(|error| at(&error))
}

fn set<T: DeserializeOwned>(
    table: &mut Table,
    variable: &str,
    rest: &str,
    text: &str,
) -> Result<(), Error> {
    let keys: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    let mut failure = String::new();
    for value in readings(text) {
        let mut candidate = table.clone();
        insert(&mut candidate, &keys, value);
        match T::deserialize(Value::Table(candidate.clone())) {
            Ok(_) => {
                *table = candidate;
                return Ok(());
            }
            // What the value itself is like says more than that another reading has a wrong type.
            Err(error) if failure.is_empty() || failure.starts_with(WRONG_TYPE) => {
                failure = one_line(error.message());
            }
            Err(_) => {}
        }
    }
    Err(Error::Variable {
        variable: variable.to_owned(),
        message: format!("{failure}, found `{}`", shown(&keys, text)),
    })
}

/// The ways a variable's text may be meant: as TOML (number, boolean, list), else as a string.
fn readings(text: &str) -> Vec<Value> {
    let parsed = toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut table| table.remove("v"));
    parsed.into_iter().chain([Value::String(text.to_owned())]).collect()
}

fn insert(table: &mut Table, keys: &[String], value: Value) {
    let Some((first, rest)) = keys.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(inner) = inner {
        insert(inner, rest, value);
    }
}

/// Whether a text holds an address with more than a place: a password, or a signed query.
fn may_hold_secret(text: &str) -> bool {
    text.contains('@') || text.split_once("://").is_some_and(|(_, rest)| rest.contains('?'))
}

/// Values of keys that sound secret, or that may hold one, are not repeated in errors.
fn shown(keys: &[String], text: &str) -> String {
    let secret = ["token", "key", "password", "secret"];
    let names: BTreeSet<&str> = keys.iter().flat_map(|key| key.split('_')).collect();
    let secret = secret.iter().any(|word| names.contains(word)) || may_hold_secret(text);
    if secret { "***".to_owned() } else { text.to_owned() }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// The parser's message on one line, in the words of who writes settings.
fn one_line(message: &str) -> String {
    let line = message.trim().replace('\n', ", ");
    let Some((found, wanted)) = line.rsplit_once(", expected ") else { return line };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        table if table.starts_with("struct ") => "a table",
        "a sequence" => "a list such as `[\"one\", \"other\"]`",
        other => other,
    };
    format!("{found}, expected {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        listen: String,
        gateway: Gateway,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Gateway {
        #[serde(deserialize_with = "positive")]
        idle_timeout_ms: u32,
        token: String,
    }

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(file.path()), variables, &["GANTRY_HOST"]).map_err(|error| {
            error.to_string().replace(&file.path().display().to_string(), "gantry.toml")
        })
    }

    #[test]
    fn variables_win_over_the_file() {
        let config = load_text(
            "listen = \"a\"\n[gateway]\nidle_timeout_ms = 5\n",
            &[("GANTRY_GATEWAY__IDLE_TIMEOUT_MS", "7"), ("GANTRY_HOST", "x"), ("HOME", "/")],
        );
        let gateway = Gateway { idle_timeout_ms: 7, token: String::new() };
        assert_eq!(config, Ok(Config { listen: "a".into(), gateway }));
    }

    #[test]
    fn what_kubernetes_makes_of_a_service_named_gantry_is_no_setting() {
        let links = [
            ("GANTRY_SERVICE_HOST", "10.96.0.12"),
            ("GANTRY_SERVICE_PORT", "7100"),
            ("GANTRY_SERVICE_PORT_HTTP", "7100"),
            ("GANTRY_PORT", "tcp://10.96.0.12:7100"),
            ("GANTRY_PORT_7100_TCP", "tcp://10.96.0.12:7100"),
            ("GANTRY_PORT_7100_TCP_PROTO", "tcp"),
            ("GANTRY_PORT_7100_TCP_PORT", "7100"),
            ("GANTRY_PORT_7100_TCP_ADDR", "fd00::1"),
            ("GANTRY_EU_1_SERVICE_HOST", "10.96.0.13"),
            ("GANTRY_EU_1_PORT_53_UDP", "udp://10.96.0.13:53"),
        ];
        assert_eq!(load_text("", &links), Ok(Config::default()));
        for wrong in [
            ("GANTRY_PORT", "7100"),
            ("GANTRY_SERVICE_HOST", "db"),
            ("GANTRY_PORT_7100_TCP", "7100"),
            ("GANTRY_LISTEN_PORT_X_TCP", "tcp://10.96.0.12:7100"),
        ] {
            assert!(load_text("", &[wrong]).is_err(), "{wrong:?} is a mistake");
        }
    }

    #[test]
    fn a_number_may_be_meant_as_text() {
        let config = load_text("", &[("GANTRY_LISTEN", "7100")]);
        assert_eq!(config.map(|config| config.listen), Ok("7100".into()));
    }

    #[test]
    fn mistakes_name_place_key_and_what_was_expected() {
        let cases = [
            (
                "[gateway]\nidle_timeout = 5\n",
                &[][..],
                "gantry.toml:2:1: unknown field `idle_timeout`, expected `idle_timeout_ms` or \
                 `token`, found `idle_timeout = 5`",
            ),
            (
                "[gateway]\nidle_timeout_ms = \"soon\"\n",
                &[],
                "gantry.toml:2:19: invalid type: string \"soon\", expected a whole number, 0 or \
                 more, found `idle_timeout_ms = \"soon\"`",
            ),
            (
                "[gateway]\nidle_timeout_ms = 0\n",
                &[],
                "gantry.toml:2:19: 0 is too small: expected at least 1, \
                 found `idle_timeout_ms = 0`",
            ),
            (
                "gateway = 5\n",
                &[],
                "gantry.toml:1:11: invalid type: integer `5`, expected a table, \
                 found `gateway = 5`",
            ),
            (
                "",
                &[("GANTRY_GATEWAY__IDLE_TIMEOUT_MS", "0")],
                "environment variable GANTRY_GATEWAY__IDLE_TIMEOUT_MS: 0 is too small: expected \
                 at least 1, found `0`",
            ),
            (
                "",
                &[("GANTRY_GATEWAY__IDLE_TIMEOUT_MS", "soon")],
                "environment variable GANTRY_GATEWAY__IDLE_TIMEOUT_MS: invalid type: string \
                 \"soon\", expected a whole number, 0 or more, found `soon`",
            ),
            (
                "",
                &[("GANTRY_GATEWAY__TOKENS", "tfy_abc")],
                "environment variable GANTRY_GATEWAY__TOKENS: unknown field `tokens`, expected \
                 `idle_timeout_ms` or `token`, found `tfy_abc`",
            ),
        ];
        for (text, variables, expected) in cases {
            assert_eq!(load_text(text, variables).unwrap_err(), expected);
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        assert_eq!(shown(&["gateway".into(), "token".into()], "tfy_abc"), "***");
    }
}
