//! PFX files: what is seen without a password, and what a password opens.

use fips::secret::SecretBytes;
use formats::certificate::SmimeFitness;
use formats::pfx::verdict::{PasswordFacts, verdicts};
use formats::pfx::{self, CertificateFacts, OpenedPfx, OtherFormat, PfxError, PfxLimits, Survey};

/// Of the files of the corpora, and the two forms of none.
const PASSWORDS: [&str; 4] = [
    "",
    "password",
    "1234",
    "Gr\u{fc}\u{df}e-\u{141}\u{f3}d\u{17a}-\u{4e16}\u{754c}",
];

/// A file; where it is none, the contents of one.
pub(crate) fn run(data: &[u8]) {
    let limits = PfxLimits {
        // A file of 1,000,000 iterations would be all that is tried for a second.
        max_iterations: 10_000,
        ..PfxLimits::default()
    };
    let _ = OtherFormat::of(data);
    if let Err(PfxError::Malformed { .. }) = open(data, &limits) {
        let _ = open(&without_mac(data), &limits);
    }
}

fn open(file: &[u8], limits: &PfxLimits) -> Result<(), PfxError> {
    let survey = pfx::survey(file, limits);
    if let Ok(survey) = &survey {
        judge(survey, None);
    }
    pfx::look_at(file, limits)?;
    // What it lets pass can be described.
    assert!(!matches!(
        survey,
        Err(PfxError::UnsupportedAlgorithm { .. })
    ));
    for password in PASSWORDS {
        match pfx::read(file, &SecretBytes::from_slice(password.as_bytes()), limits) {
            Ok(opened) => {
                judge(
                    opened.survey(),
                    Some(PasswordFacts::of(&SecretBytes::from_slice(
                        password.as_bytes(),
                    ))),
                );
                look_into(&opened);
                for key in opened.keys() {
                    assert!(
                        key.certificate()
                            .is_none_or(|place| place < opened.certificates().len())
                    );
                }
                if let Ok(identity) = opened.identity() {
                    let facts = identity.facts();
                    assert!(
                        facts.is_err() || facts.is_ok_and(|facts| facts.key_matches == Some(true))
                    );
                }
                return Ok(());
            }
            Err(PfxError::WrongPassword) => {}
            Err(other) => {
                assert!(!other.to_string().is_empty());
                return Err(other);
            }
        }
    }
    Ok(())
}

/// What each target makes of it.
fn judge(survey: &Survey, password: Option<PasswordFacts>) {
    for verdict in verdicts(survey, password) {
        assert!(!verdict.target.title().is_empty());
    }
}

/// Everything that is said about certificates that were opened.
fn look_into(opened: &OpenedPfx) {
    let count = opened.certificates().len();
    for (place, certificate) in opened.certificates().iter().enumerate() {
        let emails = CertificateFacts::of_certificate(certificate.der())
            .map(|facts| facts.email_addresses)
            .unwrap_or_default();
        let _ = SmimeFitness::of(certificate.der(), &emails);
        if let Some(chain) = opened.chain_of(place) {
            assert!(
                chain
                    .issuers
                    .iter()
                    .all(|issuer| *issuer < count && *issuer != place)
            );
        }
        assert!(opened.others_of(place, 16).len() < count.min(17));
    }
}

/// A PFX without MacData whose only SafeContents is `contents`.
fn without_mac(contents: &[u8]) -> Vec<u8> {
    const ID_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let data = |inner: &[u8]| {
        element(
            0x30,
            &[&ID_DATA, element(0xa0, &[&element(4, &[inner])]).as_slice()],
        )
    };
    let safe = element(0x30, &[&data(contents)]);
    element(0x30, &[&[2, 1, 3], data(&safe).as_slice()])
}

/// One element in DER, with a length of four bytes where it is not short.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = u32::try_from(content.len()).unwrap().to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | u8::try_from(length.len() - zeros).unwrap());
            out.extend_from_slice(&length[zeros..]);
        }
    }
    out.extend_from_slice(&content);
    out
}
