//! Lists by pages on both engines: what a filter lets through, in which order, over many pages.

use crate::bed::Bed;
use crate::{NOW_MS, TENANT, put, token};
use gantry_store::{
    AuditEntry, AuditFilter, Error, PAGE_MAX, Page, Paging, Purpose, Put, ResourceFilter,
    ResourceOrder, Store, Token, TokenFilter, Tx, UserFilter,
};
use std::collections::BTreeMap;
use std::time::Duration;

on_both_engines!(
    resources_are_narrowed_by_every_condition,
    resources_come_in_both_orders_and_directions,
    pages_neither_repeat_nor_miss_what_stays,
    tokens_are_narrowed_and_paged,
    users_are_narrowed_and_paged,
    deeds_are_narrowed_and_paged,
    a_cursor_of_another_list_is_refused,
    a_page_is_bounded_whatever_is_asked_for,
);

/// All pages of a list, each of at most `limit` items.
macro_rules! all_pages {
    ($limit:expr, $descending:expr, |$paging:ident| $page:expr) => {{
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let asked = Paging { limit: $limit, after, descending: $descending };
            let $paging = &asked;
            let page: Page<_> = $page.await.unwrap();
            assert!(page.items.len() <= $limit as usize);
            assert!(page.next.is_none() || page.items.len() == $limit as usize);
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                break items;
            }
        }
    }};
}

/// Family, name, kind, workspace, labels; each stored a millisecond after the one before.
type Stored = (&'static str, &'static str, &'static str, Option<&'static str>, &'static str);

const RESOURCES: [Stored; 6] = [
    ("model", "chat-b", "model/a", Some("dev"), "team=ml tier=gold"),
    ("account", "chat", "account/a", None, "team=ml"),
    ("model", "chat-a", "model/b", Some("prod"), "team=web"),
    ("model", "chat%", "model/a", Some("dev"), "a\"b=c'd"),
    ("account", "chas", "account/b", Some("dev"), ""),
    ("model", "other", "model/a", None, "tier=gold"),
];

async fn with_resources(bed: &Bed) -> Store {
    let store = bed.open().await;
    for (family, name, kind, workspace, labels) in RESOURCES {
        let mut tx = store.write(TENANT).await.unwrap();
        let label = |text: &str| {
            let (key, value) = text.split_once('=').unwrap();
            (key.to_owned(), value.to_owned())
        };
        let labels: BTreeMap<_, _> = labels.split_whitespace().map(label).collect();
        let put = Put { family, kind, workspace, labels: &labels, ..put(name, "{}") };
        tx.put_resource(put).await.unwrap();
        tx.commit().await.unwrap();
        bed.clock.advance(Duration::from_millis(1));
    }
    store
}

async fn names(
    tx: &mut Tx,
    filter: ResourceFilter<'_>,
    order: ResourceOrder,
    descending: bool,
) -> Vec<String> {
    let found = all_pages!(2, descending, |paging| tx.resource_page(filter, order, paging));
    found.into_iter().map(|resource| resource.name).collect()
}

async fn resources_are_narrowed_by_every_condition(bed: Bed) {
    let store = with_resources(&bed).await;
    let all = ResourceFilter::default();
    let (ml, gold) = (("team", "ml"), ("tier", "gold"));
    let cases: [(ResourceFilter<'_>, &[&str]); 12] = [
        (all, &["chas", "chat", "chat%", "chat-a", "chat-b", "other"]),
        (ResourceFilter { family: Some("account"), ..all }, &["chas", "chat"]),
        (ResourceFilter { kind: Some("model/a"), ..all }, &["chat%", "chat-b", "other"]),
        (ResourceFilter { workspace: Some("dev"), ..all }, &["chas", "chat%", "chat-b"]),
        (
            ResourceFilter { name_prefix: Some("chat"), ..all },
            &["chat", "chat%", "chat-a", "chat-b"],
        ),
        (ResourceFilter { name_prefix: Some("chat%"), ..all }, &["chat%"]),
        (
            ResourceFilter { name_prefix: Some(""), family: Some("account"), ..all },
            &["chas", "chat"],
        ),
        (ResourceFilter { labels: &[ml], ..all }, &["chat", "chat-b"]),
        (ResourceFilter { labels: &[ml, gold], ..all }, &["chat-b"]),
        (ResourceFilter { labels: &[("a\"b", "c'd")], ..all }, &["chat%"]),
        (ResourceFilter { labels: &[("team", "none")], ..all }, &[]),
        (
            ResourceFilter {
                family: Some("model"),
                workspace: Some("dev"),
                name_prefix: Some("chat"),
                labels: &[gold],
                ..all
            },
            &["chat-b"],
        ),
    ];
    let mut tx = store.read(TENANT).await.unwrap();
    for (filter, expected) in cases {
        let found = names(&mut tx, filter, ResourceOrder::Name, false).await;
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn resources_come_in_both_orders_and_directions(bed: Bed) {
    let store = with_resources(&bed).await;
    let by_name = ["chas", "chat", "chat%", "chat-a", "chat-b", "other"];
    let by_update = RESOURCES.map(|(_, name, ..)| name);
    let mut tx = store.read(TENANT).await.unwrap();
    for (order, mut expected) in
        [(ResourceOrder::Name, by_name), (ResourceOrder::Updated, by_update)]
    {
        for descending in [false, true] {
            let found = names(&mut tx, ResourceFilter::default(), order, descending).await;
            assert_eq!(found, expected, "{order:?} {descending}");
            expected.reverse();
        }
    }
}

async fn pages_neither_repeat_nor_miss_what_stays(bed: Bed) {
    let store = with_resources(&bed).await;
    let (all, order) = (ResourceFilter::default(), ResourceOrder::Name);
    let paging = Paging { limit: 3, ..Paging::default() };
    let first = store.read(TENANT).await.unwrap().resource_page(all, order, &paging).await.unwrap();
    let seen = |page: &Page<gantry_store::Resource>| -> Vec<String> {
        page.items.iter().map(|resource| resource.name.clone()).collect()
    };
    assert_eq!(seen(&first), ["chas", "chat", "chat%"]);
    // One that was shown and the last one shown go; one comes before, one after.
    let mut tx = store.write(TENANT).await.unwrap();
    for (family, name) in [("account", "chas"), ("model", "chat%")] {
        assert!(tx.delete_resource(family, name).await.unwrap());
    }
    for (family, name) in [("account", "a"), ("model", "chat-aa")] {
        tx.put_resource(Put { family, ..put(name, "{}") }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let paging = Paging { after: first.next, ..paging };
    let second =
        store.read(TENANT).await.unwrap().resource_page(all, order, &paging).await.unwrap();
    assert_eq!(seen(&second), ["chat-a", "chat-aa", "chat-b"]);
}

async fn tokens_are_narrowed_and_paged(bed: Bed) {
    let store = bed.open().await;
    let mut expected = Vec::new();
    for index in 0..7 {
        let mut tx = store.write(TENANT).await.unwrap();
        let (id, gateway) = (format!("t{}", 9 - index), index % 3 == 0);
        let purpose = if gateway { Purpose::Gateway } else { Purpose::Personal };
        let subject = if gateway { "gateway:edge" } else { "user:a" }.to_owned();
        tx.add_token(&Token { purpose, subject, ..token(&id, &id) }).await.unwrap();
        tx.commit().await.unwrap();
        bed.clock.advance(Duration::from_millis(1));
        expected.push(id);
    }
    let mut tx = store.write(TENANT).await.unwrap();
    tx.set_token_expiry("t8", Some(NOW_MS)).await.unwrap();
    tx.revoke_token("t7").await.unwrap();
    tx.commit().await.unwrap();
    expected.retain(|id| id != "t7");
    let all = TokenFilter::default();
    let cases: [(TokenFilter<'_>, &[&str]); 5] = [
        (all, &["t9", "t8", "t6", "t5", "t4", "t3"]),
        (TokenFilter { purpose: Some(Purpose::Gateway), ..all }, &["t9", "t6", "t3"]),
        (TokenFilter { subject: Some("user:a"), ..all }, &["t8", "t5", "t4"]),
        (TokenFilter { subject: Some("user:a"), live: true, ..all }, &["t5", "t4"]),
        (TokenFilter { name: Some("t4"), ..all }, &["t4"]),
    ];
    let mut tx = store.read(TENANT).await.unwrap();
    for (filter, expected) in cases {
        let found = all_pages!(2, false, |paging| tx.token_page(filter, paging));
        let found: Vec<_> = found.iter().map(|token| token.id.as_str()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    expected.reverse();
    let found = all_pages!(4, true, |paging| tx.token_page(all, paging));
    assert_eq!(found.iter().map(|token| token.id.clone()).collect::<Vec<_>>(), expected);
}

async fn users_are_narrowed_and_paged(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    for (email, admin) in [("b@x", false), ("a@x", true), ("ab@x", false), ("abc@x", true)] {
        tx.put_user(email, admin, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let all = UserFilter::default();
    let cases: [(UserFilter<'_>, bool, &[&str]); 4] = [
        (all, false, &["a@x", "ab@x", "abc@x", "b@x"]),
        (all, true, &["b@x", "abc@x", "ab@x", "a@x"]),
        (UserFilter { email_prefix: Some("ab"), ..all }, false, &["ab@x", "abc@x"]),
        (UserFilter { admin: Some(true), ..all }, false, &["a@x", "abc@x"]),
    ];
    let mut tx = store.read(TENANT).await.unwrap();
    for (filter, descending, expected) in cases {
        let found = all_pages!(1, descending, |paging| tx.user_page(filter, paging));
        let found: Vec<_> = found.iter().map(|user| user.email.as_str()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn deeds_are_narrowed_and_paged(bed: Bed) {
    let store = bed.open().await;
    let deed = |actor: &str, action: &str, name: &str| AuditEntry {
        actor: actor.to_owned(),
        action: action.to_owned(),
        kind: "model".to_owned(),
        name: name.to_owned(),
        ..AuditEntry::default()
    };
    for index in 0..12 {
        let mut tx = store.write(TENANT).await.unwrap();
        let actor = if index % 2 == 0 { "user:a" } else { "user:b" };
        let action = if index < 6 { "create" } else { "delete" };
        tx.audit(&deed(actor, action, &index.to_string())).await.unwrap();
        tx.commit().await.unwrap();
        bed.clock.advance(Duration::from_millis(1));
    }
    let all = AuditFilter::default();
    let (since_ms, until_ms) = (Some(NOW_MS + 3), Some(NOW_MS + 5));
    let cases: [(AuditFilter<'_>, bool, &[&str]); 6] = [
        (all, false, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]),
        (AuditFilter { actor: Some("user:b"), ..all }, true, &["11", "9", "7", "5", "3", "1"]),
        (
            AuditFilter { actor: Some("user:a"), action: Some("delete"), ..all },
            false,
            &["6", "8", "10"],
        ),
        (AuditFilter { name: Some("7"), kind: Some("model"), ..all }, false, &["7"]),
        (AuditFilter { kind: Some("other"), ..all }, false, &[]),
        (AuditFilter { since_ms, until_ms, ..all }, false, &["3", "4"]),
    ];
    let mut tx = store.read(TENANT).await.unwrap();
    for (filter, descending, expected) in cases {
        let found = all_pages!(2, descending, |paging| tx.audit_page(filter, paging));
        let found: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn a_cursor_of_another_list_is_refused(bed: Bed) {
    let store = with_resources(&bed).await;
    let mut tx = store.read(TENANT).await.unwrap();
    let (all, order) = (ResourceFilter::default(), ResourceOrder::Name);
    let paging = Paging { limit: 1, ..Paging::default() };
    let after = tx.resource_page(all, order, &paging).await.unwrap().next;
    assert!(after.is_some());
    let paging = Paging { after, ..paging };
    let users = tx.user_page(UserFilter::default(), &paging).await;
    assert!(matches!(users, Err(Error::BadCursor)));
    let updated = tx.resource_page(all, ResourceOrder::Updated, &paging).await;
    assert!(matches!(updated, Err(Error::BadCursor)));
    let reversed = Paging { descending: true, ..paging.clone() };
    let reversed = tx.resource_page(all, order, &reversed).await;
    assert!(matches!(reversed, Err(Error::BadCursor)));
    assert!(tx.resource_page(all, order, &paging).await.is_ok(), "a refusal spoils nothing");
}

async fn a_page_is_bounded_whatever_is_asked_for(bed: Bed) {
    let store = bed.open().await;
    let mut tx = store.write(TENANT).await.unwrap();
    for index in 0..=PAGE_MAX {
        tx.put_user(&format!("{index:05}"), false, &[]).await.unwrap();
    }
    for (limit, expected) in [(u32::MAX, PAGE_MAX), (0, 1)] {
        let paging = Paging { limit, ..Paging::default() };
        let page = tx.user_page(UserFilter::default(), &paging).await.unwrap();
        assert_eq!(page.items.len(), expected as usize);
        assert!(page.next.is_some());
    }
}
