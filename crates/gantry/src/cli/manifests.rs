//! `gantry apply`, `diff`, `get` and `delete`.

use super::changes::changes;
use super::connection::{Connection, Flags, encoded};
use super::owners::{self, Line};
use super::{block_on, yaml};
use crate::manifest_files::read;
use crate::out;
use anyhow::bail;
use gantry_kinds::kinds::ProviderAccount;
use gantry_kinds::price::model_price;
use gantry_model::rest::{Applied, ApplyRequest, DeleteRequest, ManifestRef, StoredManifest};
use gantry_model::snapshot::ModelType;
use http::Method;
use serde::Deserialize;
use std::path::PathBuf;

/// Providers that nobody bills for.
const OWN: [&str; 2] = ["ollama", "self-hosted-model"];

#[derive(clap::Args)]
pub(crate) struct ApplyArguments {
    /// File or directory of manifests (YAML or JSON), `-` for standard input; may be repeated.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// Check everything, store nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Flags,
}

#[derive(clap::Args)]
pub(crate) struct DiffArguments {
    /// File or directory of manifests (YAML or JSON), `-` for standard input; may be repeated.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    connection: Flags,
}

#[derive(clap::Args)]
pub(crate) struct GetArguments {
    /// Only this kind, such as provider-account/openai, or family, such as virtual-account.
    kind: Option<String>,
    /// Only this one.
    name: Option<String>,
    /// Print JSON instead of YAML.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Flags,
}

#[derive(clap::Args)]
pub(crate) struct DeleteArguments {
    /// Kind of the resource.
    #[arg(required_unless_present = "files", requires = "name")]
    kind: Option<String>,
    /// Name of the resource.
    name: Option<String>,
    /// Delete what these manifests describe.
    #[arg(short, long = "file", value_name = "PATH", conflicts_with = "kind")]
    files: Vec<PathBuf>,
    /// Check whether it could be deleted, delete nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Flags,
}

#[derive(Deserialize)]
struct AppliedList {
    applied: Vec<Applied>,
}

#[derive(Deserialize)]
struct Deletions {
    deleted: Vec<StoredManifest>,
}

/// `gantry apply`.
///
/// # Errors
/// When a file is unreadable or the control plane refuses; it names file, line and column.
pub(crate) fn apply(arguments: &ApplyArguments) -> anyhow::Result<()> {
    let applied = send(&arguments.connection, &arguments.files, arguments.dry_run)?;
    for one in &applied {
        let done = match (arguments.dry_run, one.action.as_str()) {
            (false, "CREATE") => "created",
            (false, "UPDATE") => "updated",
            (true, "CREATE") => "would be created",
            (true, "UPDATE") => "would be updated",
            _ => "unchanged",
        };
        out::line(format_args!("{} {} {done}", one.kind, one.name))?;
        if let Some(token) = &one.token {
            out::line(format_args!("  token: {}", token.expose()))?;
            out::line("  It is shown only now; keep it safe.")?;
        }
    }
    let unpriced: Vec<String> = applied.iter().flat_map(|one| unpriced(&one.manifest)).collect();
    if !unpriced.is_empty() {
        out::note(format_args!(
            "no price is known for {}: they count as 0 until their manifest gives `cost`",
            some_of(&unpriced)
        ));
    }
    Ok(())
}

/// Most models that a note names.
const NAMED_MAX: usize = 5;

/// The first of some names, and how many there are besides.
fn some_of(names: &[String]) -> String {
    match names.split_at_checked(NAMED_MAX) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// Models of an account that are billed by the token, but by no price that is known. Those that the
/// operator hosts cost what their machines do.
fn unpriced(manifest: &serde_json::Value) -> Vec<String> {
    let account = serde_json::from_value::<ProviderAccount>(manifest.clone()).ok();
    let account = account.filter(|account| !OWN.contains(&account.provider()));
    let Some(account) = account else { return Vec::new() };
    let tokens = [ModelType::Chat, ModelType::Completion, ModelType::Embedding];
    let mut found = Vec::new();
    for model in &account.integrations {
        let types = &model.model_types;
        let by_tokens = types.is_empty() || types.iter().any(|one| tokens.contains(one));
        if by_tokens && matches!(model_price(&account, model), Ok(None)) {
            found.push(format!("{}/{}", account.name, model.name));
        }
    }
    found
}

/// `gantry diff`: one line a changed field, `-` before and `+` after, below what it belongs to.
///
/// # Errors
/// As [`apply`].
pub(crate) fn diff(arguments: &DiffArguments) -> anyhow::Result<()> {
    for one in send(&arguments.connection, &arguments.files, true)? {
        out::line(format_args!("{} {}: {}", one.kind, one.name, one.action.to_lowercase()))?;
        let before = one.existing_manifest.as_ref().map(lines).unwrap_or_default();
        let mut changed = changed(&before, &lines(&one.manifest));
        if changed.is_empty() && one.action == "UPDATE" {
            changed.push("~ the value of a secret, which is not shown".to_owned());
        }
        for line in changed {
            out::line(format_args!("  {line}"))?;
        }
    }
    Ok(())
}

/// `gantry get`.
///
/// # Errors
/// When there is no such resource.
pub(crate) fn get(arguments: &GetArguments) -> anyhow::Result<()> {
    let connection = Connection::open(&arguments.connection)?;
    let mut path = "resources".to_owned();
    if let Some(kind) = &arguments.kind {
        for part in kind.split('/') {
            path.push('/');
            path.push_str(&encoded(part));
        }
    }
    if let Some(name) = &arguments.name {
        path.push_str("?name=");
        path.push_str(&encoded(name));
    }
    let found: Vec<StoredManifest> = block_on(connection.list(&path))?;
    if found.is_empty() && arguments.name.is_some() {
        bail!("there is no such resource; `gantry get` lists all");
    }
    for why in found.iter().filter_map(|resource| resource.unreadable.as_ref()) {
        out::note(why);
    }
    let manifests: Vec<serde_json::Value> =
        found.into_iter().map(|resource| resource.manifest).collect();
    if arguments.json {
        return out::json(&manifests);
    }
    let documents: Vec<String> = manifests.iter().map(yaml::print).collect();
    out::text(documents.join("---\n"))
}

/// `gantry delete`.
///
/// # Errors
/// When there is no such resource or something refers to it.
pub(crate) fn delete(arguments: &DeleteArguments) -> anyhow::Result<()> {
    let connection = Connection::open(&arguments.connection)?;
    let mut request = DeleteRequest { dry_run: arguments.dry_run, ..DeleteRequest::default() };
    match (&arguments.kind, &arguments.name) {
        (Some(kind), Some(name)) => {
            let name = Some(name.clone());
            request.manifest = Some(ManifestRef { kind: kind.clone(), name });
        }
        _ => request.sources = read(&arguments.files)?,
    }
    let deleted: Deletions = block_on(connection.send(Method::POST, "delete", Some(&request)))?;
    let done = if arguments.dry_run { "would be deleted" } else { "deleted" };
    for one in deleted.deleted {
        out::line(format_args!("{} {} {done}", one.kind, one.name))?;
    }
    Ok(())
}

fn send(flags: &Flags, files: &[PathBuf], dry_run: bool) -> anyhow::Result<Vec<Applied>> {
    let connection = Connection::open(flags)?;
    let request = ApplyRequest { manifest: None, sources: read(files)?, dry_run };
    let list: AppliedList = block_on(connection.send(Method::PUT, "apply", Some(&request)))?;
    list.complete()
}

impl AppliedList {
    /// What was applied, which is never nothing.
    fn complete(self) -> anyhow::Result<Vec<Applied>> {
        if self.applied.is_empty() {
            bail!("the answer names nothing that was applied; nothing may have been stored");
        }
        Ok(self.applied)
    }
}

fn lines(manifest: &serde_json::Value) -> Vec<Line> {
    owners::lines(&yaml::print(manifest))
}

/// The lines that differ, each run of them below a line that says what they belong to.
fn changed(before: &[Line], after: &[Line]) -> Vec<String> {
    let (mut out, mut owner) = (Vec::new(), "");
    for (sign, line) in changes(before, after) {
        if line.owner != owner {
            owner = &line.owner;
            out.push(if owner.is_empty() { "at the top:".to_owned() } else { format!("{owner}:") });
        }
        out.push(format!("{sign} {}", line.text));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn models_without_a_price_are_named_but_not_those_of_ones_own() {
        let account = |provider: &str, model: serde_json::Value| {
            let mut integration = json!({"type": format!("integration/model/{provider}")});
            integration.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
            let kind = format!("provider-account/{provider}");
            json!({"type": kind, "name": "main", "integrations": [integration]})
        };
        let cost = json!({"metric": "private_cost", "input_cost_per_1k": 1});
        let cases: [(_, &[&str]); 5] = [
            (account("openai", json!({"name": "gpt-4o"})), &[]),
            (account("openai", json!({"name": "own-tune"})), &["main/own-tune"]),
            (account("openai", json!({"name": "whisper", "model_types": ["rerank"]})), &[]),
            (account("ollama", json!({"name": "llama", "model_id": "llama3"})), &[]),
            (json!({"type": "virtual-account", "name": "x", "cost": cost}), &[]),
        ];
        for (manifest, expected) in cases {
            assert_eq!(unpriced(&manifest), expected, "{manifest}");
        }
    }

    #[test]
    fn of_many_names_the_first_stand_for_all() {
        let names = |count: usize| (0..count).map(|n| format!("m{n}")).collect::<Vec<_>>();
        assert_eq!(some_of(&names(1)), "m0");
        assert_eq!(some_of(&names(5)), "m0, m1, m2, m3, m4");
        assert_eq!(some_of(&names(22)), "m0, m1, m2, m3, m4 and 17 more");
    }

    #[test]
    fn a_changed_line_stands_below_what_it_belongs_to() {
        let manifest = |owner: &str, cost: [u8; 2]| {
            let model = |name: &str, cost: u8| json!({"name": name, "cost": {"input": cost}});
            json!({
                "name": "main",
                "integrations": [model("gpt", cost[0]), model("mini", cost[1])],
                "ownedBy": owner,
            })
        };
        let before = lines(&manifest("x", [1, 1]));
        let cases: [(_, &[&str]); 3] = [
            (manifest("x", [1, 1]), &[]),
            (
                manifest("x", [1, 2]),
                &["integrations > mini > cost:", "-       input: 1", "+       input: 2"],
            ),
            (
                manifest("y", [2, 1]),
                &[
                    "integrations > gpt > cost:",
                    "-       input: 1",
                    "+       input: 2",
                    "at the top:",
                    "- ownedBy: x",
                    "+ ownedBy: \"y\"",
                ],
            ),
        ];
        for (after, expected) in cases {
            assert_eq!(changed(&before, &lines(&after)), expected);
        }
    }

    #[test]
    fn an_answer_that_names_nothing_applied_is_none() {
        let read = |text: &str| -> anyhow::Result<Vec<Applied>> {
            serde_json::from_str::<AppliedList>(text)?.complete()
        };
        for text in ["{}", "{\"status\": \"ok\"}", "{\"applied\": []}"] {
            read(text).unwrap_err();
        }
        let one = "{\"applied\": [{\"action\": \"CREATE\", \"kind\": \"k\", \"name\": \"n\", \
                   \"manifest\": {}}]}";
        assert_eq!(read(one).unwrap().len(), 1);
    }
}
