//! The expiry calendar: everything with an end that a service depends on, the one that ends first at the top.
//!
//! ```text
//! connector: its files, its identity, what its authorities say --+
//! engine: anchors, authorities' certificates, lists, keys ------>+--> Book --calendar(now)--> status, doctor, metrics, health
//! gateway: its files, its tokens --------------------------------+       `--due(now)--------> an event for each level, once
//! ```
//!
//! A [`Dated`] is what is known, an [`Entry`] what that means now. The clock is the caller's: nothing here asks what time it is. What a
//! service reads once it reports as it read it: a file that was exchanged counts when the service has taken it over.

mod book;
mod level;
mod sources;
mod table;

pub use book::{Book, Source, Turn};
pub use level::Level;
pub use sources::{authority_files, connector, gateway, import, local_ca};
pub use table::table;

use crate::clock::rfc3339;
use der::Decode;
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;

/// Entries of one calendar: those that end first. More are counted, not shown.
pub const MAX_ENTRIES: usize = 256;
/// Certificates of one file that are entered: those that end first.
const MAX_OF_FILE: usize = 32;
/// The longest subject that is shown, in bytes.
const MAX_SUBJECT_BYTES: usize = 256;

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $words:literal;)+) => {
        /// What it is that ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $kind,)+
            /// Something that a newer release knows.
            #[serde(other, rename = "other")]
            Other,
        }

        impl Kind {
            /// Every kind of this release.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// Its stable name: the label `kind` of the metric.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ Self::Other => "other" }
            }

            /// The same for people.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$kind => $words,)+ Self::Other => "something that a newer release knows" }
            }
        }
    };
}

kinds! {
    /// The certificate that the connector shows to the gateway, and those of its chain.
    ConnectorCertificate = "connector-certificate", "the connector's certificate";
    /// The gateway's certificate, and those of its chain.
    GatewayCertificate = "gateway-certificate", "the gateway's certificate";
    /// What the gateway's certificate has to chain to.
    GatewayCa = "gateway-ca", "authority of the gateway's certificate";
    /// What connectors' certificates have to chain to.
    ConnectorCa = "connector-ca", "authority of connectors' certificates";
    /// A bearer token of the gateway.
    GatewayToken = "gateway-token", "token of the gateway";
    /// What an authority's certificates have to chain to.
    AuthorityRoot = "authority-root", "root of an authority";
    /// What may lie between.
    AuthorityIntermediate = "authority-intermediate", "intermediate of an authority";
    /// What the certificate of an authority's server has to chain to.
    AuthorityServerCa = "authority-server-ca", "authority of an authority's server";
    /// Whose signatures of an authority's answers are believed.
    AuthoritySigner = "authority-signer", "signer of an authority's answers";
    /// The certificate by which an authority knows the connector.
    AuthorityCredential = "authority-credential", "credential at an authority";
    /// The certificate of an authority whose key is on the token.
    LocalCa = "local-ca", "certificate of a local authority";
    /// The newest revocation list of such an authority (nextUpdate).
    Crl = "crl", "revocation list of a local authority";
    /// The delegated certificate of its OCSP responder.
    OcspResponder = "ocsp-responder", "OCSP responder of a local authority";
    /// The authorities that vouch for devices.
    DeviceAnchor = "device-anchor", "authority of devices' certificates";
    /// A revocation list of devices (nextUpdate).
    DeviceCrl = "device-crl", "revocation list of devices";
    /// An importer's certificate. Its key alone counts, so nothing fails at its end.
    Importer = "importer", "an importer's certificate";
    /// The last day on which a custody key decrypts records of old imports.
    Pkcs1Key = "pkcs1-key", "custody key for PKCS#1 v1.5";
}

/// What happens when it is over.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing: it is made anew when it is needed, or its end does not count. It is shown, and nobody is called.
    Informs,
    /// A part of the work stops.
    #[default]
    Weakens,
    /// The service stops.
    Stops,
}

/// Something with an end, as it was read. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dated {
    /// What it is.
    pub kind: Kind,
    /// Where it is from: a key of the configuration, with a number in brackets where that has several. With the kind it is unique.
    pub name: String,
    /// What it calls itself (RFC 4514), not to be trusted as a text; may be empty.
    #[serde(default)]
    pub subject: String,
    /// The beginning in milliseconds since 1970, where it has one.
    #[serde(default)]
    pub begins_ms: Option<i64>,
    /// The end in milliseconds since 1970.
    pub ends_ms: i64,
    /// What happens then.
    #[serde(default)]
    pub effect: Effect,
}

impl Dated {
    /// A certificate (DER); `None` when it cannot be read.
    #[must_use]
    pub fn certificate(
        kind: Kind,
        name: impl Into<String>,
        der: &[u8],
        effect: Effect,
    ) -> Option<Self> {
        let facts = Facts::of(der)?;
        let mut subject = facts.subject;
        subject.truncate(subject.floor_char_boundary(MAX_SUBJECT_BYTES));
        Some(Self {
            kind,
            name: name.into(),
            subject,
            begins_ms: Some(facts.not_before_ms),
            ends_ms: facts.not_after_ms,
            effect,
        })
    }

    /// Certificates (DER) of one place that belong together, as a chain does: the end of any is the end of all. One has the place's name, several
    /// their numbers behind it.
    #[must_use]
    pub fn chain<'a>(
        kind: Kind,
        name: &str,
        ders: impl IntoIterator<Item = &'a [u8]>,
        effect: Effect,
    ) -> Vec<Self> {
        let ders: Vec<_> = ders.into_iter().collect();
        let several = ders.len() > 1;
        let mut found: Vec<_> = ders
            .into_iter()
            .enumerate()
            .filter_map(|(place, der)| {
                let name = if several {
                    format!("{name}[{}]", place + 1)
                } else {
                    name.to_owned()
                };
                Self::certificate(kind, name, der, effect)
            })
            .collect();
        found.sort_by_key(|one| one.ends_ms);
        found.truncate(MAX_OF_FILE);
        found
    }

    /// Certificates (DER) of one place of which each counts by itself, as anchors do: only with the last of them does all end.
    #[must_use]
    pub fn anchors<'a>(
        kind: Kind,
        name: &str,
        ders: impl IntoIterator<Item = &'a [u8]>,
        effect: Effect,
    ) -> Vec<Self> {
        let ders: Vec<_> = ders.into_iter().collect();
        let last = ders
            .iter()
            .filter_map(|der| Facts::of(der))
            .map(|facts| facts.not_after_ms)
            .max();
        let mut found = Self::chain(kind, name, ders, effect.min(Effect::Weakens));
        for one in &mut found {
            if Some(one.ends_ms) == last {
                one.effect = effect;
            }
        }
        found
    }

    /// What it means at this time (milliseconds since 1970).
    #[must_use]
    pub fn at(&self, now_ms: i64) -> Entry {
        Entry {
            kind: self.kind,
            name: self.name.clone(),
            subject: self.subject.clone(),
            not_before: self.begins_ms.map(rfc3339),
            not_after: rfc3339(self.ends_ms),
            not_after_ms: self.ends_ms,
            days_left: self.ends_ms.saturating_sub(now_ms).div_euclid(DAY_MS),
            level: Level::of(self.begins_ms, self.ends_ms, now_ms),
            effect: self.effect,
        }
    }
}

/// A line of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it is from.
    pub name: String,
    /// What it calls itself; may be empty.
    pub subject: String,
    /// Its beginning, RFC 3339; null where it has none.
    pub not_before: Option<String>,
    /// Its end, RFC 3339.
    pub not_after: String,
    /// Its end in milliseconds since 1970.
    pub not_after_ms: i64,
    /// Whole days until then; negative when it is over.
    pub days_left: i64,
    /// How near that is.
    pub level: Level,
    /// What happens then.
    pub effect: Effect,
}

impl Entry {
    /// Whether somebody has to act.
    #[must_use]
    pub fn calls(&self) -> bool {
        self.level > Level::Fine && self.effect > Effect::Informs
    }

    /// Whether the service does not work because of it.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.level == Level::Expired && self.effect == Effect::Stops
    }

    /// For people: what, where, and when.
    #[must_use]
    pub fn says(&self) -> String {
        let end = match (self.level, self.days_left) {
            (Level::Expired, _) => format!("expired at {}", self.not_after),
            (_, 0) => format!("ends in less than a day, at {}", self.not_after),
            (_, 1) => format!("ends in 1 day, at {}", self.not_after),
            (_, days) => format!("ends in {days} days, at {}", self.not_after),
        };
        format!("{} ({}) {end}", self.kind.words(), self.name)
    }
}

/// What ends when, the first end first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    /// The entries, at most [`MAX_ENTRIES`].
    pub entries: Vec<Entry>,
    /// How many more there are, all of which end later.
    #[serde(default)]
    pub omitted: usize,
}

impl Calendar {
    /// Of what is known, at this time (milliseconds since 1970).
    #[must_use]
    pub fn of<'a>(dated: impl IntoIterator<Item = &'a Dated>, now_ms: i64) -> Self {
        let mut dated: Vec<_> = dated.into_iter().collect();
        dated.sort_by(|one, other| {
            (one.ends_ms, one.kind, &one.name).cmp(&(other.ends_ms, other.kind, &other.name))
        });
        Self {
            omitted: dated.len().saturating_sub(MAX_ENTRIES),
            entries: dated
                .iter()
                .take(MAX_ENTRIES)
                .map(|one| one.at(now_ms))
                .collect(),
        }
    }

    /// Those for which somebody has to act.
    pub fn calling(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.calls())
    }

    /// How many are at this level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.level == level)
            .count()
    }
}

/// What a certificate says of itself, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its subject (RFC 4514), not to be trusted as a text.
    pub subject: String,
    /// Milliseconds since 1970.
    pub not_before_ms: i64,
    /// Milliseconds since 1970.
    pub not_after_ms: i64,
}

impl Facts {
    /// Of a certificate (DER); `None` when it cannot be read.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let ms = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX)
        };
        let validity = tbs.validity();
        Some(Self {
            subject: tbs.subject().to_string(),
            not_before_ms: ms(validity.not_before),
            not_after_ms: ms(validity.not_after),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
    use super::*;

    fn dated(name: &str, ends_ms: i64) -> Dated {
        Dated {
            kind: Kind::Crl,
            name: name.to_owned(),
            subject: String::new(),
            begins_ms: None,
            ends_ms,
            effect: Effect::Weakens,
        }
    }

    #[test]
    fn the_first_end_is_first_and_what_is_too_much_is_counted() {
        let many: Vec<_> = (0..300)
            .rev()
            .map(|day| dated(&day.to_string(), day * DAY_MS))
            .collect();
        let calendar = Calendar::of(&many, 10 * DAY_MS);
        assert_eq!(
            (calendar.entries.len(), calendar.omitted),
            (MAX_ENTRIES, 44)
        );
        assert_eq!(calendar.entries[0].days_left, -10);
        assert!(
            calendar
                .entries
                .is_sorted_by_key(|entry| entry.not_after_ms)
        );
        assert_eq!(
            calendar.count(Level::Expired),
            11,
            "the day that begins is over as well"
        );
    }

    #[test]
    fn what_nothing_depends_on_calls_nobody() {
        let mut one = dated("a", 0);
        assert!(one.at(1).calls() && !one.at(1).stops());
        one.effect = Effect::Informs;
        assert!(!one.at(1).calls());
        one.effect = Effect::Stops;
        assert!(one.at(1).stops() && !one.at(-1).stops());
    }

    #[test]
    fn a_kind_of_a_newer_release_is_read_as_something() {
        let text = r#"{"kind":"warp-core","name":"x","endsMs":1}"#;
        let read: Dated = serde_json::from_str(text).unwrap();
        assert_eq!((read.kind, read.effect), (Kind::Other, Effect::Weakens));
        for kind in Kind::ALL {
            let text = serde_json::to_string(kind).unwrap();
            assert_eq!(text, format!("{:?}", kind.name()));
            assert_eq!(serde_json::from_str::<Kind>(&text).unwrap(), *kind);
        }
    }
}
