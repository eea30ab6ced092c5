//! Plans are pure: the same input gives the same order, and says why.

use super::*;
use crate::route::health::Registry;
use crate::snapshot::{Snapshot, compile};
use gantry_llm::operation::Apis;
use gantry_testkit::snapshot::{openai, source, virtual_model};
use serde_json::{Value, json};

/// All of a plan.
struct Whole {
    hops: Vec<Hop>,
    steps: Vec<RouteStep>,
}

fn plan(entry: &Entry, input: &Input<'_>) -> Result<Whole, Error> {
    let (mut plan, failed) = Plan::of(entry, input);
    let hops = std::iter::from_fn(|| plan.take()).collect();
    failed.map_or(Ok(Whole { hops, steps: plan.take_steps() }), Err)
}

fn snapshot(routing: Value) -> (Snapshot, Registry) {
    let entries = [
        openai("acc", "http://127.0.0.1:1", &["a", "b", "c"]).unwrap(),
        virtual_model(
            "v",
            "inner",
            json!({
                "type": "priority-based-routing",
                "load_balance_targets": [
                    {"target": "acc/c", "priority": 1, "override_params": {"temperature": 0}},
                    {"target": "acc/b", "priority": 0},
                ],
            }),
        )
        .unwrap(),
        virtual_model("v", "m", routing).unwrap(),
    ];
    let registry = Registry::default();
    let compiled = compile(&source(&entries).unwrap(), (&registry, &Apis::standard()), None);
    (compiled, registry)
}

fn person(subject: &str) -> Caller {
    let (teams, tags) = (Vec::new(), BTreeMap::new());
    Caller { subject: subject.to_owned(), teams, admin: false, tags, grants: Default::default() }
}

struct Case {
    metadata: BTreeMap<String, String>,
    headers: Fields,
    now_ms: u64,
    seed: u64,
}

impl Case {
    fn new() -> Self {
        Self { metadata: BTreeMap::new(), headers: Fields::default(), now_ms: 0, seed: 1 }
    }

    fn plan(&self, snapshot: &Snapshot) -> Result<Whole, Error> {
        self.plan_for(snapshot, "user:a")
    }

    fn plan_for(&self, snapshot: &Snapshot, subject: &str) -> Result<Whole, Error> {
        let input = Input {
            caller: &person(subject),
            metadata: &self.metadata,
            headers: &self.headers,
            now_ms: self.now_ms,
            now_us: self.now_ms * 1000,
            seed: self.seed,
        };
        plan(&snapshot.models["v/m"], &input)
    }

    fn order(&self, snapshot: &Snapshot) -> Vec<String> {
        self.plan(snapshot).unwrap().hops.iter().map(|hop| hop.model.id.clone()).collect()
    }
}

fn weighted(a: u32, b: u32, extra: Value) -> Value {
    let mut routing = json!({
        "type": "weight-based-routing",
        "load_balance_targets": [
            {"target": "acc/a", "weight": a}, {"target": "acc/b", "weight": b},
        ],
    });
    routing.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    routing
}

#[test]
fn weights_are_shares_over_many_seeds() {
    let (snapshot, _registry) = snapshot(weighted(70, 30, json!({})));
    let first = |seed| Case { seed, ..Case::new() }.order(&snapshot)[0].clone();
    let hits = (0..10_000).filter(|&seed| first(seed) == "acc/a").count();
    assert!((6_800..7_200).contains(&hits), "{hits}");
}

#[test]
fn a_model_listed_twice_is_two_choices() {
    let listed = |name: &str| {
        let twice = |weight| json!({"target": "acc/a", "weight": weight});
        json!({"type": name, "load_balance_targets": [twice(70), twice(30)]})
    };
    let hot = json!({"temperature": 1});
    let cases = [("weight-based-routing", 6_800..7_200), ("latency-based-routing", 4_800..5_200)];
    for (name, expected) in cases {
        let mut routing = listed(name);
        routing["load_balance_targets"][0]["override_params"] = hot.clone();
        let (snapshot, _registry) = snapshot(routing);
        let hits = (0..10_000).filter(|&n| {
            // A seed or a caller of its own, as the strategy asks.
            let case = Case { seed: n, ..Case::new() };
            let first = &case.plan_for(&snapshot, &format!("user:{n}")).unwrap().hops[0];
            !first.policies[0].override_params.is_empty()
        });
        let hits = hits.count();
        assert!(expected.contains(&hits), "{name}: {hits}");
    }
}

#[test]
fn draws_of_two_models_with_the_same_targets_are_independent() {
    let half = |target: &str| json!({"target": target, "weight": 50});
    let split = |targets: [&str; 2]| {
        let targets = targets.map(half);
        json!({"type": "weight-based-routing", "load_balance_targets": targets})
    };
    let entries = [
        openai("acc", "http://127.0.0.1:1", &["a", "b"]).unwrap(),
        virtual_model("v", "inner", split(["acc/a", "acc/b"])).unwrap(),
        virtual_model("v", "m", split(["acc/a", "v/inner"])).unwrap(),
    ];
    let parts = (&Registry::default(), &Apis::standard());
    let snapshot = compile(&source(&entries).unwrap(), parts, None);
    let first = |seed| Case { seed, ..Case::new() }.order(&snapshot)[0].clone();
    let hits = (0..10_000).filter(|&seed| first(seed) == "acc/a").count();
    assert!((7_300..7_700).contains(&hits), "half, and half of the other half: {hits}");
}

#[test]
fn one_more_choice_moves_no_session_between_the_others() {
    let sticky = json!({"sticky_routing": {
        "ttl_seconds": 60,
        "session_identifiers": [{"source": "headers", "key": "x-session"}],
    }});
    let routing = weighted(50, 50, sticky);
    let (before, _registry) = snapshot(routing.clone());
    let mut routing = routing;
    let targets = routing["load_balance_targets"].as_array_mut().unwrap();
    targets.insert(0, json!({"target": "acc/c", "weight": 50}));
    let (after, _registry) = snapshot(routing);
    let first = |snapshot: &Snapshot, session: u32| {
        let mut case = Case::new();
        case.headers = [("x-session", session.to_string().as_str())].into_iter().collect();
        case.order(snapshot)[0].clone()
    };
    for session in 0..1000 {
        let now = first(&after, session);
        assert!(now == "acc/c" || now == first(&before, session), "session {session}: {now}");
    }
}

#[test]
fn a_target_of_weight_zero_only_receives_fallbacks() {
    let (snapshot, _registry) = snapshot(weighted(100, 0, json!({})));
    for seed in 0..100 {
        assert_eq!(Case { seed, ..Case::new() }.order(&snapshot), ["acc/a", "acc/b"]);
    }
}

#[test]
fn a_sticky_session_keeps_its_target_for_its_time() {
    let sticky = json!({"sticky_routing": {
        "ttl_seconds": 60,
        "session_identifiers": [{"source": "headers", "key": "x-session"}],
    }});
    let (snapshot, _registry) = snapshot(weighted(50, 50, sticky));
    let order = |session: u32, seed, now_ms| {
        let mut case = Case { seed, now_ms, ..Case::new() };
        case.headers = [("x-session", session.to_string().as_str())].into_iter().collect();
        case.order(&snapshot)[0].clone()
    };
    let mut hits = 0;
    for session in 0..1000 {
        let target = order(session, 1, 0);
        // Slots begin at a moment of each session's own: within one second most are the same.
        hits += usize::from(target == "acc/a");
        assert_eq!(target, order(session, 2, 0), "the seed does not matter");
    }
    assert!((430..570).contains(&hits), "{hits}");
    let moved = (0..1000).filter(|&s| order(s, 1, 0) != order(s, 1, 1_000)).count();
    assert!(moved < 50, "{moved} of 1000 sessions moved within a second");
    let moved = (0..1000).filter(|&s| order(s, 1, 0) != order(s, 1, 600_000)).count();
    assert!(moved > 300, "{moved} of 1000 sessions moved after their time");
}

#[test]
fn metadata_rules_targets_out_and_says_so() {
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "acc/a", "priority": 0, "metadata_match": {"tier": "gold"}},
            {"target": "acc/b", "priority": 1},
        ],
    });
    let (snapshot, _registry) = snapshot(routing);
    let mut case = Case::new();
    assert_eq!(case.order(&snapshot), ["acc/b"]);
    let steps = case.plan(&snapshot).unwrap().steps;
    assert_eq!(steps[0].reason, "metadata tier is missing");
    assert_eq!(steps[0].detail, "it wants `gold`");
    case.metadata.insert("tier".into(), "gold".into());
    assert_eq!(case.order(&snapshot), ["acc/a", "acc/b"]);
}

#[test]
fn unhealthy_and_slow_targets_move_to_the_end() {
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "acc/a", "priority": 0, "sla_cutoff": {"time_to_first_token_ms": 500}},
            {"target": "acc/b", "priority": 1},
            {"target": "acc/c", "priority": 2},
        ],
    });
    let (snapshot, registry) = snapshot(routing);
    let case = Case::new();
    assert_eq!(case.order(&snapshot), ["acc/a", "acc/b", "acc/c"]);
    for _ in 0..3 {
        registry.of("acc/a").measured(0, Some(900_000), None);
    }
    assert_eq!(case.order(&snapshot), ["acc/b", "acc/c", "acc/a"]);
    registry.of("acc/b").failed(0);
    registry.of("acc/b").failed(0);
    assert_eq!(case.order(&snapshot), ["acc/c", "acc/a", "acc/b"]);
    let later = Case { now_ms: 10 * 60 * 1000, ..Case::new() };
    assert_eq!(later.order(&snapshot), ["acc/a", "acc/b", "acc/c"], "both recover by themselves");
}

#[test]
fn a_target_that_is_no_candidate_never_receives_a_fallback() {
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "acc/a", "priority": 0},
            {"target": "acc/b", "priority": 1, "fallback_candidate": false},
            {"target": "acc/c", "priority": 2},
        ],
    });
    let (snapshot, _registry) = snapshot(routing);
    assert_eq!(Case::new().order(&snapshot), ["acc/a", "acc/c"]);
}

#[test]
fn latency_prefers_the_faster_and_stays_with_a_caller() {
    let routing = json!({
        "type": "latency-based-routing",
        "load_balance_targets": [{"target": "acc/a"}, {"target": "acc/b"}],
    });
    let (snapshot, registry) = snapshot(routing);
    registry.of("acc/a").measured(0, None, Some((1_000_000, 100)));
    registry.of("acc/b").measured(0, None, Some((9_000_000, 100)));
    let first = |slot: u64, seed| {
        let case = Case { now_ms: slot * 600_000, seed, ..Case::new() };
        case.order(&snapshot)[0].clone()
    };
    assert_eq!(first(0, 1), first(0, 2));
    // After 20 minutes the samples are gone, so only the first two slots count; vary the caller.
    let hits = (0..2000)
        .filter(|caller| {
            let subject = format!("user:{caller}");
            let case = Case::new();
            let input = Input {
                caller: &person(&subject),
                metadata: &case.metadata,
                headers: &case.headers,
                now_ms: 0,
                now_us: 0,
                seed: 1,
            };
            plan(&snapshot.models["v/m"], &input).unwrap().hops[0].model.id == "acc/a"
        })
        .count();
    assert!((1700..1900).contains(&hits), "nine tenths go to the one nine times as fast: {hits}");
}

#[test]
fn nested_models_are_expanded_in_place_with_their_overrides() {
    let routing = json!({
        "type": "priority-based-routing", "strict": true,
        "load_balance_targets": [
            {"target": "v/inner", "priority": 0},
            {"target": "acc/a", "priority": 1},
        ],
    });
    let (snapshot, _registry) = snapshot(routing);
    let plan = Case::new().plan(&snapshot).unwrap();
    let order: Vec<&str> = plan.hops.iter().map(|hop| hop.model.id.as_str()).collect();
    assert_eq!(order, ["acc/b", "acc/c", "acc/a"]);
    assert!(plan.hops.iter().all(Hop::strict), "the outer route's rule holds inside");
    assert_eq!(plan.hops[1].policies[0].override_params[0].0, "temperature");
}

#[test]
fn a_nested_model_is_unhealthy_when_all_its_fitting_targets_are() {
    let routing = json!({
        "type": "priority-based-routing",
        "load_balance_targets": [
            {"target": "v/inner", "priority": 0},
            {"target": "acc/a", "priority": 1},
        ],
    });
    let (snapshot, registry) = snapshot(routing);
    let case = Case::new();
    for target in ["acc/b", "acc/c"] {
        assert_eq!(case.order(&snapshot).last().map(String::as_str), Some("acc/a"), "{target}");
        registry.of(target).failed(0);
        registry.of(target).failed(0);
    }
    assert_eq!(case.order(&snapshot), ["acc/a", "acc/b", "acc/c"]);
    let steps = case.plan(&snapshot).unwrap().steps;
    let moved = steps.iter().find(|step| step.target == "v/inner").unwrap();
    assert_eq!(moved.reason, "moved to the end: unhealthy: all its targets are");
}

#[test]
fn a_nested_model_that_receives_a_fallback_gives_none_to_who_takes_none() {
    let entries = |first: &str, second: &str| {
        let outer = json!([
            {"target": first, "priority": 0},
            {"target": second, "priority": 1},
        ]);
        let inner = json!([
            {"target": "acc/b", "priority": 0, "fallback_candidate": false},
            {"target": "acc/c", "priority": 1},
        ]);
        let kind = "priority-based-routing";
        let by = |targets: Value| json!({"type": kind, "load_balance_targets": targets});
        [
            openai("acc", "http://127.0.0.1:1", &["a", "b", "c"]).unwrap(),
            virtual_model("v", "inner", by(inner)).unwrap(),
            virtual_model("v", "m", by(outer)).unwrap(),
        ]
    };
    let cases = [
        (["acc/a", "v/inner"], vec!["acc/a", "acc/c"]),
        (["v/inner", "acc/a"], vec!["acc/b", "acc/c", "acc/a"]),
    ];
    for ([first, second], expected) in cases {
        let source = source(&entries(first, second)).unwrap();
        let snapshot = compile(&source, (&Registry::default(), &Apis::standard()), None);
        assert_eq!(Case::new().order(&snapshot), expected);
        let steps = Case::new().plan(&snapshot).unwrap().steps;
        let chosen = steps.iter().filter(|step| step.verdict == "chosen").count();
        assert_eq!(chosen, if first == "v/inner" { 2 } else { 1 }, "{steps:?}");
    }
}

#[test]
fn a_model_of_many_targets_says_no_more_than_was_needed() {
    let names: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for kind in ["weight-based-routing", "latency-based-routing", "priority-based-routing"] {
        let target = |name: &&str| {
            let mut target = json!({"target": format!("acc/{name}")});
            match kind {
                "weight-based-routing" => target["weight"] = json!(1),
                "priority-based-routing" => target["priority"] = json!(1),
                _ => {}
            }
            target
        };
        let targets: Vec<Value> = names.iter().map(target).collect();
        let routing = json!({"type": kind, "load_balance_targets": targets});
        let entries = [
            openai("acc", "http://127.0.0.1:1", &names).unwrap(),
            virtual_model("v", "m", routing).unwrap(),
        ];
        let parts = (&Registry::default(), &Apis::standard());
        let snapshot = compile(&source(&entries).unwrap(), parts, None);
        let (case, caller) = (Case::new(), person("user:a"));
        let input = Input {
            caller: &caller,
            metadata: &case.metadata,
            headers: &case.headers,
            now_ms: 0,
            now_us: 0,
            seed: 1,
        };
        let (mut plan, failed) = Plan::of(&snapshot.models["v/m"], &input);
        assert!(failed.is_none() && plan.has_more(), "{kind}");
        assert!(plan.take().is_some());
        let verdicts: Vec<_> = plan.take_steps().into_iter().map(|step| step.verdict).collect();
        assert_eq!(verdicts, ["chosen", "fallback"], "{kind}: the first, and one ahead");
        let others = std::iter::from_fn(|| plan.take()).count();
        assert_eq!((others, plan.has_more()), (199, false), "{kind}");
    }
}
