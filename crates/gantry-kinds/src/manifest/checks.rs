//! Rules about single values that JSON Schema cannot say.

use super::tree::{Node, Step, Tree};
use crate::kinds::common::is_own_header;
use crate::roles;
pub use gantry_model::nearest::nearest;
use gantry_model::subject::{self, Subject};
use std::collections::HashMap;

/// One rule; schemas name it in `x-check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Name,
    ModelName,
    Target,
    Subject,
    /// Of a collaborator.
    Role,
    /// Of a permission: the role is one on its type of resource.
    Permission,
    Url,
    Region,
    Date,
    ApiVersion,
    HeaderName,
    /// Of a header that is sent: none of Gantry's own.
    HeaderToSet,
    StatusCode,
    Secret,
    Certificate,
    User,
    /// Of a list of models: no name stands twice.
    Models,
    /// Of a list of targets: the weights sum to 100.
    Weights,
    OverrideParams,
}

impl Check {
    /// The rule of a schema's `x-check`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "model-name" => Self::ModelName,
            "target" => Self::Target,
            "subject" => Self::Subject,
            "role" => Self::Role,
            "permission" => Self::Permission,
            "url" => Self::Url,
            "region" => Self::Region,
            "date" => Self::Date,
            "api-version" => Self::ApiVersion,
            "header-name" => Self::HeaderName,
            "header-to-set" => Self::HeaderToSet,
            "status-code" => Self::StatusCode,
            "secret" => Self::Secret,
            "certificate" => Self::Certificate,
            "user" => Self::User,
            "models" => Self::Models,
            "weights" => Self::Weights,
            "override-params" => Self::OverrideParams,
            _ => return None,
        })
    }

    /// The same rule as a regular expression, for editors, where one can say it.
    pub(crate) fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("^[a-z0-9][a-z0-9._-]{0,63}$"),
            Self::ModelName => Some("^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$"),
            Self::Target => Some("^[^/]+/.+$"),
            Self::Subject => Some("^[a-z-]+:.+$"),
            Self::Role => Some("^provider-account-(manager|access|viewer)$"),
            Self::Url => Some("^https?://[^/?#]+"),
            Self::Region => Some("^[a-z]{2}(-[a-z]+)+-[0-9]+$"),
            Self::HeaderName | Self::HeaderToSet => Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
            Self::Secret => Some("^[^\\r\\n]+$"),
            Self::User => Some("^[^:]*$"),
            Self::Date
            | Self::ApiVersion
            | Self::StatusCode
            | Self::Certificate
            | Self::Permission
            | Self::Models
            | Self::Weights
            | Self::OverrideParams => None,
        }
    }

    /// What is wrong with the value, and where inside it.
    pub(super) fn run(self, node: &Node) -> Vec<(Vec<Step>, String)> {
        let single = match (self, &node.value) {
            (Self::StatusCode, _) => status_code(node),
            (Self::Models, Tree::List(models)) => return unique_names(models),
            (Self::OverrideParams, Tree::Map(_)) => return override_params(node),
            (Self::Permission, Tree::Map(_)) => return permission(node),
            (Self::Weights, Tree::List(targets)) => weights(targets),
            (_, Tree::Text(text)) => self.run_text(text),
            _ => Ok(()),
        };
        single.err().map(|message| (Vec::new(), message)).into_iter().collect()
    }

    fn run_text(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name => name(text),
            Self::ModelName => model_name(text),
            Self::Target => target(text),
            Self::Subject => subject(text),
            Self::Role => role(roles::PROVIDER_ACCOUNT, text),
            Self::Url => url(text),
            Self::Region => region(text),
            Self::Date => date(text),
            Self::ApiVersion => api_version(text),
            Self::HeaderName => header_name(text),
            Self::HeaderToSet => header_name(text).and_then(|()| header_to_set(text)),
            Self::Secret => secret(text),
            Self::Certificate => certificate(text),
            Self::User => {
                ensure(!text.contains(':'), || "a user name holds no colon (RFC 7617)".to_owned())
            }
            Self::StatusCode
            | Self::Permission
            | Self::Models
            | Self::Weights
            | Self::OverrideParams => Ok(()),
        }
    }
}

fn unique_names(models: &[Node]) -> Vec<(Vec<Step>, String)> {
    let mut seen = HashMap::new();
    let mut found = Vec::new();
    for (index, model) in models.iter().enumerate() {
        let Some(name) = model.get("name").and_then(Node::text) else { continue };
        match seen.get(name) {
            Some(first) => {
                let message = format!("`{name}` is already the name of `integrations[{first}]`");
                found.push((vec![index.into(), "name".into()], message));
            }
            None => {
                seen.insert(name, index);
            }
        }
    }
    found
}

fn override_params(params: &Node) -> Vec<(Vec<Step>, String)> {
    // The target says the model; how the answer comes is the caller's to say.
    ["model", "stream"]
        .into_iter()
        .filter(|field| params.get(field).is_some())
        .map(|field| (vec![field.into()], format!("`{field}` cannot be overridden")))
        .collect()
}

fn weights(targets: &[Node]) -> Result<(), String> {
    let weight = |target: &Node| match target.get("weight").map(|node| &node.value) {
        Some(Tree::Number(number)) => number.as_u64(),
        _ => None,
    };
    // Without one of them the sum says nothing; that it is missing is a problem of its own.
    let Some(weights) = targets.iter().map(weight).collect::<Option<Vec<_>>>() else {
        return Ok(());
    };
    let sum = weights.iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight));
    ensure(sum == 100 || targets.is_empty(), || {
        format!("weights sum to {sum}, they must sum to 100")
    })
}

fn ensure(right: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(message()) }
}

fn name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let right = (1..=64).contains(&text.len())
        && text.starts_with(allowed)
        && text.chars().all(|c| allowed(c) || "-_.".contains(c));
    ensure(right, || {
        format!(
            "`{text}` is not a name: 1 to 64 lower-case letters, digits, `-`, `_` and `.`, \
             beginning with a letter or digit"
        )
    })
}

fn model_name(text: &str) -> Result<(), String> {
    let right = (1..=128).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@/".contains(c));
    ensure(right, || {
        format!(
            "`{text}` is not a model's name: 1 to 128 letters, digits, `-`, `_`, `.`, `:`, `@` \
             and `/`, beginning with a letter or digit"
        )
    })
}

fn target(text: &str) -> Result<(), String> {
    let right = text.split_once('/').is_some_and(|(a, m)| !a.is_empty() && !m.is_empty());
    ensure(right, || format!("`{text}` is not of the form `account/model`"))
}

fn subject(text: &str) -> Result<(), String> {
    if text == "*" {
        return Err(format!("`*` stands for nobody; everybody is in `{}`", subject::EVERYONE));
    }
    let Some((kind, name)) = text.split_once(':') else {
        return Err(format!("`{text}` is not of the form `kind:name`, such as `team:search`"));
    };
    if !Subject::KINDS.contains(&kind) {
        if Subject::KINDS_LATER.contains(&kind) {
            let kinds = one_of(Subject::KINDS.into_iter());
            return Err(format!("`{kind}` is not supported yet as a subject; {kinds}"));
        }
        let hint = match nearest(kind, Subject::KINDS.into_iter()) {
            Some(near) => format!("did you mean `{near}:{name}`?"),
            None => one_of(Subject::KINDS.into_iter()),
        };
        return Err(format!("unknown kind of subject `{kind}`; {hint}"));
    }
    ensure(!name.is_empty(), || format!("`{text}` names nobody"))
}

fn permission(node: &Node) -> Vec<(Vec<Step>, String)> {
    let text = |field: &str| node.get(field).and_then(Node::text);
    let (Some(resource_type), Some(id)) = (text("resource_type"), text("role_id")) else {
        return Vec::new();
    };
    // An unknown type is a problem of its own, and nothing is known of the roles on it.
    if !roles::resource_types().any(|known| known == resource_type) {
        return Vec::new();
    }
    let wrong = role(resource_type, id).err();
    wrong.map(|message| (vec!["role_id".into()], message)).into_iter().collect()
}

/// Ids of roles begin with the type of their resource, so only their ends tell which one was
/// meant.
fn role(resource_type: &str, id: &str) -> Result<(), String> {
    let end = |id: &'_ str| -> String {
        let rest = id.strip_prefix(resource_type).and_then(|rest| rest.strip_prefix('-'));
        rest.unwrap_or(id).to_owned()
    };
    let known = roles::ids(resource_type);
    // That it is empty is a problem of its own.
    if id.is_empty() || known.clone().any(|known| known == id) {
        return Ok(());
    }
    let ends: Vec<String> = known.clone().map(end).collect();
    let near = nearest(&end(id), ends.iter().map(String::as_str));
    let hint = match known.clone().find(|known| near.is_some_and(|near| end(known) == near)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => one_of(known),
    };
    Err(format!("unknown role `{id}` on a {resource_type}; {hint}"))
}

/// `http://` or `https://`, a host, perhaps a port and a path; no user, query or fragment.
fn url(text: &str) -> Result<(), String> {
    // Said first and without the text, which then holds a password.
    ensure(!text.contains('@'), || "an address holds no user: use `auth_data`".to_owned())?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Err(format!("`{text}` is not an address beginning with `https://` or `http://`"));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
        return Err("an address holds no query, fragment or space".to_owned());
    }
    // An address of IP version 6 stands in brackets and has colons of its own.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    ensure(!host.is_empty(), || format!("`{text}` has no host"))?;
    let right = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    ensure(right, || format!("`{text}` has no valid port"))
}

fn region(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = parts.last().is_some_and(|part| part.parse::<u8>().is_ok());
    let letters = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    ensure(parts.len() >= 3 && number && letters, || {
        format!("`{text}` is not a region, such as `us-east-1`")
    })
}

fn date(text: &str) -> Result<(), String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    ensure(time::Date::parse(text, format).is_ok(), || {
        format!("`{text}` is not a date of the form yyyy-mm-dd")
    })
}

/// `2024-10-21`, `2025-04-01-preview`, or a name of the undated API.
fn api_version(text: &str) -> Result<(), String> {
    let dated = text.strip_suffix("-preview").unwrap_or(text);
    let right = matches!(text, "v1" | "preview" | "latest") || date(dated).is_ok();
    ensure(right, || {
        format!("`{text}` is not a version such as `2024-10-21` or `2025-04-01-preview`")
    })
}

/// A token of RFC 9110, section 5.6.2.
fn header_name(text: &str) -> Result<(), String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    ensure(!text.is_empty() && text.chars().all(token), || {
        format!("{text:?} is not the name of a header")
    })
}

fn header_to_set(text: &str) -> Result<(), String> {
    ensure(!is_own_header(text.as_bytes()), || {
        format!("`{text}` cannot be set: it belongs to the connection, and Gantry writes it itself")
    })
}

fn status_code(node: &Node) -> Result<(), String> {
    let code = match &node.value {
        Tree::Number(number) => number.as_u64(),
        Tree::Text(text) if text.len() == 3 => text.parse().ok(),
        _ => None,
    };
    ensure(code.is_some_and(|code| (100..=599).contains(&code)), || {
        format!("expected a status from 100 to 599, found {}", node.describe())
    })
}

/// The message never shows the value.
fn secret(text: &str) -> Result<(), String> {
    ensure(!text.is_empty(), || "must not be empty".to_owned())?;
    ensure(crate::secrets::header_text(text), || {
        "holds characters that no header may carry".to_owned()
    })?;
    if let Some(name) = text.strip_prefix(crate::secrets::VARIABLE) {
        return ensure(is_variable(name), || format!("`{text}` is not of the form `env://NAME`"));
    }
    ensure(!means_variable(text), || {
        "is taken as it stands; the value of a variable is spelled `env://NAME`".to_owned()
    })?;
    if let Some(rest) = text.strip_prefix(crate::secrets::STORED) {
        let parts: Vec<&str> = rest.splitn(3, ':').collect();
        return ensure(parts.len() == 3 && parts.iter().all(|part| !part.is_empty()), || {
            format!("`{text}` is not of the form `tfy-secret://tenant:group:key`")
        });
    }
    Ok(())
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether somebody means a variable who spells it as a shell or another program does: `${NAME}`,
/// `env:NAME`. A dollar sign alone may begin a password.
fn means_variable(text: &str) -> bool {
    let braced = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    braced.or_else(|| text.strip_prefix("env:")).is_some_and(is_variable)
}

fn certificate(text: &str) -> Result<(), String> {
    let right =
        text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----");
    ensure(right, || "expected certificates in PEM form".to_owned())
}

/// ``it is one of `a`, `b` ``.
pub(crate) fn one_of<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [only] => format!("it is {only}"),
        _ => format!("it is one of {}", names.join(", ")),
    }
}
