//! `gantry token`: tokens for people and for gateways that run apart, and a further one of the
//! administrator for who has the data directory.

use super::connection::{Connection, Flags, encoded};
use super::{block_on, text};
use crate::credentials::{self, Credentials};
use crate::{boot, out};
use anyhow::{Context, bail};
use gantry_control::{Control, ControlConfig};
use gantry_model::secret::Secret;
use gantry_runtime::digest::sha256_hex;
use http::Method;
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of a new token.
    #[arg(required_unless_present_any = ["list", "revoke"])]
    name: Option<String>,
    /// For gateways that run apart, instead of for yourself.
    #[arg(long)]
    gateway: bool,
    /// For the administrator, made in the data directory itself, for who lost the first token. The
    /// control plane must not run meanwhile.
    #[arg(long, requires = "name", conflicts_with_all = ["gateway", "list", "revoke"])]
    admin: bool,
    /// Show the tokens there are instead; their values are shown by nothing.
    #[arg(long, conflicts_with_all = ["name", "revoke"])]
    list: bool,
    /// End this token instead, by name or id.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    revoke: Option<String>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    id: String,
    manifest: Named,
    created_at: String,
    is_expired: bool,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// What the control plane answers to a deed.
#[derive(Deserialize)]
struct Done {}

/// Creates a token and prints it, alone on standard output; or lists tokens, or ends one.
///
/// # Errors
/// When the control plane refuses, or no token or several have the name to be ended.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.admin {
        let name = arguments.name.as_deref().unwrap_or_default();
        let data_dir = arguments.connection.data_dir();
        let left = credentials::read(&data_dir);
        let (token, left_works) = block_on(admin_token(&data_dir, name, left.as_ref()))?;
        out::line(token.expose())?;
        // The commands on this machine need one that works.
        if let Some(left) = left.filter(|_| !left_works) {
            let token = token.expose().to_owned();
            credentials::write(&data_dir, &Credentials { token, ..left })?;
            out::note(
                "the commands on this machine use it from now on: the one they had has ended",
            );
        }
        return Ok(());
    }
    let connection = Connection::open(&arguments.connection)?;
    let path = if arguments.gateway { "gateway/tokens" } else { "personal-access-tokens" };
    block_on(async {
        if arguments.list {
            return table(&listed(&connection, path).await?).print();
        }
        if let Some(wanted) = &arguments.revoke {
            let tokens = listed(&connection, path).await?;
            let id = encoded(chosen(&tokens, wanted)?);
            let path = format!("{path}/{id}");
            let Done {} = connection.send(Method::DELETE, &path, None::<&()>).await?;
            return out::line(format_args!("{wanted} revoked"));
        }
        let request = Request { name: arguments.name.as_deref().unwrap_or_default() };
        let created: Created = connection.send(Method::POST, path, Some(&request)).await?;
        out::line(created.token)
    })
}

/// A further token of the administrator, made where no control plane runs, and whether the one that
/// was left there works.
async fn admin_token(
    data_dir: &Path,
    name: &str,
    left: Option<&Credentials>,
) -> anyhow::Result<(Secret, bool)> {
    if !data_dir.join("gantry.db").exists() {
        bail!(
            "{} holds no control plane: name the data directory of one with --data-dir",
            data_dir.display()
        );
    }
    boot::keep_files_private();
    let mut config = ControlConfig::new(data_dir);
    config.master_key = boot::variable("GANTRY_MASTER_KEY").map(Secret::new);
    let (control, _) = Control::open(config).await.context("open the data directory")?;
    let digest = left.map(|left| sha256_hex(left.token.as_bytes()));
    // It was made just now, of tokens that work.
    let works = digest.is_some_and(|digest| control.key(&digest).is_some());
    let token = control.create_admin_token(name).await;
    control.close().await;
    Ok((token?, works))
}

async fn listed(connection: &Connection, path: &str) -> anyhow::Result<Vec<Token>> {
    connection.list(path).await
}

/// The id of the token that is meant.
fn chosen<'a>(tokens: &'a [Token], wanted: &str) -> anyhow::Result<&'a str> {
    let found: Vec<&str> = tokens
        .iter()
        .filter(|token| token.manifest.name == wanted || token.id == wanted)
        .map(|token| token.id.as_str())
        .collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => bail!("there is no token {wanted}; `gantry token --list` shows those there are"),
        [..] => bail!("several tokens are named {wanted}; give an id: {}", found.join(", ")),
    }
}

fn table(tokens: &[Token]) -> text::Table {
    let mut table = text::table(&["name", "created", "state", "id"]);
    for token in tokens {
        let state = if token.is_expired { "expired" } else { "live" };
        table.add_row([token.manifest.name.as_str(), &token.created_at, state, &token.id]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_the_data_directory_gets_a_token_of_the_administrator() {
        let dir = tempfile::tempdir().unwrap();
        let none = admin_token(dir.path(), "again", None).await.unwrap_err().to_string();
        assert!(none.contains("holds no control plane"), "{none}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
        let (control, _) = Control::open(ControlConfig::new(dir.path())).await.unwrap();
        let runs = format!("{:#}", admin_token(dir.path(), "again", None).await.unwrap_err());
        assert!(runs.contains("another gantry process"), "{runs}");
        control.close().await;
        drop(control);
        let (token, _) = admin_token(dir.path(), "again", None).await.unwrap();
        let (control, first) = Control::open(ControlConfig::new(dir.path())).await.unwrap();
        assert!(first.is_none());
        let digest = sha256_hex(token.expose().as_bytes());
        let key = control.key(&digest).unwrap();
        assert!(key.caller.admin && key.name == "again", "{key:?}");
    }

    #[test]
    fn a_token_is_ended_by_its_name_or_its_id_and_only_one() {
        let token = |id: &str, name: &str| Token {
            id: id.to_owned(),
            manifest: Named { name: name.to_owned() },
            created_at: String::new(),
            is_expired: false,
        };
        let tokens = [token("1", "laptop"), token("2", "eu"), token("3", "eu")];
        assert_eq!(chosen(&tokens, "laptop").unwrap(), "1");
        assert_eq!(chosen(&tokens, "3").unwrap(), "3");
        for (wanted, expected) in [("eu", "give an id: 2, 3"), ("x", "gantry token --list")] {
            let error = chosen(&tokens, wanted).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
