//! The store as the control plane uses it, on real databases. What both engines owe stands once
//! and runs on each; tests on PostgreSQL are left out unless asked for with `--ignored`, and then
//! need `GANTRY_TEST_POSTGRES`, the folder of its programs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it fails"
)]

/// Makes a test on each engine of functions that take a [`bed::Bed`].
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::bed::Bed::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            #[ignore = "runs on PostgreSQL"]
            async fn $name() {
                super::$name(crate::bed::Bed::postgres().await).await;
            })*
        }
    };
}

mod bed;
mod conformance;
mod faults;
mod files;
mod lists;
mod server;
mod shared;
mod tokens;
mod writers;

use gantry_runtime::clock::Clock;
use gantry_store::{Purpose, Put, Store, StoreConfig, Token, sha256_hex};
use std::path::Path;

const TENANT: &str = "acme";
const NOW_MS: u64 = 1_790_000_000_000;

/// A store on SQLite.
fn config(dir: &Path) -> StoreConfig {
    let clock = Clock::manual(NOW_MS);
    StoreConfig { data_dir: dir.to_owned(), url: None, clock, master_key: None }
}

async fn open(dir: &Path) -> Store {
    let store = Store::open(config(dir)).await.unwrap();
    store.create_tenant(TENANT).await.unwrap();
    store
}

fn put<'a>(name: &'a str, spec: &'a str) -> Put<'a> {
    Put {
        family: "provider-account",
        name,
        kind: "provider-account/openai",
        spec,
        actor: "user:a@acme.example",
        ..Put::default()
    }
}

fn token(id: &str, clear: &str) -> Token {
    Token {
        id: id.to_owned(),
        sha256: sha256_hex(clear.as_bytes()),
        purpose: Purpose::Personal,
        name: id.to_owned(),
        subject: "user:a@acme.example".to_owned(),
        format: "opaque".to_owned(),
        created_at_ms: NOW_MS,
        expires_at_ms: None,
        revoked_at_ms: None,
    }
}
