//! Virtual models as routes.

use crate::kinds::common::{self, HeadersOverride};
use crate::kinds::virtual_model::{self, RoutingConfig, VirtualModel};
use gantry_model::snapshot::{
    AccessEntry, HeaderEntry, HeaderText, Param, RetryConfig, RouteEntry, SessionIdentifier,
    SessionSource, SlaCutoff, StickyRouting, Strategy, TargetEntry, is_own_header,
};
use serde_json::value::to_raw_value;

/// A route without its access, of a manifest whose secrets are references.
pub(super) fn compile(group: &str, model: &VirtualModel) -> RouteEntry {
    let config = &model.routing_config;
    RouteEntry {
        name: format!("{group}/{}", model.name),
        names: model.slug.iter().chain(&model.alias).cloned().collect(),
        access: AccessEntry::default(),
        types: model.model_types.clone(),
        unavailable: None,
        strategy: strategy(config),
        strict: config.strict(),
        targets: config.targets().iter().map(target).collect(),
    }
}

pub(super) fn retry(retry: &common::RetryConfig) -> RetryConfig {
    RetryConfig {
        attempts: retry.attempts,
        delay: retry.delay,
        on_status_codes: retry.on_status_codes.clone(),
    }
}

fn strategy(config: &RoutingConfig) -> Strategy {
    match config {
        RoutingConfig::Weight { sticky_routing, .. } => {
            Strategy::Weight { sticky: sticky_routing.as_ref().map(sticky) }
        }
        RoutingConfig::Latency { .. } => Strategy::Latency,
        RoutingConfig::Priority { .. } => Strategy::Priority,
    }
}

fn sticky(sticky: &virtual_model::StickyRouting) -> StickyRouting {
    let identifiers = sticky.session_identifiers.iter();
    StickyRouting {
        ttl_seconds: sticky.ttl_seconds,
        session_identifiers: identifiers
            .map(|one| SessionIdentifier {
                source: match one.source {
                    virtual_model::SessionSource::Headers => SessionSource::Headers,
                    virtual_model::SessionSource::Metadata => SessionSource::Metadata,
                },
                key: one.key.clone(),
            })
            .collect(),
    }
}

fn target(target: &virtual_model::Target) -> TargetEntry {
    let params = target.override_params.iter().filter_map(|(name, value)| {
        // What was read as JSON always prints.
        Some(Param { name: name.clone(), value: to_raw_value(value).ok()? })
    });
    TargetEntry {
        target: target.target.clone(),
        weight: target.weight,
        priority: target.priority,
        sla: target.sla_cutoff.as_ref().map(|sla| SlaCutoff {
            time_per_output_token_ms: sla.time_per_output_token_ms,
            time_to_first_token_ms: sla.time_to_first_token_ms,
        }),
        retry: target.retry_config.as_ref().map(retry),
        fallback_codes: target.fallback_status_codes.clone(),
        fallback_candidate: target.fallback_candidate,
        override_params: params.collect(),
        set_headers: target.headers_override.as_ref().map(set_headers).unwrap_or_default(),
        remove_headers: target
            .headers_override
            .as_ref()
            .map(|edit| edit.remove.clone())
            .unwrap_or_default(),
        metadata_match: target.metadata_match.clone(),
    }
}

fn set_headers(edit: &HeadersOverride) -> Vec<HeaderEntry> {
    let set = edit.set.iter().filter(|(name, _)| !is_own_header(name.as_bytes()));
    set.map(|(name, value)| HeaderEntry {
        name: name.clone(),
        value: HeaderText::Plain { secret: value.expose().to_owned() },
    })
    .collect()
}
