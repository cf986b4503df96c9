//! Each form under each kind of password, RSA and EC, by each of the five readers.

use super::fixture::{Fixture, NAME, Password};
use super::openssl::{KeyAlgorithm, openssl, text};
use super::programs::Program;
use formats::pfx::verdict::Reason;
use formats::pfx::write::Form;
use formats::pfx::{PfxLimits, Target};

/// What a reader of Debian 12 cannot do, and how it says so. Should one of them learn it, the verdicts of `pfx inspect` have to as well.
struct Inability {
    program: Program,
    form: Option<Form>,
    passwords: &'static [Password],
    says: &'static str,
    reason: &'static str,
}

const NO_PBMAC1: &str = "it does not know PBMAC1 (RFC 9579)";
const EVERY: &[Password] = &Password::ALL;

const INABILITIES: [Inability; 5] = [
    Inability {
        program: Program::Java,
        form: None,
        passwords: &[Password::Bmp, Password::Astral],
        says: "password was incorrect",
        reason: "the JDK's PBEKey takes passwords of printable ASCII alone, and calls others incorrect",
    },
    Inability {
        program: Program::Java,
        form: Some(Form::Approved),
        passwords: &[Password::Ascii],
        says: "1.2.840.113549.1.5.14 not available",
        reason: NO_PBMAC1,
    },
    Inability {
        program: Program::OpenSsl,
        form: Some(Form::Approved),
        passwords: EVERY,
        says: "Mac verify error",
        reason: NO_PBMAC1,
    },
    Inability {
        program: Program::GnuTls,
        form: Some(Form::Approved),
        passwords: EVERY,
        says: "unknown (1.2.840.113549.1.5.14)",
        reason: NO_PBMAC1,
    },
    Inability {
        program: Program::Nss,
        form: Some(Form::Approved),
        passwords: EVERY,
        says: "SEC_ERROR_BAD_PASSWORD",
        reason: NO_PBMAC1,
    },
];

fn every_reader_opens(algorithm: KeyAlgorithm) {
    let fixture = Fixture::new(algorithm);
    for form in Form::ALL {
        for password in Password::ALL {
            let pfx = fixture.written(form, password);
            for program in Program::ALL {
                let case = format!("{form}, {password:?}, {program:?}");
                let outcome = program.read(&fixture.workshop, &pfx, password.text());
                let unable = INABILITIES.iter().find(|one| {
                    one.program == program
                        && one.form.is_none_or(|only| only == form)
                        && one.passwords.contains(&password)
                });
                match (outcome, unable) {
                    (Ok(found), None) => {
                        assert_eq!(
                            found.publics,
                            std::slice::from_ref(&fixture.public),
                            "{case}"
                        );
                        assert_eq!(found.certificates, fixture.certificates(), "{case}");
                        if let Some(name) = found.name {
                            assert_eq!(name, program.tells(NAME), "{case}");
                        }
                    }
                    (Err(said), Some(unable)) => {
                        assert!(said.contains(unable.says), "{case}: {said}");
                        println!("{case}: refused as expected: {}", unable.reason);
                    }
                    (Err(said), None) => panic!("{case}: {said}"),
                    (Ok(_), Some(unable)) => {
                        panic!("{case}: it opens, although {}", unable.reason)
                    }
                }
            }
        }
    }
}

#[test]
fn every_reader_opens_each_form_with_an_rsa_key_and_its_chain() {
    every_reader_opens(KeyAlgorithm::Rsa(2048));
}

#[test]
fn every_reader_opens_each_form_with_a_p256_key_and_its_chain() {
    every_reader_opens(KeyAlgorithm::P256);
}

#[test]
fn every_reader_opens_each_form_with_a_p521_key_and_its_chain() {
    every_reader_opens(KeyAlgorithm::P521);
}

/// Forms of a key that not every program takes are not passed on.
#[test]
fn every_reader_opens_what_is_written_of_keys_in_rare_forms() {
    use fips::secret::SecretBytes;
    let [rsa, ec] = [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256].map(|algorithm| {
        let fixture = Fixture::new(algorithm);
        let key = text(&fixture.key_file).to_owned();
        (fixture, key)
    });
    let public = |bits: &[u8]| element(0x81, &[bits]);
    let info = |version: u8, algorithm: &[u8], key: &[u8], rest: &[u8]| {
        let key = element(0x04, &[key]);
        SecretBytes::from_vec(element(0x30, &[&[2, 1, version], algorithm, &key, rest]))
    };
    let of_rsa = {
        let traditional = ["rsa", "-traditional", "-outform", "DER", "-in", &rsa.1];
        let spki = ["rsa", "-RSAPublicKey_out", "-outform", "DER", "-in", &rsa.1];
        let algorithm = element(0x30, &[b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"]);
        let rest = public(&[&[0], openssl(&spki).as_slice()].concat());
        info(1, &algorithm, &openssl(&traditional), &rest)
    };
    let of_ec = {
        const P256: &[u8] =
            b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        let private = ["ec", "-no_public", "-outform", "DER", "-in", &ec.1];
        let rest = public(&ec.0.public[ec.0.public.len() - 66..]);
        info(1, P256, &openssl(&private), &rest)
    };
    for (mut fixture, pkcs8) in [(rsa.0, of_rsa), (ec.0, of_ec)] {
        fixture.pkcs8 = pkcs8;
        let pfx = fixture.written(Form::Compatible, Password::Ascii);
        for program in Program::ALL {
            let found = program.read(&fixture.workshop, &pfx, Password::Ascii.text());
            let found = found.unwrap_or_else(|said| panic!("{program:?}: {said}"));
            assert_eq!(
                found.publics,
                std::slice::from_ref(&fixture.public),
                "{program:?}"
            );
        }
    }
}

/// An element in DER of these parts.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, short @ 0..=0x7f] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

#[test]
fn a_wrong_password_opens_nothing_anywhere() {
    let fixture = Fixture::new(KeyAlgorithm::P256);
    for form in Form::ALL {
        let pfx = fixture.written(form, Password::Ascii);
        for program in Program::ALL {
            let outcome = program.read(&fixture.workshop, &pfx, "another one");
            assert!(outcome.is_err(), "{form}, {program:?}");
        }
    }
}

#[test]
fn a_form_is_judged_before_it_is_written_as_its_file_is_afterwards() {
    use formats::pfx::verdict::{of_form, verdict};
    let fixture = Fixture::new(KeyAlgorithm::Rsa(2048));
    for form in Form::ALL {
        let pfx = fixture.written(form, Password::Ascii);
        let opened = formats::pfx::read(&pfx, &Password::Ascii.secret(), &PfxLimits::default());
        let opened = opened.unwrap();
        for target in Target::ALL {
            let of_file = verdict(opened.survey(), None, target);
            let (opens, reasons) = of_form(form, target);
            assert_eq!(opens, of_file.opens, "{form}, {target}");
            for reason in reasons {
                let same = |other: &&Reason| other.opens == reason.opens;
                assert!(
                    of_file.reasons.iter().any(|other| same(&other)),
                    "{form}, {target}: {}",
                    reason.sentence()
                );
            }
        }
    }
}
