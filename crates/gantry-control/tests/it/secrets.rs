//! Sealed values go with what had them, and never sooner.

use crate::{Bed, admin, bed, named, openai};

/// References of all sealed values that belong to manifests.
async fn sealed(bed: Bed) -> (Bed, Vec<String>) {
    let mut all = Vec::new();
    let bed = bed
        .with_store(async |tx| {
            let stored = tx.secret_references().await.unwrap().into_iter();
            all = stored.filter(|(_, owner)| !owner.is_empty()).map(|(r, _)| r).collect();
        })
        .await;
    (bed, all)
}

const MAIN: &str = "tfy-secret://default:provider-account.openai.main:auth_data.api_key";

#[tokio::test]
async fn a_value_is_forgotten_when_the_last_that_names_it_is_changed_or_deleted() {
    type Names = &'static [&'static str];
    // What is applied after `main` with a value of its own and `copy` with a reference to it; an
    // account without a key is deleted.
    let cases: [(&[(&str, &str)], Names); 6] = [
        (&[("main", "env://SET")], &[MAIN]),
        (&[("copy", "env://SET")], &[MAIN]),
        (&[("main", "env://SET"), ("copy", "env://SET")], &[]),
        (&[("main", "")], &[MAIN]),
        (&[("main", ""), ("copy", "")], &[]),
        (&[("copy", ""), ("other", "env://SET")], &[MAIN]),
    ];
    for (changes, expected) in cases {
        let bed = bed().await;
        bed.apply(&[openai("main", "sk-canary"), openai("copy", MAIN)]).await;
        for (name, key) in changes {
            if key.is_empty() {
                let gone = vec![named("provider-account", name)];
                bed.control.delete(&admin(), gone, false).await.unwrap();
            } else {
                bed.apply(&[openai(name, key)]).await;
            }
        }
        let (bed, left) = sealed(bed).await;
        assert_eq!(left, expected, "{changes:?}");
        assert!(bed.control.unresolved().is_empty(), "{changes:?}");
    }
}
