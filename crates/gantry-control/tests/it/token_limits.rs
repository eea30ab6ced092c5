//! How many tokens one subject may have, and what becomes of those that have ended.

use crate::{admin, bed, bot, openai};
use gantry_runtime::reconcile::Kit;
use gantry_runtime::tasks::Shutdown;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn one_subject_has_a_bounded_number_of_tokens() {
    let bed = bed().await;
    let mut last = (StatusCode::OK, Value::Null);
    for number in 0..=100 {
        let wanted = json!({ "name": format!("t{number}") });
        last = bed.call("POST", "/personal-access-tokens", wanted).await;
        if last.0 != StatusCode::OK {
            assert_eq!(number, 99, "the first one is the token in use");
            break;
        }
    }
    assert_eq!(last.0, StatusCode::CONFLICT);
    let message = last.1["message"].as_str().unwrap();
    assert!(message.contains("user:admin@localhost has 100 tokens"), "{message}");
}

#[tokio::test]
async fn an_account_s_token_is_made_anew_without_end_unless_the_old_ones_live_on() {
    let bed = bed().await;
    bed.apply(&[openai("main", "sk-1"), bot("ci")]).await;
    for _ in 0..150 {
        bed.control.regenerate_token(&admin(), "ci", 0).await.unwrap();
    }
    let mut made = 0;
    let refused = loop {
        match bed.control.regenerate_token(&admin(), "ci", 3_600_000).await {
            Ok(_) => made += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(made, 99, "with the one that each of them let live on");
    assert!(refused.contains("virtualaccount:ci has 100 tokens"), "{refused}");
    assert!(refused.contains("shorter grace period"), "{refused}");
}

#[tokio::test]
async fn tokens_that_have_long_ended_are_removed() {
    let bed = bed().await;
    for (name, date) in [("ends", "2026-11-22"), ("ends-later", "2027-01-15")] {
        let wanted = json!({ "name": name, "expirationDate": date });
        assert_eq!(bed.call("POST", "/personal-access-tokens", wanted).await.0, 200, "{name}");
    }
    let kit = Kit::new(bed.clock.clone(), Shutdown::default(), 1);
    let names = async || {
        let tokens = bed.control.personal_tokens(&admin()).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect::<BTreeSet<_>>()
    };
    bed.clock.advance(Duration::from_secs(32 * 86_400));
    assert_eq!(names().await.len(), 3, "one that has ended is still shown");
    bed.control.start_upkeep(&kit);
    while names().await.len() == 3 {
        tokio::task::yield_now().await;
    }
    let left = ["first-start", "ends-later"].map(str::to_owned);
    assert_eq!(names().await, BTreeSet::from(left));
}
