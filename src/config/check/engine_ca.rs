//! `[[engine.ca]]`.

use super::Findings;
use super::engine::is_name;
use crate::config::{CaConfig, CaProfileConfig, CaPurpose, EngineConfig, EngineException};
use std::collections::BTreeSet;

/// The longest URL.
const MAX_URL_BYTES: usize = 512;

pub(super) fn consistent(section: &EngineConfig, findings: &mut Findings) {
    let acknowledged = section.exceptions.contains(&EngineException::CoLocatedCa);
    if !section.ca.is_empty() && !acknowledged {
        findings.add(
            "`engine.ca`: a certification authority's key on the connector's own host has to be acknowledged: name the exception `co-located-ca`",
        );
    }
    let mut names = BTreeSet::new();
    for ca in &section.ca {
        let path = format!("engine.ca.{}", ca.name);
        if !is_name(&ca.name) {
            findings.add(format!(
                "`engine.ca.name` {:?}: 1 to 32 letters, digits, `-`, `_` and `.`",
                ca.name
            ));
        }
        if !names.insert(ca.name.as_str()) {
            findings.add(format!("`engine.ca`: two are called `{}`", ca.name));
        }
        urls(ca, &path, findings);
        if ca.ocsp_key.as_ref() == Some(&ca.signing_key) {
            findings.add(format!(
                "`{path}.ocsp_key` is `signing_key`: the responder needs a key of its own (`ca create --ocsp-key-label`)"
            ));
        }
        if ca.delta_crl_url.is_some() && ca.crl_url.is_none() {
            findings.add(format!("`{path}.delta_crl_url` needs `crl_url`"));
        }
        let mut profiles = BTreeSet::new();
        for profile in &ca.profiles {
            if !is_name(&profile.name) || !profiles.insert(profile.name.as_str()) {
                findings.add(format!(
                    "`{path}.profiles`: `{}` is no name of 1 to 32 letters, digits, `-`, `_` and `.`, or there are two of it",
                    profile.name
                ));
            }
            self::profile(profile, &path, findings);
        }
    }
}

fn urls(ca: &CaConfig, path: &str, findings: &mut Findings) {
    for (key, url) in [
        ("crl_url", &ca.crl_url),
        ("delta_crl_url", &ca.delta_crl_url),
        ("ocsp_url", &ca.ocsp_url),
        ("issuer_url", &ca.issuer_url),
    ] {
        let Some(url) = url else { continue };
        let fine = url.len() <= MAX_URL_BYTES
            && url.bytes().all(|byte| byte.is_ascii_graphic())
            && reqwest::Url::parse(url).is_ok_and(|read| {
                read.scheme() == "http" && read.has_host() && read.username().is_empty()
            });
        if !fine {
            findings.add(format!(
                "`{path}.{key}`: an http:// URL is needed, such as \"http://pki.example.com/issuing.crl\" (what is fetched there is signed; \
                 verifiers do not follow https:// here)"
            ));
        }
    }
}

fn profile(profile: &CaProfileConfig, path: &str, findings: &mut Findings) {
    let path = format!("{path}.profiles.{}", profile.name);
    if profile.keys.is_empty() {
        findings.add(format!(
            "`{path}.keys` is empty: nothing could be certified"
        ));
    }
    for policy in &profile.policies {
        if pki::issue::Profile::policy(policy).is_none() {
            findings.add(format!(
                "`{path}.policies`: {policy:?} is no object identifier, such as \"2.23.140.1.5.1.2\""
            ));
        }
    }
    for domain in &profile.domains {
        let bare = domain.strip_prefix('.').unwrap_or(domain);
        let fine = !bare.is_empty()
            && bare.split('.').all(|label| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            });
        if !fine {
            findings.add(format!(
                "`{path}.domains`: {domain:?} is no domain, such as \"example.com\" or \".example.com\""
            ));
        }
    }
    if profile.path_length > 0 && profile.purpose != CaPurpose::SubordinateAuthority {
        findings.add(format!(
            "`{path}.path_length` is for the purpose `subordinate-authority` alone"
        ));
    }
}
