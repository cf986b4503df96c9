//! Revocations within their bounds. Whether a connector carries them out is its own configuration's and its own brake's to say.

use super::{MAX_CERTIFICATE_BYTES, MAX_USER_BYTES, bounded, lower_hex, name, refused};
use crate::gateway::error::ApiError;
use crate::gateway::revocation_api::{
    CertificateName, MAX_AT_ONCE, MAX_ISSUERS, RevocationLeaseRequest, RevocationRequest,
    RevocationState,
};
use crate::gateway::store::NamedCertificate;
use der::{Decode, Encode};

/// The largest Name, in bytes.
const MAX_NAME_DER_BYTES: usize = 4 * 1024;
/// The longest serial number, in octets: RFC 5280 (section 4.1.2.2) has 20, and there are authorities with one more.
const MAX_SERIAL_BYTES: usize = 21;
/// The longest time until a revocation is tried again: an hour, in milliseconds.
const MAX_RESUME_MS: u64 = 3_600_000;

/// A call, as the certificates that it names.
pub(in crate::gateway) fn request(
    request: &RevocationRequest,
) -> Result<Vec<NamedCertificate>, ApiError> {
    if !(1..=MAX_AT_ONCE).contains(&request.certificates.len()) {
        return Err(refused("certificates", &format!("1 to {MAX_AT_ONCE}")));
    }
    if let Some(key) = &request.idempotency_key {
        name("idempotencyKey", key)?;
    }
    request.certificates.iter().map(named).collect()
}

fn named(one: &CertificateName) -> Result<NamedCertificate, ApiError> {
    match (
        one.issuer.is_empty(),
        &one.serial_number,
        &one.request_id,
        one.certificate.is_empty(),
    ) {
        (false, Some(serial), None, true) => Ok(NamedCertificate::Issued {
            issuer: issuer(one.issuer.as_slice())?,
            serial: serial_of(serial)?,
            certificate: None,
        }),
        (true, None, Some(id), true) => {
            name("certificates.requestId", id)?;
            Ok(NamedCertificate::Request(id.clone()))
        }
        (true, None, None, false) => certificate(one.certificate.as_slice()),
        _ => Err(refused(
            "certificates",
            "each is named in one way: issuer with serialNumber, requestId, or certificate",
        )),
    }
}

fn issuer(der: &[u8]) -> Result<Vec<u8>, ApiError> {
    bounded("certificates.issuer", der, MAX_NAME_DER_BYTES)?;
    x509_cert::name::Name::from_der(der)
        .map_err(|_| refused("certificates.issuer", "no Name in DER"))?;
    Ok(der.to_vec())
}

/// The content octets of the positive INTEGER that the digits are.
fn serial_of(digits: &str) -> Result<Vec<u8>, ApiError> {
    let wrong = || {
        refused(
            "certificates.serialNumber",
            &format!("an even number of hexadecimal digits, {MAX_SERIAL_BYTES} octets at most"),
        )
    };
    let bytes = crate::encoding::from_hex(digits)
        .filter(|bytes| (1..=MAX_SERIAL_BYTES).contains(&bytes.len()))
        .ok_or_else(wrong)?;
    let first = bytes.iter().position(|byte| *byte != 0);
    let significant = bytes.get(first.unwrap_or(0)..).unwrap_or_default();
    let mut serial = Vec::with_capacity(significant.len() + 1);
    if first.is_none() {
        return Ok(vec![0]);
    }
    if significant.first().is_some_and(|byte| *byte >= 0x80) {
        serial.push(0);
    }
    serial.extend_from_slice(significant);
    Ok(serial)
}

fn certificate(der: &[u8]) -> Result<NamedCertificate, ApiError> {
    bounded("certificates.certificate", der, MAX_CERTIFICATE_BYTES)?;
    let wrong = || refused("certificates.certificate", "no certificate in DER");
    let parsed = x509_cert::Certificate::from_der(der).map_err(|_| wrong())?;
    let tbs = parsed.tbs_certificate();
    Ok(NamedCertificate::Issued {
        issuer: issuer(&tbs.issuer().to_der().map_err(|_| wrong())?)?,
        serial: tbs.serial_number().as_bytes().to_vec(),
        certificate: Some(der.to_vec()),
    })
}

/// The issuers that a connector has authorities for.
pub(in crate::gateway) fn lease(request: &RevocationLeaseRequest) -> Result<(), ApiError> {
    super::connector(&request.connector)?;
    if !(1..=MAX_ISSUERS).contains(&request.issuers.len()) {
        return Err(refused("issuers", &format!("1 to {MAX_ISSUERS}")));
    }
    request
        .issuers
        .iter()
        .try_for_each(|issuer| lower_hex("issuers", issuer, 64))
}

/// How much later a revocation is tried again.
pub(in crate::gateway) fn resume_ms(ms: u64) -> Result<u64, ApiError> {
    if ms > MAX_RESUME_MS {
        return Err(refused("resumeMs", &format!("{MAX_RESUME_MS} at most")));
    }
    Ok(ms)
}

/// What a list is of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct ListQuery {
    pub(in crate::gateway) device_id: Option<String>,
    pub(in crate::gateway) state: Option<RevocationState>,
    pub(in crate::gateway) after: Option<i64>,
}

/// The query of the list of revocations.
pub(in crate::gateway) fn list_query(query: &str) -> Result<ListQuery, ApiError> {
    const SUPPORTED: &str = "supported: deviceId=<id> (percent-encoded), state=queued|held|leased|completed|failed, after=<number>, each once";
    let wrong = || refused("the query", SUPPORTED);
    let mut found = ListQuery::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        match key {
            "deviceId" if found.device_id.is_none() => {
                let value = crate::gateway::odata::percent_decode(value)
                    .filter(|value| (1..=MAX_USER_BYTES).contains(&value.len()));
                found.device_id = Some(value.ok_or_else(wrong)?);
            }
            "state" if found.state.is_none() => {
                found.state = Some(RevocationState::of_name(value).ok_or_else(wrong)?);
            }
            "after" if found.after.is_none() => {
                found.after = Some(value.parse().map_err(|_| wrong())?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn serial_numbers_become_the_octets_of_their_integer() {
        for (digits, octets) in [
            ("00", vec![0]),
            ("0000", vec![0]),
            ("7f", vec![0x7f]),
            ("80", vec![0, 0x80]),
            ("0080", vec![0, 0x80]),
            ("000102", vec![1, 2]),
            ("FF01", vec![0, 0xff, 1]),
        ] {
            assert_eq!(serial_of(digits).unwrap(), octets, "{digits}");
        }
        for wrong in ["", "1", "xy", "0x12", &"11".repeat(22)] {
            assert!(serial_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_says_what_it_is_of_or_is_refused() {
        let found = list_query("deviceId=a%20b&state=held&after=7").unwrap();
        assert_eq!(found.device_id.as_deref(), Some("a b"));
        assert_eq!(found.state, Some(RevocationState::Held));
        assert_eq!(found.after, Some(7));
        for wrong in [
            "state=lost",
            "state=held&state=held",
            "x=1",
            "after=a",
            "held",
        ] {
            assert!(list_query(wrong).is_err(), "{wrong}");
        }
    }
}
