//! Keys of `[fips]`.

use super::{Key, Kind, Need, Word};
use fips::policy::Exception;

const MODES: &[Word] = &[
    Word {
        name: "strict",
        doc: "What the module's security policy or the token does not cover is refused, with the remedy, unless its exception is named.",
    },
    Word {
        name: "off",
        doc: "It is done, counted, and shown in every status. Refused while the system itself demands FIPS mode.",
    },
];

const fn word(exception: Exception) -> Word {
    Word {
        name: exception.name(),
        doc: exception.permits(),
    }
}

const EXCEPTIONS: &[Word] = &[
    word(Exception::Pkcs12LegacyRead),
    word(Exception::Pkcs12KdfMacWrite),
    word(Exception::CmsEcdhStatic),
    word(Exception::CmsRsaPkcs1v15),
    word(Exception::TripleDesEncryption),
    word(Exception::RsaKeyTransportInModule),
    word(Exception::OaepUnpaddingInSoftware),
    word(Exception::CmpSharedSecret),
];

pub(super) const FIPS: &[Key] = &[
    Key {
        name: "mode",
        kind: Kind::Word(MODES),
        need: Need::Default("\"strict\""),
        doc: "Whether what is not approved is refused. Nothing else in this file, and no way of building the program, weakens it.",
    },
    Key {
        name: "exceptions",
        kind: Kind::Words(EXCEPTIONS),
        need: Need::Default("[]"),
        doc: "What is permitted in strict mode all the same, by name. Each is shown in every status, and each use is counted. (Exceptions of trust, such as `no-device-anchors`, are `engine.exceptions`.)",
    },
    Key {
        name: "report_key",
        kind: Kind::Path,
        need: Need::Optional("\"/etc/pfx-connector/report.key\""),
        doc: "PEM file with the private key (PKCS#8, EC or RSA) that signs what `fips report` writes; only its owner may read it.",
    },
    Key {
        name: "report_token_key",
        kind: Kind::Text,
        need: Need::Optional("\"pfx-report\""),
        doc: "Label of a signing key on the engine's token that signs instead (`key generate-signing` makes one). Without either, a report carries digests only and says so.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_can_be_named() {
        let words: Vec<_> = EXCEPTIONS.iter().map(|word| word.name).collect();
        assert_eq!(words, Exception::ALL.map(Exception::name));
    }
}
