//! What a person needs after `gantry up` has started. Pure: from the state to a text.

use super::discovery::Search;
use crate::boot::default_data_dir;
use crate::credentials;
use gantry_control::FirstStart;
use gantry_kinds::kinds::provider_account::{ModelIntegration, ModelType};
use gantry_kinds::kinds::{Manifest, ProviderAccount};
use gantry_kinds::roles::PROVIDER_ACCOUNT;
use gantry_kinds::secrets;
use gantry_kinds::snapshot::SnapshotSource;
use std::collections::BTreeSet;
use std::path::Path;

/// Models of an account that are named.
const MODELS_SHOWN: usize = 3;

/// What is known at the end of the start.
pub(super) struct Started<'a> {
    /// Address of the data port, `http://127.0.0.1:7100`.
    pub host: &'a str,
    pub data_dir: &'a Path,
    pub first: Option<&'a FirstStart>,
    /// What this start found.
    pub search: &'a Search,
    /// All accounts there are.
    pub snapshot: &'a SnapshotSource,
}

/// The text. It ends with a line to try when a chat model can be called.
pub(super) fn text(started: &Started<'_>) -> String {
    let Started { host, data_dir, first, .. } = started;
    let mut out = format!("Gantry is up at {host} (data in {})\n", data_dir.display());
    if let Some(first) = first {
        out += &format!("\n  Administrator {} of tenant {}\n", first.admin, first.tenant);
        out += &format!("  Token         {}\n", first.token.expose());
        out += "  It is shown only now; commands on this machine find it in the data directory.\n";
    }
    let lines = accounts(started);
    if lines.is_empty() {
        out +=
            "\n  No provider found. Set a variable such as OPENAI_API_KEY or ANTHROPIC_API_KEY\n";
        out += "  and start again, start a local server (Ollama, vLLM, llama.cpp), or apply one:\n";
        out += "    gantry apply -f account.yaml     (docs/manifests.md has examples)\n";
        return out + &listed("Not found yet:", &started.search.hints);
    }
    out += &listed("Providers:", &lines);
    out += &listed("Not found yet:", &started.search.hints);
    match chat_model(started) {
        Some(model) => out += &example(started, &model),
        None => out += "\n  None of them has a chat model that can be called.\n",
    }
    out + &elsewhere(started.data_dir)
}

/// What works from another terminal, which finds the usual data directory by itself.
fn elsewhere(data_dir: &Path) -> String {
    let named = match data_dir == default_data_dir() {
        true => String::new(),
        false => format!(", with --data-dir {}", data_dir.display()),
    };
    format!("\n  gantry logs, gantry usage and gantry apply work from another terminal{named}.\n")
}

/// Lines under a title; nothing at all when there are none.
fn listed(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("\n  {title}\n    {}\n", lines.join("\n    "))
}

/// One line an account: those that were found in the order of the search, then the others.
fn accounts(started: &Started<'_>) -> Vec<String> {
    let by = |name: &str| started.search.lines.iter().position(|line| line.account == name);
    let mut lines = Vec::new();
    for manifest in &started.snapshot.manifests {
        if manifest.family() != PROVIDER_ACCOUNT {
            continue;
        }
        let models = manifest.models();
        let name = manifest.name();
        let at = by(name);
        let origin = at.and_then(|at| started.search.lines.get(at));
        let origin = origin.map_or_else(|| "manifest".to_owned(), |line| line.by.clone());
        let missing = missing(manifest, started.snapshot);
        let note = missing.map_or_else(String::new, |name| format!("  ({name} has no value)"));
        let models = shortened(name, &models);
        let line = format!("{name:<16} by {origin:<28} {models}{note}");
        lines.push((at.unwrap_or(usize::MAX), line));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The first reference of a manifest that has no value.
fn missing(manifest: &Manifest, snapshot: &SnapshotSource) -> Option<String> {
    let references = secrets::references(manifest);
    references.into_iter().find(|reference| !snapshot.secrets.contains_key(reference))
}

fn shortened(account: &str, models: &[&str]) -> String {
    let shown = models.iter().take(MODELS_SHOWN).map(|model| format!("{account}/{model}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match models.len().saturating_sub(MODELS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A model to try: of an account that was found just now if possible, for it surely answers; and
/// one that says it chats before one that says nothing.
fn chat_model(started: &Started<'_>) -> Option<String> {
    let found: BTreeSet<&str> =
        started.search.lines.iter().map(|line| line.account.as_str()).collect();
    let mut best: Option<((bool, bool), String)> = None;
    for manifest in &started.snapshot.manifests {
        let Some(account) = manifest.as_::<ProviderAccount>() else { continue };
        let bare = ProviderAccount { integrations: Vec::new(), ..account.clone() };
        for model in account.integrations.iter().filter(|model| chats(model)) {
            let rank = (!found.contains(&*account.name), model.model_types.is_empty());
            let better = best.as_ref().is_none_or(|(other, _)| rank < *other);
            if better && callable(&bare, model, started.snapshot) {
                best = Some((rank, format!("{}/{}", account.name, model.name)));
            }
        }
    }
    best.map(|(_, model)| model)
}

fn chats(model: &ModelIntegration) -> bool {
    model.model_types.is_empty() || model.model_types.contains(&ModelType::Chat)
}

/// Whether every secret of the model is there, its account's included.
fn callable(account: &ProviderAccount, model: &ModelIntegration, all: &SnapshotSource) -> bool {
    let alone = ProviderAccount { integrations: vec![model.clone()], ..account.clone() };
    missing(&Manifest::from(alone), all).is_none()
}

fn example(started: &Started<'_>, model: &str) -> String {
    let mut out = String::from("\n  Try it:\n");
    let token = match started.first {
        Some(first) => first.token.expose(),
        None => {
            let file = credentials::path(started.data_dir);
            out += "    (GANTRY_TOKEN is a token of yours; the first start's is in ";
            out += &format!("{})\n", file.display());
            "$GANTRY_TOKEN"
        }
    };
    let host = started.host;
    // A shell replaces variables in double quotes only.
    out +=
        &format!("    curl {host}/v1/chat/completions -H \"Authorization: Bearer {token}\" \\\n");
    out += "      -H 'Content-Type: application/json' \\\n";
    let messages = r#"[{"role": "user", "content": "Hello"}]"#;
    out + &format!("      -d '{{\"model\": \"{model}\", \"messages\": {messages}}}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::discovery::Line;
    use gantry_kinds::manifest::parse;
    use gantry_model::secret::Secret;

    const EMBEDS: &str = "{type: provider-account/openai, name: embeds, integrations: [\
        {type: integration/model/openai, name: small, model_types: [embedding]}]}";
    const KEYLESS: &str = "{type: provider-account/openai, name: keyless, \
        auth_data: {type: api-key, api_key: 'env://GONE'}, integrations: [\
        {type: integration/model/openai, name: gpt, model_types: [chat]}]}";
    const APPLIED: &str = "{type: provider-account/openai, name: applied, \
        auth_data: {type: api-key, api_key: 'env://SET'}, integrations: [\
        {type: integration/model/openai, name: any},\
        {type: integration/model/openai, name: gpt, model_types: [chat]}]}";
    const LOCAL: &str = "{type: provider-account/ollama, name: zz-local, integrations: [\
        {type: integration/model/ollama, name: tiny, model_types: [chat]}]}";

    fn greeting(manifests: &[&str], found: &[&str]) -> String {
        let manifest = |text: &&str| parse("x", text).unwrap().remove(0).check().unwrap();
        let mut snapshot = SnapshotSource {
            manifests: manifests.iter().map(manifest).collect(),
            ..SnapshotSource::default()
        };
        snapshot.secrets.insert("env://SET".to_owned(), Secret::new("sk"));
        let line = |name: &&str| Line { account: (*name).to_owned(), by: "SEARCH".to_owned() };
        let hints = vec!["K is set; X also needs L".to_owned()];
        let search = Search { lines: found.iter().map(line).collect(), hints };
        text(&Started {
            host: "http://127.0.0.1:7100",
            data_dir: Path::new("/data"),
            first: None,
            search: &search,
            snapshot: &snapshot,
        })
    }

    #[test]
    fn a_start_that_finds_nothing_new_still_shows_what_is_there_and_a_line_that_works() {
        let cases: [(&[&str], &[&str], &str); 4] = [
            (&[APPLIED], &[], "\"model\": \"applied/gpt\""),
            (&[EMBEDS, KEYLESS, APPLIED], &["embeds"], "\"model\": \"applied/gpt\""),
            (&[APPLIED, LOCAL], &["zz-local"], "\"model\": \"zz-local/tiny\""),
            (&[EMBEDS, KEYLESS], &["embeds", "keyless"], "None of them has a chat model"),
        ];
        for (manifests, found, expected) in cases {
            let text = greeting(manifests, found);
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("No provider found"), "{text}");
            assert_eq!(text.contains("curl"), expected.contains("model\""), "{text}");
        }
    }

    #[test]
    fn accounts_say_where_they_come_from_and_what_they_lack() {
        let text = greeting(&[APPLIED, KEYLESS, LOCAL], &["zz-local"]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(" by ")).collect();
        assert!(lines[0].contains("by SEARCH") && lines[0].contains("zz-local/tiny"), "{text}");
        assert!(lines[1].contains("by manifest") && lines[1].contains("applied/any"), "{text}");
        assert!(lines[2].contains("(env://GONE has no value)"), "{text}");
        assert_eq!(lines.len(), 3);
        assert!(text.contains("K is set; X also needs L"), "{text}");
    }

    #[test]
    fn without_any_account_it_says_how_to_add_one() {
        let text = greeting(&[], &[]);
        assert!(text.contains("No provider found") && text.contains("gantry apply -f"), "{text}");
    }
}
