//! A control plane elsewhere, called over connections that this process opens.

use bytes::Bytes;
use gantry_http::client::{self, Answer, Call, call};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use std::time::Duration;

/// Why the control plane was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the token: it holds characters that no token has")]
    Token,
    #[error(transparent)]
    Call(#[from] client::Error),
}

/// Its address, and the token by which it knows this gateway.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// Without a slash at its end.
    host: String,
    /// Debug output hides it.
    authorization: HeaderValue,
}

/// What is asked of it.
pub(crate) struct Question {
    pub method: Method,
    pub path_and_query: String,
    /// Of a journal's segment, or nothing.
    pub body: Bytes,
    pub timeout: Duration,
}

impl ControlPlane {
    /// # Errors
    /// When the token cannot stand in a header.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| Error::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { host: url.trim_end_matches('/').to_owned(), authorization })
    }

    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, Error> {
        let url = format!("{}{}", self.host, question.path_and_query);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if !question.body.is_empty() {
            let bytes = HeaderValue::from_static("application/octet-stream");
            headers.insert(CONTENT_TYPE, bytes);
        }
        let Question { method, body, timeout, .. } = question;
        Ok(call(Call { method, url: &url, headers, body, timeout }).await?)
    }
}
