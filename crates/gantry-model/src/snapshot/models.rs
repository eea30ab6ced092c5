//! Models with an upstream: everything wire-level is resolved, but for the values of secrets.

use super::access::AccessEntry;
use super::sparse;
use crate::facts::{Claude, ModelTraits, Quirks};
use crate::price::ModelPrice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model of a provider account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// `account/model`.
    pub name: String,
    #[serde(default, skip_serializing_if = "AccessEntry::is_empty")]
    pub access: AccessEntry,
    /// Empty: not restricted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<ModelType>,
    /// Where it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamEntry>,
    /// Why it cannot be used, as a lower-case fragment for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ModelPrice>,
}

/// Where a model is served, and how a call proves itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamEntry {
    /// The provider's name, for records.
    pub provider: String,
    /// By name, such as `openai`. One that a gateway does not know makes the model unavailable.
    pub dialect: String,
    /// Scheme, host and port; what follows them counts for nothing.
    pub url: String,
    /// The path before an operation's own, `/v1/`.
    pub prefix: String,
    /// What follows an operation's path, `?api-version=v1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderEntry>,
    /// The model's name there.
    pub model: String,
    #[serde(default, serialize_with = "sparse::write")]
    pub quirks: Quirks,
    /// What is known of the model, if anything.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "sparse::write_option"
    )]
    pub traits: Option<ModelTraits>,
    /// The same for an upstream that speaks Messages.
    #[serde(default, serialize_with = "sparse::write")]
    pub claude: Claude,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsEntry {
    /// `false` accepts any certificate. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_unauthorized: Option<bool>,
    /// PEM certificates trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
}

/// A header of every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderEntry {
    pub name: String,
    pub value: HeaderText,
}

/// How a header's value is made of the secret with a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum HeaderText {
    /// The secret itself.
    Plain { secret: String },
    /// `Bearer` and the secret (RFC 6750).
    Bearer { secret: String },
    /// User name and password (RFC 7617).
    Basic { user: String, secret: String },
}

impl HeaderText {
    /// The reference of its secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Plain { secret } | Self::Bearer { secret } | Self::Basic { secret, .. } => secret,
        }
    }
}

/// What a model can be asked.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    Chat,
    Completion,
    Embedding,
    Realtime,
    Rerank,
    AudioTranscription,
    AudioTranslation,
    TextToSpeech,
    Moderation,
    Image,
    Responses,
    Ocr,
}

impl ModelType {
    /// As manifests spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Realtime => "realtime",
            Self::Rerank => "rerank",
            Self::AudioTranscription => "audio_transcription",
            Self::AudioTranslation => "audio_translation",
            Self::TextToSpeech => "text_to_speech",
            Self::Moderation => "moderation",
            Self::Image => "image",
            Self::Responses => "responses",
            Self::Ocr => "ocr",
        }
    }
}

/// Whether a header, in any case of letters, belongs to one connection, says where a message ends
/// (RFC 9110, section 7.6.1; RFC 9112, section 6) or how its body is packed. Gantry alone writes
/// those: with a manifest's beside them, two readers could take a request apart in two ways, and
/// packed replies could not be read.
#[must_use]
pub fn is_own_header(name: &[u8]) -> bool {
    const OWN: [&[u8]; 12] = [
        b"accept-encoding",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}
