//! Limits of upstreams on the strings and lists of a request that name things.
//!
//! Beyond one of them an upstream refuses the whole request. What holds at an upstream is data of
//! its row in the catalogue; a limit that is absent is not known, and then nothing is changed.

use serde::{Deserialize, Serialize};

/// What an upstream takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Names of tools.
    pub tool_name: Option<Limit>,
    /// Names of properties in the schemas of tools.
    pub property_name: Option<Limit>,
    /// Ids of calls, which their results name too.
    pub call_id: Option<Limit>,
    /// The opaque id of the end user.
    pub user: Option<Limit>,
    /// Keys of `metadata`.
    pub metadata_key: Option<Limit>,
    /// Values of `metadata`.
    pub metadata_value: Option<Limit>,
    /// Most entries of `metadata`.
    pub metadata_max: Option<u32>,
    /// Most stop sequences.
    pub stops_max: Option<u32>,
    /// The schema of a tool must be an object at its root, without alternatives there.
    pub object_roots: bool,
}

/// What a string may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Most characters.
    pub chars_max: Option<u32>,
    /// It must have exactly `chars_max` characters.
    pub exact: bool,
    /// The characters that it may hold besides letters and digits of ASCII; absent: any.
    pub also: Option<String>,
    /// It must not be the address of a mailbox.
    pub no_address: bool,
}

impl Limit {
    /// Whether a string may go as it is.
    #[must_use]
    pub fn takes(&self, text: &str) -> bool {
        let most = self.chars_max.map_or(usize::MAX, |most| most as usize);
        // Bytes are at least as many as characters, and quicker to count.
        let short = text.len() <= most || text.chars().count() <= most;
        let whole = !self.exact || text.chars().count() == most;
        let plain = self.also.as_deref().is_none_or(|also| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || also.as_bytes().contains(&byte);
            text.bytes().all(fits)
        });
        short && whole && plain && !(self.no_address && is_address(text))
    }
}

/// Whether a text looks like the address of a mailbox, such as `jane@example.com`.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::Limit;

    #[test]
    fn a_string_is_taken_within_all_of_its_limits() {
        let also = |list: &str| Some(list.to_owned());
        let name = Limit { chars_max: Some(4), also: also("_-"), ..Limit::default() };
        let nine = Limit { chars_max: Some(3), exact: true, also: also(""), ..Limit::default() };
        let user = Limit { chars_max: Some(20), no_address: true, ..Limit::default() };
        for (limit, text, taken) in [
            (&name, "a_-9", true),
            (&name, "abcde", false),
            (&name, "a.b", false),
            (&name, "é", false),
            (&nine, "abc", true),
            (&nine, "ab", false),
            (&nine, "a_c", false),
            (&user, "éééééééééééééééééééé", true),
            (&user, "jane.doe@example.com", false),
            (&user, "jane@host", true),
            (&Limit::default(), "anything at all", true),
        ] {
            assert_eq!(limit.takes(text), taken, "{text}");
        }
    }
}
