//! SOAP 1.2 with WS-Addressing and the user name token of WS-Security: written as MS-XCEP and MS-WSTEP show it, read within bounds.
//!
//! No document type definition is taken, and so no entity but the five of XML itself.

use crate::http::Effect;
use crate::text::words;
use crate::{Error, ErrorClass, Login};
use fips::secret::SecretBytes;
use roxmltree::{Document, Node, NodeId, ParsingOptions};
use std::fmt::Write as _;

/// The largest answer, in octets: the policies of an authority with many templates.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most elements, attributes and texts in one answer.
const MAX_NODES: u32 = 100_000;
/// The most elements within elements.
const MAX_DEPTH: usize = 64;
/// How long a request is good for, in milliseconds: as the examples of MS-XCEP section 4 have it.
const LIFETIME_MS: i64 = 300_000;

/// SOAP 1.2 (Part 1, section 5).
pub(super) const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing 1.0.
pub(super) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
/// WS-Security 1.0.
pub(super) const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const PASSWORD_TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
/// XML Schema, instances: `xsi:nil`.
pub(super) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A request.
pub(super) struct Envelope<'a> {
    pub(super) action: &'a str,
    pub(super) to: &'a str,
    /// `urn:uuid:...`.
    pub(super) message_id: &'a str,
    pub(super) login: Option<&'a Login>,
    /// Now, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// The element in the body, in XML.
    pub(super) body: &'a str,
}

impl Envelope<'_> {
    /// The request in XML. It is kept like the password that may be in it.
    pub(super) fn write(&self) -> SecretBytes {
        let mut head = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\" xmlns:a=\"{ADDRESSING}\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{}</a:Action><a:MessageID>{}</a:MessageID><a:ReplyTo><a:Address>{ADDRESSING}/anonymous\
             </a:Address></a:ReplyTo><a:To s:mustUnderstand=\"1\">{}</a:To>",
            escape(self.action),
            escape(self.message_id),
            escape(self.to),
        );
        let mut tail = String::new();
        let mut password = SecretBytes::zeroed(0);
        if let Some(login) = self.login {
            let _ = write!(
                head,
                "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"{SECURITY}\" xmlns:u=\"{UTILITY}\"><u:Timestamp u:Id=\"_0\"><u:Created>{}\
                 </u:Created><u:Expires>{}</u:Expires></u:Timestamp><o:UsernameToken u:Id=\"_1\"><o:Username>{}</o:Username>\
                 <o:Password Type=\"{PASSWORD_TEXT}\">",
                formats::text::rfc3339(self.now_ms),
                formats::text::rfc3339(self.now_ms.saturating_add(LIFETIME_MS)),
                escape(&login.user),
            );
            password = escape_secret(login.password.expose());
            tail.push_str("</o:Password></o:UsernameToken></o:Security>");
        }
        let _ = write!(
            tail,
            "</s:Header><s:Body xmlns:xsi=\"{INSTANCE}\">{}</s:Body></s:Envelope>",
            self.body
        );
        let length = head
            .len()
            .saturating_add(password.len())
            .saturating_add(tail.len());
        let mut whole = SecretBytes::zeroed(length);
        let parts = [head.as_bytes(), password.expose(), tail.as_bytes()];
        for (place, octet) in whole
            .expose_mut()
            .iter_mut()
            .zip(parts.into_iter().flatten())
        {
            *place = *octet;
        }
        whole
    }
}

/// Text as the content of an element or of an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match entity(character) {
            Some(entity) => out.push_str(entity),
            None => out.push(character),
        }
    }
    out
}

fn entity(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        _ => None,
    }
}

/// The same for a secret (UTF-8), which never is in memory of another kind.
fn escape_secret(secret: &[u8]) -> SecretBytes {
    let written = |octet: &u8| entity(char::from(*octet)).map_or(1, str::len);
    let mut out = SecretBytes::zeroed(secret.iter().map(written).sum());
    let mut places = out.expose_mut().iter_mut();
    for octet in secret {
        let one = [*octet];
        let bytes = entity(char::from(*octet)).map_or(&one[..], str::as_bytes);
        // In this order: the other one would take a place for the octet that is not there.
        for (byte, place) in bytes.iter().zip(places.by_ref()) {
            *place = *byte;
        }
    }
    out
}

/// Reads XML within the bounds.
pub(super) fn parse(body: &[u8]) -> Result<Document<'_>, String> {
    if body.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} octets"));
    }
    let text = std::str::from_utf8(body).map_err(|_| "no UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if deeper_than(text, MAX_DEPTH) {
        return Err(format!("more than {MAX_DEPTH} elements within each other"));
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| format!("no XML: {error}"))
}

/// Whether elements are deeper within each other, found without a parser, which may be one that recurses. Only what is well-formed is
/// measured rightly; the rest the parser refuses.
fn deeper_than(text: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")]
            .into_iter()
            .find_map(|(start, end)| Some((after.strip_prefix(start)?, end)));
        if let Some((within, end)) = skipped {
            match within.split_once(end) {
                Some((_, next)) => rest = next,
                None => return false,
            }
            continue;
        }
        let Some((inside, next)) = tag(after) else {
            return false;
        };
        if inside.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !inside.ends_with('/') {
            depth = depth.saturating_add(1);
        }
        if depth > limit {
            return true;
        }
        rest = next;
    }
    false
}

/// A tag up to its `>`, which also stands in the values of attributes; and what comes after it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let end = text.char_indices().find_map(|(place, character)| {
        match (quote, character) {
            (None, '>') => return Some(place),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        None
    })?;
    let (inside, rest) = text.split_at_checked(end)?;
    Some((inside, rest.strip_prefix('>')?))
}

/// The only child element of this name; `None` when there is none or `xsi:nil` says that there is nothing in it.
pub(super) fn child<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &str,
    name: &str,
) -> Option<Node<'a, 'i>> {
    children(node, namespace, name).next()
}

/// The child elements of this name that are not nil.
pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &str,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| {
        let tag = child.tag_name();
        child.is_element()
            && tag.name() == name
            && tag.namespace() == Some(namespace)
            && !matches!(child.attribute((INSTANCE, "nil")), Some("true" | "1"))
    })
}

/// The text of an element, without the white space around it; empty for none.
pub(super) fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default().trim()
}

/// An address or a name of a kind, without white space, which some writers put into it.
pub(super) fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

/// An answer that this client does not take.
pub(super) fn no_answer(problem: &str) -> Error {
    Error::new(
        ErrorClass::Protocol,
        format!("the service's answer is none of this protocol: {problem}"),
    )
}

/// The element in the body of an answer with this action.
pub(super) fn body_of<'a>(
    document: &'a Document<'_>,
    action: &str,
    message_id: Option<&str>,
    effect: Effect,
) -> Result<NodeId, Error> {
    let envelope = document.root_element();
    if envelope.tag_name().name() != "Envelope" || envelope.tag_name().namespace() != Some(ENVELOPE)
    {
        return Err(no_answer("no envelope of SOAP 1.2"));
    }
    let body = child(envelope, ENVELOPE, "Body").ok_or_else(|| no_answer("no body"))?;
    let mut elements = body.children().filter(Node::is_element);
    let only: Node<'a, '_> = elements.next().ok_or_else(|| no_answer("an empty body"))?;
    if elements.next().is_some() {
        return Err(no_answer("more than one element in the body"));
    }
    if only.tag_name().name() == "Fault" && only.tag_name().namespace() == Some(ENVELOPE) {
        return Err(super::fault::read(only).error(effect));
    }
    let header = child(envelope, ENVELOPE, "Header").ok_or_else(|| no_answer("no header"))?;
    let answered = child(header, ADDRESSING, "Action")
        .map(|node| joined(text(node)))
        .ok_or_else(|| no_answer("no action"))?;
    if answered != action {
        return Err(no_answer(&format!(
            "an unexpected action, {}",
            words(answered.as_bytes())
        )));
    }
    // MS-XCEP's own examples leave it out.
    if let (Some(sent), Some(relates)) = (message_id, child(header, ADDRESSING, "RelatesTo"))
        && text(relates) != sent
    {
        return Err(no_answer("it answers another request than ours"));
    }
    Ok(only.id())
}

#[cfg(test)]
mod tests;
