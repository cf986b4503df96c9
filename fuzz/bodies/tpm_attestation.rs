//! Files of a TPM's tools: each structure read alone, and all of them held against each other.

use pki::tpm::{Attestation, Attester, Evidence, Name, Public, Signature, verify};

/// The next piece: its length in two bytes before it.
fn piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some(([high, low], tail)) = rest.split_first_chunk() else {
        return std::mem::take(rest);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
    let (piece, tail) = tail.split_at(length);
    *rest = tail;
    piece
}

/// One structure, or several behind their lengths: attestation, signature, public area, attestation key, parents.
pub(crate) fn run(data: &[u8]) {
    let _ = Name::read(data);
    if let Err(error) = Attestation::read(data) {
        assert!(!error.to_string().is_empty());
    }
    if let Ok(public) = Public::read(data) {
        let name = public.name().as_bytes();
        assert_eq!(Name::read(name).as_ref(), Ok(public.name()));
        assert!(!public.spki_der().is_empty());
        let _ = Signature::read(data);
    }
    let mut rest = data;
    let [attestation, signature, public, attestation_key] =
        std::array::from_fn(|_| piece(&mut rest));
    let _ = Signature::read(signature);
    let mut parents = Vec::new();
    while !rest.is_empty() && parents.len() < 8 {
        parents.push(piece(&mut rest).to_vec());
    }
    let evidence = Evidence {
        attestation,
        signature,
        public,
        parents: &parents,
        qualification: None,
    };
    let Ok(key) = Public::read(attestation_key) else {
        return;
    };
    let attester = Attester::Name {
        public: attestation_key,
        name: key.name(),
    };
    if let Ok(certified) = verify(&evidence, &attester) {
        // It is of the object that was given, and by a key that attests.
        assert_eq!(certified.attestation.name, *certified.public.name());
        assert!(key.attributes().restricted() && key.attributes().sign());
        assert!(!certified.algorithm.is_empty());
    }
    // Nobody is trusted, so nothing is verified.
    let nobody = Attester::Certificate {
        certificates: &parents,
        roots: &[],
        at: *b"20261127120000",
    };
    assert!(verify(&evidence, &nobody).is_err());
}
