//! The elements of a message, with a sentence for each place where one is missing.

use super::CmsError;
use crate::ber;
use der::asn1::ObjectIdentifier;

pub(super) use crate::ber::tag::{
    BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET,
};
pub(super) const NULL: u8 = 0x05;

/// The tag of `[number]`, constructed.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of `[number]`, primitive.
pub(super) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// An element: its tag, its content, and both with the header.
#[derive(Clone, Copy)]
pub(super) struct Element<'a>(ber::Element<'a>);

impl<'a> Element<'a> {
    pub(super) fn tag(self) -> u8 {
        self.0.tag
    }

    pub(super) fn content(self) -> &'a [u8] {
        self.0.content
    }

    /// With its header.
    pub(super) fn whole(self) -> &'a [u8] {
        self.0.raw
    }

    /// The elements inside.
    pub(super) fn inside(self) -> Elements<'a> {
        Elements(self.0.elements())
    }

    /// The octets of an OCTET STRING under an IMPLICIT tag, which may be in pieces.
    pub(super) fn octets(
        self,
        otherwise: &'static str,
    ) -> Result<std::borrow::Cow<'a, [u8]>, CmsError> {
        self.0.octets().map_err(|_| CmsError::malformed(otherwise))
    }

    /// The element, if it has this tag.
    pub(super) fn expect(self, tag: u8, otherwise: &'static str) -> Result<Self, CmsError> {
        if self.0.tag == tag {
            Ok(self)
        } else {
            Err(CmsError::malformed(otherwise))
        }
    }

    pub(super) fn oid(self) -> Result<ObjectIdentifier, CmsError> {
        const WHAT: &str = "an object identifier in it is none";
        let element = self.expect(OBJECT_IDENTIFIER, WHAT)?;
        ObjectIdentifier::from_bytes(element.content()).map_err(|_| CmsError::malformed(WHAT))
    }

    /// An INTEGER from 0 to 255; everything else is `None`.
    pub(super) fn small_number(self) -> Option<u8> {
        match (self.0.tag, self.0.content) {
            (INTEGER, [number @ 0..=0x7f] | [0, number @ 0x80..=0xff]) => Some(*number),
            _ => None,
        }
    }
}

/// Elements that follow each other.
#[derive(Clone)]
pub(super) struct Elements<'a>(ber::Elements<'a>);

impl<'a> Elements<'a> {
    pub(super) fn over(bytes: &'a [u8]) -> Self {
        Self(ber::Elements::new(bytes))
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_finished()
    }

    /// The next element, whatever it is.
    pub(super) fn any(&mut self, otherwise: &'static str) -> Result<Element<'a>, CmsError> {
        self.0
            .take()
            .map(Element)
            .map_err(|_| CmsError::malformed(otherwise))
    }

    /// The next element, which must have this tag.
    pub(super) fn take(
        &mut self,
        tag: u8,
        otherwise: &'static str,
    ) -> Result<Element<'a>, CmsError> {
        self.any(otherwise)?.expect(tag, otherwise)
    }

    /// The next element if it has this tag.
    pub(super) fn take_if(&mut self, tag: u8) -> Result<Option<Element<'a>>, CmsError> {
        self.0
            .take_if(tag)
            .map(|element| element.map(Element))
            .map_err(|_| CmsError::malformed("a length in it is none"))
    }

    /// Nothing may be left over.
    pub(super) fn finish(&self, otherwise: &'static str) -> Result<(), CmsError> {
        self.0.finish().map_err(|_| CmsError::malformed(otherwise))
    }
}
