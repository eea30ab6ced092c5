//! Images and files as OpenAI writes them: URLs, and `data:` URLs for bytes.
//!
//! The request parser reads with it, the request printer writes with it.

use super::wire_request::{File, ImageUrl};
use crate::context::Error;
use crate::neutral::{Body, Document, Media, Place, Str, StrOr, Text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a part of a file is to the model, and the `detail` that an image asks for.
pub(super) type Attached<'a> = (Body<'a>, Option<Str<'a>>);

/// Reads an `image_url`. Clients put other files into it too.
pub(super) fn read_image<'a>(
    image: StrOr<Text<'a>, ImageUrl<'a>>,
    place: Place,
) -> Result<Attached<'a>, Error> {
    let (url, detail) = match image {
        StrOr::Str(url) => (url, None),
        StrOr::Other(ImageUrl { url, detail }) => (url, detail),
    };
    if !is_data(&url) {
        return Ok((Body::Image(Media::Url(url)), detail));
    }
    let (media_type, data) = data_url(url)
        .ok_or_else(|| Error::new(place, "a `data:` URL must read `data:TYPE;base64,BYTES`"))?;
    Ok((body(media_type, data, None, place)?, detail))
}

/// Reads a `file` part. Pictures become images and text files plain text, others stay bytes.
pub(super) fn read_file<'a>(file: File<'a>, place: Place) -> Result<Body<'a>, Error> {
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
        (Str::default(), data)
    };
    body(media_type, data, file.filename, place)
}

/// The type that says nothing about the bytes.
const ANY: &str = "application/octet-stream";

/// What the bytes of a file are, by their type, else by the file's name, else by themselves.
fn body<'a>(
    media_type: Str<'a>,
    data: Text<'a>,
    title: Option<Str<'a>>,
    place: Place,
) -> Result<Body<'a>, Error> {
    let media_type = match &*media_type {
        "" | ANY => {
            let named = title.as_deref().and_then(type_by_name);
            named.or_else(|| type_by_bytes(&data.decode())).unwrap_or(ANY).into()
        }
        _ => media_type,
    };
    let document = |media| Body::Document(Document { media, title, context: None });
    if media_type.starts_with("image/") && !is_text(&media_type) {
        return Ok(Body::Image(Media::Base64 { media_type, data }));
    }
    if is_text(&media_type) {
        let text = decode(&data.decode());
        let text = text.ok_or_else(|| Error::new(place, "is not UTF-8 in base64"))?;
        return Ok(document(Media::Text(text)));
    }
    if &*media_type == ANY
        && let Some(text) = decode(&data.decode())
    {
        return Ok(document(Media::Text(text)));
    }
    Ok(document(Media::Base64 { media_type, data }))
}

/// Whether files of a type are text to read, whatever the type begins with.
fn is_text(media_type: &str) -> bool {
    const SUBTYPES: [&str; 14] = [
        "csv",
        "graphql",
        "javascript",
        "json",
        "jsonl",
        "ndjson",
        "sh",
        "sql",
        "toml",
        "tex",
        "typescript",
        "xhtml",
        "xml",
        "yaml",
    ];
    let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
    let subtype = subtype.strip_prefix("x-").unwrap_or(subtype);
    let suffix = subtype.rsplit('+').next().unwrap_or(subtype);
    kind == "text" || SUBTYPES.contains(&suffix)
}

/// The type of a file by the extension of its name; `None` when that says nothing.
fn type_by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "doc" => "application/msword",
        "xls" => "application/vnd.ms-excel",
        "ppt" => "application/vnd.ms-powerpoint",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "zip" => "application/zip",
        _ => return None,
    })
}

/// The type of base64 by how such files begin.
fn type_by_bytes(base64: &str) -> Option<&'static str> {
    [
        ("JVBERi", "application/pdf"),
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
    ]
    .into_iter()
    .find_map(|(begin, media_type)| base64.starts_with(begin).then_some(media_type))
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
        "" => ANY,
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
