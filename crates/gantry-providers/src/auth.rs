//! How a call proves itself: headers made of secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_model::secret::Secret;
use gantry_model::snapshot::HeaderText;
use http::header::HeaderValue;

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

/// A header's value, which debug output hides.
///
/// # Errors
/// When its secret has no value, or one that cannot stand in a header.
pub fn header(text: &HeaderText, resolve: &Resolve<'_>) -> Result<HeaderValue, Error> {
    let reference = text.secret();
    let secret =
        resolve(reference).ok_or_else(|| Error::Unresolved { reference: reference.to_owned() })?;
    let clear = secret.expose();
    match text {
        HeaderText::Plain { .. } => sensitive(clear),
        HeaderText::Bearer { .. } => sensitive(&format!("Bearer {clear}")),
        HeaderText::Basic { user, .. } => {
            sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{clear}"))))
        }
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    gantry_cloud::sign::sensitive(text).map_err(|_| Error::Characters)
}
