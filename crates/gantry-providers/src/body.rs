//! Bodies of requests: whole in memory, in pieces, since a fallback may need them again.
//!
//! The attempt and the plain client make them for a connection. The pieces go out one behind the
//! other without being copied together; their length is always declared.

use bytes::Bytes;
use gantry_llm::splice::Pieces;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request's body.
#[derive(Debug)]
pub struct RequestBody {
    pieces: <Pieces as IntoIterator>::IntoIter,
    bytes_left: usize,
}

impl From<Pieces> for RequestBody {
    fn from(pieces: Pieces) -> Self {
        Self { bytes_left: pieces.len(), pieces: pieces.into_iter() }
    }
}

impl From<Bytes> for RequestBody {
    fn from(body: Bytes) -> Self {
        Pieces::from(body).into()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.find(|piece| !piece.is_empty());
        self.bytes_left -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_llm::scan::Index;
    use gantry_llm::splice::Draft;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn gives_out_all_pieces_and_knows_how_much_is_left() {
        let long = "x".repeat(100_000);
        let text = Bytes::from(format!(r#"{{"model":"a","prompt":"{long}","n":1}}"#));
        let index = Index::of(&text).unwrap();
        let mut draft = Draft::new(&text, &index);
        draft.set("model", br#""b""#).unwrap();
        draft.set("n", b"2").unwrap();
        let pieces = draft.finish();
        let expected = text.slice(..).to_vec();
        let expected = String::from_utf8(expected).unwrap();
        let expected = expected.replace(r#""a""#, r#""b""#).replace(r#""n":1"#, r#""n":2"#);

        let mut body = RequestBody::from(pieces.clone());
        let (mut seen, mut frames) = (Vec::new(), 0);
        while !body.is_end_stream() {
            assert_eq!(body.size_hint().exact(), Some((expected.len() - seen.len()) as u64));
            seen.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            frames += 1;
        }
        assert!(body.frame().await.is_none());
        assert_eq!((String::from_utf8(seen).unwrap(), frames), (expected.clone(), 3));
        // Another try gets the same.
        let again = RequestBody::from(pieces).collect().await.unwrap().to_bytes();
        assert_eq!(again, expected);
    }

    #[tokio::test]
    async fn an_empty_body_has_no_piece() {
        let mut body = RequestBody::from(Bytes::new());
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.frame().await.is_none());
    }
}
