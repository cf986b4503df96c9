//! An algorithm in the words of CycloneDX 1.6, and how one is written down shortly.

/// An algorithm with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// Its usual name.
    pub(super) name: &'static str,
    /// `primitive` of CycloneDX.
    pub(super) primitive: &'static str,
    /// `parameterSetIdentifier`: length of the key or of the digest, in bits.
    pub(super) parameters: Option<&'static str>,
    /// `curve`.
    pub(super) curve: Option<&'static str>,
    /// `mode`.
    pub(super) mode: Option<&'static str>,
    /// `padding`.
    pub(super) padding: Option<&'static str>,
    /// `cryptoFunctions`.
    pub(super) functions: &'static [&'static str],
    /// Its object identifier, where it has one.
    pub(super) oid: Option<&'static str>,
    /// `nistQuantumSecurityLevel`: the category of NIST's post-quantum call, 0 for what a quantum computer breaks.
    pub(super) quantum: Option<u8>,
}

/// An algorithm without further parameters.
pub(super) const fn plain(
    name: &'static str,
    primitive: &'static str,
    functions: &'static [&'static str],
) -> Algorithm {
    Algorithm {
        name,
        primitive,
        parameters: None,
        curve: None,
        mode: None,
        padding: None,
        functions,
        oid: None,
        quantum: None,
    }
}

pub(super) const fn hash(name: &'static str, bits: &'static str, oid: &'static str) -> Algorithm {
    Algorithm {
        parameters: Some(bits),
        oid: Some(oid),
        ..plain(name, "hash", &["digest"])
    }
}

pub(super) const fn hmac(name: &'static str, oid: &'static str) -> Algorithm {
    Algorithm {
        oid: Some(oid),
        ..plain(name, "mac", &["tag"])
    }
}

pub(super) const fn kdf(name: &'static str) -> Algorithm {
    plain(name, "kdf", &["keyderive"])
}

/// AES of 128, 192 or 256 bits, in this mode.
pub(super) const fn aes(
    name: &'static str,
    bits: &'static str,
    mode: &'static str,
    oid: &'static str,
) -> Algorithm {
    let quantum = match bits.as_bytes() {
        b"128" => 1,
        b"192" => 3,
        _ => 5,
    };
    let primitive = match mode.as_bytes() {
        b"cbc" => "block-cipher",
        _ => "ae",
    };
    Algorithm {
        parameters: Some(bits),
        mode: Some(mode),
        oid: Some(oid),
        quantum: Some(quantum),
        ..plain(name, primitive, &["encrypt", "decrypt"])
    }
}

pub(super) const fn triple_des(functions: &'static [&'static str]) -> Algorithm {
    Algorithm {
        mode: Some("cbc"),
        oid: Some("1.2.840.113549.3.7"),
        ..plain("DES-EDE3-CBC", "block-cipher", functions)
    }
}

/// What is on a curve, and broken by Shor's algorithm like all of it.
const fn on_curve(
    name: &'static str,
    primitive: &'static str,
    curve: &'static str,
    functions: &'static [&'static str],
    oid: Option<&'static str>,
) -> Algorithm {
    Algorithm {
        curve: Some(curve),
        oid,
        quantum: Some(0),
        ..plain(name, primitive, functions)
    }
}

pub(super) const fn ec_key(name: &'static str, curve: &'static str) -> Algorithm {
    on_curve(name, "other", curve, &["keygen"], Some("1.2.840.10045.2.1"))
}

pub(super) const fn ecdh(name: &'static str, curve: &'static str) -> Algorithm {
    on_curve(name, "key-agree", curve, &["keygen", "other"], None)
}

pub(super) const fn ecdsa(
    name: &'static str,
    curve: &'static str,
    oid: &'static str,
    functions: &'static [&'static str],
) -> Algorithm {
    on_curve(name, "signature", curve, functions, Some(oid))
}

/// RSA keys and schemes, broken by Shor's algorithm like all of it.
pub(super) const fn rsa(
    name: &'static str,
    primitive: &'static str,
    padding: Option<&'static str>,
    oid: &'static str,
    functions: &'static [&'static str],
) -> Algorithm {
    Algorithm {
        padding,
        oid: Some(oid),
        quantum: Some(0),
        ..plain(name, primitive, functions)
    }
}
