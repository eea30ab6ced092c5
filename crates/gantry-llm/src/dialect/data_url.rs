//! `data:` URLs, and bytes in base64 as OpenAI's dialects write them.
//!
//! The readers of chat completions and of Responses share it.

use crate::neutral::{Media, Str, Text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes in base64 as an attachment. Text files become plain text, others stay bytes; `None` when a
/// text file is not UTF-8.
pub(crate) fn media<'a>(media_type: Str<'a>, data: Text<'a>) -> Option<Media<'a>> {
    if !media_type.starts_with("text/") {
        return Some(Media::Base64 { media_type, data });
    }
    decode(&data.decode()).map(Media::Text)
}

fn decode(data: &str) -> Option<Text<'static>> {
    let bytes = STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok().map(Text::Owned)
}

/// Whether a URL carries its bytes itself.
pub(crate) fn is_data(url: &Text<'_>) -> bool {
    match url {
        Text::Plain(url) => url.starts_with("data:"),
        Text::Escaped(_) | Text::Owned(_) => url.decode().starts_with("data:"),
    }
}

/// Media type and base64 of a `data:` URL; `None` for other encodings.
pub(crate) fn read(url: Text<'_>) -> Option<(Str<'_>, Text<'_>)> {
    if let Text::Plain(url) = url {
        let (media_type, data) = split(url)?;
        return Some((media_type.into(), Text::Plain(data)));
    }
    let url = url.decode();
    let (media_type, data) = split(&url)?;
    Some((media_type.to_owned().into(), data.to_owned().into()))
}

fn split(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next()?.trim();
    let media_type = match media_type {
        "" => "application/octet-stream",
        // A common misspelling that Anthropic refuses.
        "image/jpg" => "image/jpeg",
        other => other,
    };
    Some((media_type, data))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn data_urls_split_into_type_and_bytes() {
        for (url, expected) in [
            ("data:image/png;base64,AAAA", Some(("image/png", "AAAA"))),
            ("data:image/jpg;base64,AAAA", Some(("image/jpeg", "AAAA"))),
            ("data:text/plain;charset=utf-8;base64,AA==", Some(("text/plain", "AA=="))),
            ("data:image/svg+xml,<svg/>", None),
            ("data:image/png;base64", None),
        ] {
            assert_eq!(split(url), expected, "{url}");
        }
    }
}
