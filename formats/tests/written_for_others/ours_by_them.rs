//! Each form under each kind of password, RSA and EC, by each of the five readers.

use super::fixture::{Fixture, NAME, Password};
use super::openssl::KeyAlgorithm;
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
