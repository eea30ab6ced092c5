//! The schema of a way of routing: its targets have its own fields.

use crate::schema::build::{self, REF};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Fields of a target that belong to one way of routing, by the `type` of that way.
const TARGET_FIELDS: [(&str, &[&str]); 3] = [
    ("weight-based-routing", &["weight"]),
    ("latency-based-routing", &[]),
    ("priority-based-routing", &["priority", "sla_cutoff"]),
];

/// Gives each way of routing targets with its own fields.
pub(super) fn narrow_targets(root: &mut Value) {
    let Some(whole) = build::def(root, "Target").cloned() else { return };
    let special: BTreeSet<&str> =
        TARGET_FIELDS.iter().flat_map(|(_, fields)| fields.iter().copied()).collect();
    for (way, fields) in TARGET_FIELDS {
        let mut target = whole.clone();
        let known = build::property_names(&target);
        let keep: Vec<&str> = known
            .iter()
            .map(String::as_str)
            .filter(|name| !special.contains(name) || fields.contains(name))
            .collect();
        build::narrow(&mut target, &[&keep], &format!("a target of {way}"));
        if fields.contains(&"weight") {
            build::require(&mut target, &["weight".to_owned()]);
        }
        let name = format!("Target.{way}");
        let variants =
            build::def(root, "RoutingConfig").and_then(|routing| routing.get_mut("oneOf"));
        for variant in variants.and_then(Value::as_array_mut).into_iter().flatten() {
            if variant.pointer("/properties/type/const") == Some(&way.into())
                && let Some(items) = variant.pointer_mut("/properties/load_balance_targets/items")
            {
                *items = json!({"$ref": format!("{REF}{name}")});
            }
        }
        if let Some(defs) = root.get_mut("$defs").and_then(Value::as_object_mut) {
            defs.insert(name, Value::Object(target));
        }
    }
}
