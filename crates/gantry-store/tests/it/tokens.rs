//! Tokens on both engines: their ends, and what is asked of those of one person.

use crate::bed::Bed;
use crate::{NOW_MS, TENANT, token};
use gantry_model::ids::Generation;
use gantry_store::{Purpose, Store, Token, TokenFilter};

on_both_engines!(
    a_revoked_token_is_gone_and_an_expired_one_is_not_live,
    tokens_of_a_subject_are_listed_and_counted_apart,
    ended_tokens_are_removed_without_a_new_generation,
);

const ME: &str = "user:a@acme.example";

fn ids(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.id.as_str()).collect()
}

async fn a_revoked_token_is_gone_and_an_expired_one_is_not_live(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    tx.add_token(&token("a", "tfy_a")).await.unwrap();
    tx.add_token(&token("b", "tfy_b")).await.unwrap();
    tx.set_token_expiry("b", Some(NOW_MS + 10)).await.unwrap();
    tx.revoke_token("a").await.unwrap();
    let left = tx.tokens(TokenFilter::default()).await.unwrap();
    assert_eq!(ids(&left), ["b"]);
    assert!(left[0].live(NOW_MS + 9));
    assert!(!left[0].live(NOW_MS + 10));
    tx.set_token_expiry("b", None).await.unwrap();
    assert_eq!(tx.tokens(TokenFilter::default()).await.unwrap()[0].expires_at_ms, None);
}

/// Ids tell what became of each: `live-…`, `expired`, `revoked`, and those of somebody else.
async fn filled(bed: &Bed) -> Store {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    let other = |id, purpose, subject: &str| Token {
        purpose,
        subject: subject.to_owned(),
        ..token(id, id)
    };
    for id in ["live-ever", "live-long", "expired", "revoked"] {
        tx.add_token(&token(id, id)).await.unwrap();
    }
    tx.add_token(&other("gateway", Purpose::Gateway, "gateway:edge")).await.unwrap();
    tx.add_token(&other("account", Purpose::VirtualAccount, ME)).await.unwrap();
    tx.add_token(&other("neighbour", Purpose::Personal, "user:b@acme.example")).await.unwrap();
    tx.set_token_expiry("live-long", Some(NOW_MS + 100)).await.unwrap();
    tx.set_token_expiry("expired", Some(NOW_MS + 10)).await.unwrap();
    tx.revoke_token("revoked").await.unwrap();
    tx.commit().await.unwrap();
    bed.clock.advance(std::time::Duration::from_millis(10));
    store
}

async fn tokens_of_a_subject_are_listed_and_counted_apart(bed: Bed) {
    let store = filled(&bed).await;
    let mut tx = store.read(TENANT).await.unwrap();
    let of = |purpose| TokenFilter {
        purpose: Some(purpose),
        subject: Some(ME),
        ..TokenFilter::default()
    };
    let mine = tx.tokens(of(Purpose::Personal)).await.unwrap();
    assert_eq!(ids(&mine), ["expired", "live-ever", "live-long"]);
    let live = TokenFilter { live: true, ..of(Purpose::Personal) };
    assert_eq!(ids(&tx.tokens(live).await.unwrap()), ["live-ever", "live-long"]);
    assert_eq!(tx.token("expired").await.unwrap().as_ref(), mine.first());
    assert_eq!(tx.token("revoked").await.unwrap(), None);
    assert_eq!(tx.live_tokens(Purpose::Personal, ME).await.unwrap(), 2);
    assert_eq!(tx.live_tokens(Purpose::VirtualAccount, ME).await.unwrap(), 1);
    assert_eq!(tx.live_tokens(Purpose::Personal, "user:nobody").await.unwrap(), 0);
    assert!(tx.tokens(of(Purpose::Gateway)).await.unwrap().is_empty());
}

async fn ended_tokens_are_removed_without_a_new_generation(bed: Bed) {
    let store = filled(&bed).await;
    // Revoked at the beginning, expired 10 ms later, which is now; the last case asks for more
    // than has ended.
    for (before_ms, removed) in [(NOW_MS, 0), (NOW_MS + 1, 1), (NOW_MS + 10, 0), (NOW_MS + 1000, 0)]
    {
        let mut tx = store.write(TENANT).await.unwrap();
        assert_eq!(tx.delete_ended_tokens(before_ms).await.unwrap(), removed, "{before_ms}");
        assert_eq!(tx.commit().await.unwrap(), Generation(1));
    }
    bed.clock.advance(std::time::Duration::from_millis(1));
    let mut tx = store.write(TENANT).await.unwrap();
    assert_eq!(tx.delete_ended_tokens(NOW_MS + 1000).await.unwrap(), 1, "the expired one");
    let left = ["account", "gateway", "live-ever", "live-long", "neighbour"];
    assert_eq!(ids(&tx.tokens(TokenFilter::default()).await.unwrap()), left);
}
