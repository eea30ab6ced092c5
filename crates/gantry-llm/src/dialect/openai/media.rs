//! Images and files as OpenAI writes them: URLs, and `data:` URLs for bytes.
//!
//! The request parser reads with it, the request printer writes with it.

use super::wire_request::{File, ImageUrl};
use crate::context::Error;
use crate::dialect::data_url;
use crate::neutral::{Document, Media, Place, Str, StrOr, Text};

/// Reads an `image_url`.
pub(super) fn read_image<'a>(
    image: StrOr<Text<'a>, ImageUrl<'a>>,
    place: Place,
) -> Result<(Media<'a>, Option<Str<'a>>), Error> {
    let (url, detail) = match image {
        StrOr::Str(url) => (url, None),
        StrOr::Other(ImageUrl { url, detail }) => (url, detail),
    };
    let media = if data_url::is_data(&url) {
        let (media_type, data) = data_url::read(url)
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
    let (media_type, data) = if data_url::is_data(&data) {
        data_url::read(data).ok_or_else(|| {
            Error::new(place, "`file_data` must be base64 or read `data:TYPE;base64,BYTES`")
        })?
    } else {
        (Str::from("application/pdf"), data)
    };
    let media = data_url::media(media_type, data)
        .ok_or_else(|| Error::new(place, "is not UTF-8 in base64"))?;
    Ok(Document { media, title: file.filename, context: None })
}
