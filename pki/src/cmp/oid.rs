//! Object identifiers of CMP, CRMF and their algorithms, in words.

use der::asn1::ObjectIdentifier as Oid;

const fn oid(text: &str) -> Oid {
    Oid::new_unwrap(text)
}

/// id-it-caCerts (RFC 9810, section 5.3.19.14).
pub const CA_CERTS: Oid = oid("1.3.6.1.5.5.7.4.17");
/// id-it-rootCaKeyUpdate (RFC 9810, section 5.3.19.15).
pub const ROOT_CA_KEY_UPDATE: Oid = oid("1.3.6.1.5.5.7.4.18");
/// id-it-certReqTemplate (RFC 9810, section 5.3.19.16).
pub const CERT_REQ_TEMPLATE: Oid = oid("1.3.6.1.5.5.7.4.19");
/// id-it-rootCaCert (RFC 9810, section 5.3.19.15).
pub const ROOT_CA_CERT: Oid = oid("1.3.6.1.5.5.7.4.20");
/// id-it-certProfile (RFC 9810, section 5.1.1.4).
pub const CERT_PROFILE: Oid = oid("1.3.6.1.5.5.7.4.21");
/// id-it-implicitConfirm (RFC 9810, section 5.1.1.1).
pub const IMPLICIT_CONFIRM: Oid = oid("1.3.6.1.5.5.7.4.13");

/// id-regCtrl-oldCertID (RFC 4211, section 6.5).
pub(super) const OLD_CERT_ID: Oid = oid("1.3.6.1.5.5.7.5.1.5");
/// id-regCtrl-algId (RFC 9810, section 5.3.19.16).
pub(super) const CTRL_ALG_ID: Oid = oid("1.3.6.1.5.5.7.5.1.11");
/// id-regCtrl-rsaKeyLen (RFC 9810, section 5.3.19.16).
pub(super) const CTRL_RSA_KEY_LEN: Oid = oid("1.3.6.1.5.5.7.5.1.12");

/// id-ce-cRLReasons (RFC 5280, section 5.3.1).
pub(super) const REASON_CODE: Oid = oid("2.5.29.21");

/// id-kp-cmcCA (RFC 6402): a certification authority's own protocol signer.
pub(super) const KP_CMC_CA: Oid = oid("1.3.6.1.5.5.7.3.27");
/// id-kp-cmcRA (RFC 6402): a registration authority.
pub(super) const KP_CMC_RA: Oid = oid("1.3.6.1.5.5.7.3.28");

/// id-PasswordBasedMac (RFC 9810, section 5.1.3.1).
pub(super) const PASSWORD_BASED_MAC: Oid = oid("1.2.840.113533.7.66.13");
/// id-PBMAC1 (RFC 8018, appendix A.5).
pub(super) const PBMAC1: Oid = oid("1.2.840.113549.1.5.14");
/// id-PBKDF2 (RFC 8018, appendix A.2).
pub(super) const PBKDF2: Oid = oid("1.2.840.113549.1.5.12");
/// hMAC-SHA1 (RFC 9481, section 6.1.1).
pub(super) const HMAC_SHA1_OF_CMP: Oid = oid("1.3.6.1.5.5.8.1.2");
/// id-hmacWithSHA1 (RFC 8018, appendix B.1).
pub(super) const HMAC_SHA1: Oid = oid("1.2.840.113549.2.7");
/// id-hmacWithSHA256 (RFC 8018, appendix B.1).
pub(super) const HMAC_SHA256: Oid = oid("1.2.840.113549.2.9");
/// id-hmacWithSHA384 (RFC 8018, appendix B.1).
pub(super) const HMAC_SHA384: Oid = oid("1.2.840.113549.2.10");
/// id-hmacWithSHA512 (RFC 8018, appendix B.1).
pub(super) const HMAC_SHA512: Oid = oid("1.2.840.113549.2.11");
/// id-sha1.
pub(super) const SHA1: Oid = oid("1.3.14.3.2.26");
/// id-sha256.
pub(super) const SHA256: Oid = oid("2.16.840.1.101.3.4.2.1");
/// id-sha384.
pub(super) const SHA384: Oid = oid("2.16.840.1.101.3.4.2.2");
/// id-sha512.
pub(super) const SHA512: Oid = oid("2.16.840.1.101.3.4.2.3");

/// id-at-commonName (X.520).
pub(super) const COMMON_NAME: Oid = oid("2.5.4.3");
