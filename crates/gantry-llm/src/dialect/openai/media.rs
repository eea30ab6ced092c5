//! Images and files as OpenAI writes them: URLs, and `data:` URLs for bytes.
//!
//! The request parser reads with it, the request printer writes with it.

use super::wire_request::{File, ImageUrl};
use crate::context::Error;
use crate::dialect::data_url;
use crate::neutral::{Body, Media, Place, Str, StrOr, Text};

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
    if !data_url::is_data(&url) {
        return Ok((Body::Image(Media::Url(url)), detail));
    }
    let (media_type, data) = data_url::read(url)
        .ok_or_else(|| Error::new(place, "a `data:` URL must read `data:TYPE;base64,BYTES`"))?;
    Ok((data_url::body(media_type, data, None, place)?, detail))
}

/// Reads a `file` part. Pictures become images and text files plain text, others stay bytes.
pub(super) fn read_file<'a>(file: File<'a>, place: Place) -> Result<Body<'a>, Error> {
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
        (Str::default(), data)
    };
    data_url::body(media_type, data, file.filename, place)
}
