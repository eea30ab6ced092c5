//! Images and files as OpenAI writes them: URLs, and `data:` URLs for bytes.
//!
//! The request parser reads with it, the request printer writes with it.

use super::wire_request::{File, ImageUrl};
use crate::context::Error;
use crate::neutral::{Document, Media, Place, Str, StrOr, Text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Reads an `image_url`.
pub(super) fn read_image<'a>(
    image: StrOr<Text<'a>, ImageUrl<'a>>,
    place: Place,
) -> Result<(Media<'a>, Option<Str<'a>>), Error> {
    let (url, detail) = match image {
        StrOr::Str(url) => (url, None),
        StrOr::Other(ImageUrl { url, detail }) => (url, detail),
    };
    let media = if is_data(&url) {
        let (media_type, data) = data_url(url)
            .ok_or_else(|| Error::new(place, "a `data:` URL must read `data:TYPE;base64,BYTES`"))?;
        Media::Base64 { media_type, data }
    } else {
        Media::Url(url)
    };
    Ok((media, detail))
}

/// Reads a `file` part. Text files become plain text, others stay bytes.
pub(super) fn read_file<'a>(file: File<'a>, place: Place) -> Result<Document<'a>, Error> {
    if file.file_id.is_some() {
        let message = "a file id is known to one provider only: send the bytes in `file_data`";
        return Err(Error::new(place, message));
    }
    let data = file.file_data.ok_or_else(|| Error::new(place, "`file_data` is missing"))?;
    let (media_type, data) = if is_data(&data) {
        data_url(data).ok_or_else(|| {
            Error::new(place, "`file_data` must be base64 or read `data:TYPE;base64,BYTES`")
        })?
    } else {
        (Str::from("application/pdf"), data)
    };
    let media = if media_type.starts_with("text/") {
        Media::Text(
            decode(&data.decode()).ok_or_else(|| Error::new(place, "is not UTF-8 in base64"))?,
        )
    } else {
        Media::Base64 { media_type, data }
    };
    Ok(Document { media, title: file.filename, context: None })
}

fn decode(data: &str) -> Option<Text<'static>> {
    let bytes = STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok().map(Text::Owned)
}

/// Whether a URL carries its bytes itself.
fn is_data(url: &Text<'_>) -> bool {
    match url {
        Text::Plain(url) => url.starts_with("data:"),
        Text::Escaped(_) | Text::Owned(_) => url.decode().starts_with("data:"),
    }
}

/// Media type and base64 of a `data:` URL; `None` for other encodings.
fn data_url(url: Text<'_>) -> Option<(Str<'_>, Text<'_>)> {
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
