//! How a call proves itself: one header per scheme.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_kinds::catalogue::AuthScheme;
use gantry_kinds::kinds::common::AuthData;
use gantry_model::secret::Secret;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Why no credential could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("find the value of the secret `{reference}`")]
    Unresolved { reference: String },
    #[error("use a credential: it holds characters that no header may carry")]
    Characters,
}

/// Gives the clear value of a reference such as `env://OPENAI_API_KEY`.
pub type Resolve<'a> = dyn Fn(&str) -> Option<Secret> + 'a;

/// The header that carries `auth`; none for [`AuthScheme::None`]. The value is marked sensitive.
///
/// # Errors
/// When a secret reference has no value, or a value cannot stand in a header.
pub fn header(
    scheme: AuthScheme,
    auth: &AuthData,
    resolve: &Resolve<'_>,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    let (name, text) = match auth {
        AuthData::BasicAuth { username, password } => {
            let password = clear(password, resolve)?;
            let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
            (AUTHORIZATION, format!("Basic {pair}"))
        }
        AuthData::BearerAuth { bearer_token } => {
            (AUTHORIZATION, format!("Bearer {}", clear(bearer_token, resolve)?.expose()))
        }
        AuthData::ApiKey { api_key } => {
            let key = clear(api_key, resolve)?;
            match scheme {
                AuthScheme::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
                AuthScheme::ApiKey => (HeaderName::from_static("api-key"), key.expose().to_owned()),
                AuthScheme::XApiKey => {
                    (HeaderName::from_static("x-api-key"), key.expose().to_owned())
                }
                AuthScheme::None => return Ok(None),
            }
        }
    };
    sensitive(&text).map(|value| Some((name, value)))
}

/// The clear value: the literal itself, or what its reference stands for.
///
/// # Errors
/// When the reference has no value.
pub fn clear(secret: &Secret, resolve: &Resolve<'_>) -> Result<Secret, Error> {
    if !gantry_kinds::secrets::is_reference(secret.expose()) {
        return Ok(secret.clone());
    }
    resolve(secret.expose())
        .ok_or_else(|| Error::Unresolved { reference: secret.expose().to_owned() })
}

/// A header value that debug output hides.
///
/// # Errors
/// When `text` holds characters that no header may carry.
pub fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    gantry_cloud::sign::sensitive(text).map_err(|_| Error::Characters)
}
