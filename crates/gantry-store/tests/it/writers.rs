//! Several writers at once on both engines: none of them undoes or repeats what another did.

use crate::bed::Bed;
use crate::{TENANT, put};
use gantry_store::{AuditEntry, Error, Store};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

on_both_engines!(
    writers_follow_each_other_and_no_generation_repeats,
    a_writer_that_was_dropped_is_not_in_the_way,
    a_tenant_is_created_once,
);

const WRITERS: usize = 8;
const ROUNDS: usize = 5;

/// Adds one to the number that a resource holds; returns the generation.
async fn count(store: &Store) -> Result<u64, Error> {
    let mut tx = store.write(TENANT).await?;
    let kept = tx.resource("provider-account", "counter").await?;
    let number: u64 = kept.map_or(0, |kept| kept.spec.parse().unwrap());
    tx.put_resource(put("counter", &(number + 1).to_string())).await?;
    tx.audit(&AuditEntry::default()).await?;
    Ok(tx.commit().await?.0)
}

async fn writers_follow_each_other_and_no_generation_repeats(bed: Bed) {
    let first = bed.open().await;
    let second = bed.second(&first).await;
    let mut writers = JoinSet::new();
    for index in 0..WRITERS {
        let store = if index % 2 == 0 { first.clone() } else { second.clone() };
        writers.spawn(async move {
            let mut generations = Vec::new();
            for _ in 0..ROUNDS {
                generations.push(count(&store).await.unwrap());
            }
            generations
        });
    }
    let mut generations = BTreeSet::new();
    for own in writers.join_all().await {
        assert!(own.is_sorted());
        generations.extend(own);
    }
    let all = u64::try_from(WRITERS * ROUNDS).unwrap();
    assert_eq!(generations, (1..=all).collect(), "each once, without a gap");
    let mut tx = second.read(TENANT).await.unwrap();
    let counter = tx.resource("provider-account", "counter").await.unwrap().unwrap();
    assert_eq!((counter.spec, counter.generation.0), (all.to_string(), all), "no write was lost");
    assert_eq!(tx.audit_log(1000).await.unwrap().len(), WRITERS * ROUNDS);
}

async fn a_writer_that_was_dropped_is_not_in_the_way(bed: Bed) {
    let first = bed.open().await;
    let second = bed.second(&first).await;
    for _ in 0..8 {
        let mut tx = first.write(TENANT).await.unwrap();
        tx.put_resource(put("counter", "1000")).await.unwrap();
        drop(tx);
    }
    assert_eq!(count(&second).await.unwrap(), 1);
    assert_eq!(count(&first).await.unwrap(), 2);
}

async fn a_tenant_is_created_once(bed: Bed) {
    let first = bed.open().await;
    let second = bed.second(&first).await;
    let (one, other) = tokio::join!(first.create_tenant("new"), second.create_tenant("new"));
    assert!(one.unwrap() != other.unwrap(), "it is news to one of the two");
    first.write("new").await.unwrap().commit().await.unwrap();
    second.write("new").await.unwrap().commit().await.unwrap();
}
