//! What clouds answer in XML: small documents, read into a tree.
//!
//! The object store of the lake and the credentials of AWS use it. Attributes are passed over:
//! none of those documents says anything in them. It never reads more than `DEPTH_MAX` levels.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper documents are none that we ask for.
const DEPTH_MAX: usize = 16;

/// Why a text is no document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read XML")]
    Syntax(#[from] quick_xml::Error),
    #[error("read XML: it is cut off or too deep")]
    Shape,
}

/// An element with its own text and its children, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without the namespace.
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The root element of a document.
    ///
    /// # Errors
    /// When the text is not well-formed.
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        // The bottom of the stack stands for the document.
        let mut open = vec![Self::default()];
        let mut reader = Reader::from_reader(document);
        loop {
            match reader.read_event()? {
                Event::Start(tag) if open.len() <= DEPTH_MAX => {
                    open.push(Self::named(tag.local_name().as_ref()));
                }
                Event::Start(_) => return Err(Error::Shape),
                Event::Empty(tag) => {
                    let element = Self::named(tag.local_name().as_ref());
                    top(&mut open)?.children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(Error::Shape)?;
                    top(&mut open)?.children.push(element);
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(quick_xml::Error::from)?;
                    top(&mut open)?.text.push_str(&text);
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(quick_xml::Error::from)?;
                    top(&mut open)?.text.push_str(&text);
                }
                Event::GeneralRef(entity) => {
                    let name = entity.decode().map_err(quick_xml::Error::from)?;
                    let known = quick_xml::escape::resolve_predefined_entity(&name);
                    let letter = entity.resolve_char_ref()?.map(String::from);
                    let text = letter.or(known.map(str::to_owned)).ok_or(Error::Shape)?;
                    top(&mut open)?.text.push_str(&text);
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
                Event::Eof => break,
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(mut document), true) => document.children.pop().ok_or(Error::Shape),
            _ => Err(Error::Shape),
        }
    }

    fn named(name: &[u8]) -> Self {
        Self { name: String::from_utf8_lossy(name).into_owned(), ..Self::default() }
    }

    /// The first child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name, when it has any.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// The first element of this name at any depth.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Self> {
        let deeper = || self.children.iter().find_map(|child| child.find(name));
        self.child(name).or_else(deeper)
    }
}

fn top(open: &mut [Element]) -> Result<&mut Element, Error> {
    open.last_mut().ok_or(Error::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elements_texts_and_entities() {
        let document = br#"<?xml version="1.0"?><!-- c --><a:List xmlns:a="x" k="v"><Empty/>
            <Key>a&amp;b &#x263a;<![CDATA[<c>]]></Key><In><Deep>1</Deep></In></a:List>"#;
        let root = Element::parse(document).unwrap();
        assert_eq!(root.name, "List");
        assert_eq!(root.text_of("Key"), Some("a&b \u{263a}<c>"));
        assert_eq!(root.text_of("Empty"), None);
        assert_eq!(root.find("Deep").unwrap().text, "1");
        assert_eq!(root.find("None"), None);
    }

    #[test]
    fn refuses_what_is_no_document() {
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        for text in ["", "text", "<a>", "<a></b>", "<a>&unknown;</a>", deep.as_str()] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
