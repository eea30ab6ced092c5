//! What holds for the list of dialects, and which reply headers each lets through.

use super::{ALL, Dialects};
use gantry_kinds::catalogue::providers;

#[test]
fn every_provider_speaks_a_dialect_that_is_listed_once() {
    let dialects = Dialects::standard();
    for provider in providers() {
        let name = provider.dialect.as_str();
        assert_eq!(dialects.by_name(name).map(|dialect| dialect.name()), Some(name));
    }
    for dialect in ALL {
        let named = ALL.iter().filter(|other| other.name() == dialect.name());
        assert_eq!(named.count(), 1, "{dialect:?}");
    }
    assert!(dialects.by_name("klingon").is_none());
}

#[test]
fn reply_headers_pass_only_where_they_concern_the_caller() {
    let everywhere: &[&str] = &["openai", "anthropic", "openai-responses"];
    let cases: &[(&str, &[&str])] = &[
        ("retry-after", everywhere),
        ("retry-after-ms", everywhere),
        ("x-should-retry", everywhere),
        ("x-ratelimit-remaining-tokens", everywhere),
        ("ratelimit-reset", everywhere),
        ("content-disposition", everywhere),
        ("openai-processing-ms", &["openai"]),
        ("openai-version", &["openai"]),
        ("x-ms-region", &["openai"]),
        ("apim-request-id", &["openai"]),
        ("anthropic-ratelimit-requests-reset", &["anthropic"]),
        ("openai-organization", &[]),
        ("openai-project", &[]),
        ("anthropic-organization-id", &[]),
        ("clear-site-data", &[]),
        ("nel", &[]),
        ("report-to", &[]),
        ("reporting-endpoints", &[]),
        ("set-cookie", &[]),
        ("strict-transport-security", &[]),
        ("access-control-allow-origin", &[]),
        ("cf-ray", &[]),
        ("server", &[]),
        ("via", &[]),
        ("x-powered-by", &[]),
        ("content-encoding", &[]),
        ("transfer-encoding", &[]),
        ("x-tfy-resolved-model", &[]),
    ];
    for (header, expected) in cases {
        let passing = ALL.iter().filter(|dialect| dialect.carries_reply_header(header.as_bytes()));
        let names: Vec<&str> = passing.map(|dialect| dialect.name()).collect();
        assert_eq!(names, *expected, "{header}");
    }
}
