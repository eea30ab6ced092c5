//! Measures what publishing costs a tenant with many virtual accounts and tokens.
//!
//! `cargo run --release -p gantry-control --example publish_cost -- <accounts> <models> [apply]`
//!
//! Each account has one token and a permission on one provider account with all the models, and is
//! a collaborator of it. It prints the time of a start and of one new token, with `apply` that of
//! one new account with all its checks, too, and the size of what a gateway is sent then.

use gantry_control::{Control, ControlConfig};
use gantry_model::rest::Source;
use gantry_model::snapshot::{Caller, Digests};
use gantry_runtime::clock::Clock;
use gantry_store::{Purpose, Put, Store, StoreConfig, Token, Tx, sha256_hex};
use std::path::Path;

/// Starts, of which the quickest counts.
const STARTS: usize = 5;

type Failure = Box<dyn std::error::Error>;

const OPENAI: &str = "provider-account/openai";
const BOT: &str = "virtual-account";
const PERMISSION: &str = r#"{"resource_type": "provider-account", "resource_fqn": "main",
    "role_id": "provider-account-access"}"#;

fn bot(number: usize) -> String {
    format!(r#"{{"type": "{BOT}", "name": "bot-{number}", "permissions": [{PERMISSION}]}}"#)
}

fn account(accounts: usize, models: usize) -> String {
    let models: Vec<String> = (0..models)
        .map(|n| format!(r#"{{"type": "integration/model/openai", "name": "m{n}"}}"#))
        .collect();
    let people: Vec<String> = (0..accounts)
        .map(|n| {
            format!(
                r#"{{"subject": "virtualaccount:bot-{n}", "role_id": "provider-account-access"}}"#
            )
        })
        .collect();
    format!(
        r#"{{"type": "{OPENAI}", "name": "main", "integrations": [{}], "collaborators": [{}]}}"#,
        models.join(", "),
        people.join(", ")
    )
}

async fn put(tx: &mut Tx, kind: &str, name: &str, manifest: &str) -> Result<(), Failure> {
    let family = kind.split('/').next().unwrap_or_default();
    let spec = format!(r#"{{"{family}": {manifest}}}"#);
    let actor = "user:example";
    let spec = spec.as_str();
    let put = Put { family, name, kind, spec, authored: manifest, actor, ..Put::default() };
    tx.put_resource(put).await?;
    Ok(())
}

/// Writes past validation, which is not what is measured here.
async fn fill(dir: &Path, tenant: &str, accounts: usize, models: usize) -> Result<(), Failure> {
    let clock = Clock::system();
    let data_dir = dir.to_owned();
    let config = StoreConfig { data_dir, clock, master_key: None, url: None };
    let store = Store::open(config).await?;
    let mut tx = store.write(tenant).await?;
    put(&mut tx, OPENAI, "main", &account(accounts, models)).await?;
    for number in 0..accounts {
        let name = format!("bot-{number}");
        put(&mut tx, BOT, &name, &bot(number)).await?;
        tx.add_token(&Token {
            id: name.clone(),
            sha256: sha256_hex(name.as_bytes()),
            purpose: Purpose::VirtualAccount,
            subject: format!("virtualaccount:{name}"),
            name,
            format: "opaque".to_owned(),
            created_at_ms: 0,
            expires_at_ms: None,
            revoked_at_ms: None,
        })
        .await?;
    }
    tx.commit().await?;
    store.close().await;
    Ok(())
}

/// Prints what a step took and what it ships to a gateway that has `before`.
fn told(step: &str, took_us: u64, control: &Control, before: &Digests) -> Result<Digests, Failure> {
    let snapshot = control.snapshot();
    let bytes = serde_json::to_vec(&snapshot.news(before))?.len();
    let changed: Vec<&str> = snapshot
        .digests()
        .iter()
        .filter(|(name, digest)| before.get(*name) != Some(*digest))
        .filter_map(|(name, _)| snapshot.sections.get_key_value(name))
        .map(|(name, _)| name.as_str())
        .collect();
    let sections = changed.join(", ");
    println!("{step}: {} ms, ships {} kB: {sections}", took_us / 1_000, bytes / 1_000);
    Ok(snapshot.digests())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let accounts = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let models = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let (dir, clock) = (tempfile::tempdir()?, Clock::system());
    let open = || Control::open(ControlConfig::new(dir.path()));
    let (control, _) = open().await?;
    let tenant = control.tenant().to_owned();
    control.close().await;
    drop(control);
    fill(dir.path(), &tenant, accounts, models).await?;

    let mut took = u64::MAX;
    for _ in 0..STARTS {
        let began = clock.monotonic_us();
        let (control, _) = open().await?;
        took = took.min(clock.monotonic_us() - began);
        control.close().await;
    }
    let (control, _) = open().await?;
    let has = told("start", took, &control, &Digests::new())?;
    let admin = Caller { subject: "user:admin@localhost".to_owned(), ..Control::local_caller() };
    let began = clock.monotonic_us();
    control.regenerate_token(&admin, "bot-0", 0).await?;
    let has = told("new token", clock.monotonic_us() - began, &control, &has)?;
    if arguments.next().is_none_or(|word| word != "apply") {
        return Ok(());
    }
    let file = Source { file: "bot.yaml".to_owned(), text: bot(accounts) };
    let began = clock.monotonic_us();
    control.apply(&admin, vec![file], false).await?;
    told("new account, checks included", clock.monotonic_us() - began, &control, &has)?;
    control.close().await;
    Ok(())
}
