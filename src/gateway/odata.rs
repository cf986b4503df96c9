//! The query options of the record list: exactly the forms that Graph documents for it, and nothing else.
//!
//! ```text
//! $filter    = user [ "and" cert ]
//! user       = ( "tolower(userPrincipalName)" | "userPrincipalName" ) "eq" literal
//! cert       = ( "tolower(thumbprint)" | "thumbprint" ) "eq" literal
//! literal    = "'" characters, a quote doubled "'"
//! ```

use super::error::ApiError;
use super::store::{ListQuery, user_key};
use crate::encoding::{from_hex, hex};

/// Records on a page when the caller does not say.
pub(super) const DEFAULT_PAGE: u32 = 100;
/// The largest page.
pub(super) const MAX_PAGE: u32 = 500;
/// The longest query that is looked at, in bytes.
const MAX_QUERY_BYTES: usize = 4096;

const SUPPORTED: &str = "supported: $filter=tolower(userPrincipalName) eq '<upn>', optionally followed by \
                         and tolower(thumbprint) eq '<thumbprint>' (each also without tolower), $top and $skiptoken";

fn unsupported(what: &str) -> ApiError {
    ApiError::bad_request(format!("{what}; {SUPPORTED}"))
}

/// Reads the query of a list.
///
/// # Errors
/// 400 for everything but the documented forms, saying what is supported.
pub(super) fn list_query(query: &str) -> Result<ListQuery, ApiError> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(unsupported("the query is too long"));
    }
    let mut list = ListQuery {
        limit: DEFAULT_PAGE,
        ..ListQuery::default()
    };
    let mut seen: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| percent_decode(text).ok_or_else(|| unsupported("bad percent-encoding"));
        let name = decode(name)?;
        let value = decode(value)?;
        if seen.contains(&name) {
            return Err(unsupported("an option stands twice"));
        }
        match name.as_str() {
            "$filter" => {
                let (user, thumbprint) = Parser::new(&value)
                    .filter()
                    .ok_or_else(|| unsupported("this $filter is not supported"))?;
                list.user_key = Some(user_key(&user));
                list.thumbprint = thumbprint.map(|thumbprint| thumbprint.to_ascii_lowercase());
            }
            "$top" => {
                list.limit = value
                    .parse()
                    .ok()
                    .filter(|top| (1..=MAX_PAGE).contains(top))
                    .ok_or_else(|| unsupported(&format!("$top is 1 to {MAX_PAGE}")))?;
            }
            "$skiptoken" => {
                list.after = Some(
                    from_hex(&value)
                        .and_then(|bytes| String::from_utf8(bytes).ok())
                        .ok_or_else(|| unsupported("$skiptoken is not one of this service's"))?,
                );
            }
            _ => return Err(unsupported("this query option is not supported")),
        }
        seen.push(name);
    }
    Ok(list)
}

/// The link to the page after the record `last`: the caller's own query with another `$skiptoken`.
pub(super) fn next_link(base: &str, path: &str, query: &str, last: &str) -> String {
    let mut link = format!("{base}{path}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = percent_decode(pair.split('=').next().unwrap_or(pair));
        if name.as_deref() != Some("$skiptoken") {
            link.push_str(pair);
            link.push('&');
        }
    }
    link.push_str("$skiptoken=");
    link.push_str(&hex(last.as_bytes()));
    link
}

/// RFC 3986 section 2.1. A plus stays one: what it means depends on where it stands.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            let pair = std::str::from_utf8(&pair).ok()?;
            bytes.extend(from_hex(pair)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    /// Spaces; outside a literal a plus is one too (form encoding). Inside it is a plus: user names have no spaces.
    fn spaces(&mut self) -> bool {
        let trimmed = self.rest.trim_start_matches([' ', '+']);
        let any = trimmed.len() != self.rest.len();
        self.rest = trimmed;
        any
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn name(&mut self, name: &str) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix("tolower(") {
            self.rest = rest;
            self.spaces();
            self.word(name)?;
            self.spaces();
            return self.word(")");
        }
        self.word(name)
    }

    fn literal(&mut self) -> Option<String> {
        self.word("'")?;
        let mut text = String::new();
        loop {
            let (part, rest) = self.rest.split_once('\'')?;
            text.push_str(part);
            self.rest = rest;
            let Some(rest) = rest.strip_prefix('\'') else {
                break;
            };
            text.push('\'');
            self.rest = rest;
        }
        (!text.is_empty() && !text.contains(char::is_control)).then_some(text)
    }

    fn comparison(&mut self, name: &str) -> Option<String> {
        self.name(name)?;
        self.spaces().then_some(())?;
        self.word("eq")?;
        self.spaces().then_some(())?;
        self.literal()
    }

    fn filter(mut self) -> Option<(String, Option<String>)> {
        self.spaces();
        let user = self.comparison("userPrincipalName")?;
        let spaced = self.spaces();
        if self.rest.is_empty() {
            return Some((user, None));
        }
        spaced.then_some(())?;
        self.word("and")?;
        self.spaces().then_some(())?;
        let thumbprint = self.comparison("thumbprint")?;
        self.spaces();
        self.rest.is_empty().then_some((user, Some(thumbprint)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{ListQuery, list_query, next_link};

    fn read(query: &str) -> Option<ListQuery> {
        list_query(query).ok()
    }

    #[test]
    fn the_documented_filters_are_understood() {
        for (query, user, thumbprint) in [
            ("$filter=tolower(userPrincipalName) eq 'a@b'", "a@b", None),
            (
                "$filter=tolower(userPrincipalName)%20eq%20%27a%40b%27",
                "a@b",
                None,
            ),
            (
                "%24filter=tolower(userPrincipalName)+eq+'a%40b'",
                "a@b",
                None,
            ),
            ("$filter=userPrincipalName eq 'A@B'", "a@b", None),
            ("$filter=userPrincipalName eq 'o''neil@b'", "o'neil@b", None),
            ("$filter=userPrincipalName eq 'a+b@c'", "a+b@c", None),
            ("$filter=userPrincipalName eq 'a%2Bb@c'", "a+b@c", None),
            ("$filter=userPrincipalName eq '%C3%84@b'", "ä@b", None),
            (
                "$filter=tolower(userPrincipalName) eq 'a@b' and tolower(thumbprint) eq 'AB12'",
                "a@b",
                Some("ab12"),
            ),
            (
                "$filter=userPrincipalName eq 'a@b' and thumbprint eq 'ab'&$top=5",
                "a@b",
                Some("ab"),
            ),
        ] {
            let list = read(query).unwrap();
            assert_eq!(list.user_key.as_deref(), Some(user), "{query}");
            assert_eq!(list.thumbprint.as_deref(), thumbprint, "{query}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_supported() {
        let long = format!("$filter=userPrincipalName eq '{}'", "a".repeat(9000));
        for query in [
            "$filter=",
            "$filter",
            "$filter=thumbprint eq 'ab'",
            "$filter=userPrincipalName eq a@b",
            "$filter=userPrincipalName eq 'a@b",
            "$filter=userPrincipalName eq 'a@b''",
            "$filter=userPrincipalName eq ''",
            "$filter=userPrincipalName ne 'a@b'",
            "$filter=userPrincipalName eq 'a@b' or 1 eq 1",
            "$filter=userPrincipalName eq 'a@b'and thumbprint eq 'a'",
            "$filter=userPrincipalName eq 'a@b' and thumbprint eq 'a' and thumbprint eq 'b'",
            "$filter=userPrincipalName eq 'a' or userPrincipalName eq 'b'",
            "$filter=toupper(userPrincipalName) eq 'a@b'",
            "$filter=tolower(userPrincipalName eq 'a@b'",
            "$filter=userPrincipalName eq 'a%00b'",
            "$filter=userPrincipalName eq 'a%zzb'",
            "$filter=userPrincipalName eq 'a%c3'",
            "$filter=userPrincipalName eq 'a%",
            "$filter=startswith(userPrincipalName,'a')",
            "$filter=userPrincipalName eq 'a' -- ",
            "$filter=userPrincipalName eq 'a'&$filter=userPrincipalName eq 'b'",
            "$top=0",
            "$top=-1",
            "$top=501",
            "$top=99999999999999999999",
            "$skiptoken=zz",
            "$skiptoken=ff",
            "$select=id",
            "$orderby=id",
            "filter=x",
            long.as_str(),
        ] {
            let error = list_query(query).unwrap_err();
            assert_eq!(error.status.as_u16(), 400, "{query}");
            assert!(
                error.message.contains("tolower(userPrincipalName) eq"),
                "{query}"
            );
        }
    }

    #[test]
    fn the_next_link_keeps_the_query_and_reads_back() {
        let query = "$filter=userPrincipalName%20eq%20'a@b'&$top=2&%24skiptoken=00";
        let link = next_link("https://h:1", "/x", query, "id-9");
        let (head, tail) = link.split_once('?').unwrap();
        assert_eq!(head, "https://h:1/x");
        let list = read(tail).unwrap();
        assert_eq!(list.after.as_deref(), Some("id-9"));
        assert_eq!((list.limit, list.user_key.as_deref()), (2, Some("a@b")));
    }
}
