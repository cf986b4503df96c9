//! What the five write today opens here, with key, certificates and names.

use super::fixture::{Fixture, NAME, Password};
use super::openssl::KeyAlgorithm;
use super::programs::Program;
use formats::pfx::{PfxLimits, read};

fn opens_here(program: Program) {
    for algorithm in [KeyAlgorithm::Rsa(2048), KeyAlgorithm::P256] {
        let fixture = Fixture::new(algorithm);
        for password in Password::ALL {
            let case = format!("{program:?}, {algorithm:?}, {password:?}");
            if program == Program::Java && password != Password::Ascii {
                let refused = program.write(&fixture, password.text());
                assert!(refused.is_err(), "{case}: Java takes such passwords now");
                continue;
            }
            let pfx = program
                .write(&fixture, password.text())
                .unwrap_or_else(|said| panic!("{case}: {said}"));
            let opened = read(&pfx, &password.secret(), &PfxLimits::default())
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            let identity = opened.identity().unwrap();
            let public = fips::pkcs8_public(identity.pkcs8().expose()).unwrap();
            assert_eq!(public, fixture.public, "{case}");
            assert_eq!(identity.certificate(), fixture.certificate, "{case}");
            assert_eq!(identity.facts().unwrap().key_matches, Some(true), "{case}");
            let mut chain: Vec<Vec<u8>> =
                identity.chain().into_iter().map(<[u8]>::to_vec).collect();
            chain.sort();
            let mut expected = fixture.chain.clone();
            expected.sort();
            assert_eq!(chain, expected, "{case}");
            let name = program.spells(NAME);
            assert_eq!(identity.friendly_name(), Some(name.as_str()), "{case}");
        }
    }
}

#[test]
fn what_openssl_writes_opens() {
    opens_here(Program::OpenSsl);
}

#[test]
fn what_gnutls_writes_opens() {
    opens_here(Program::GnuTls);
}

#[test]
fn what_nss_writes_opens() {
    opens_here(Program::Nss);
}

#[test]
fn what_java_writes_opens() {
    opens_here(Program::Java);
}

#[test]
fn what_python_writes_opens() {
    opens_here(Program::Python);
}
