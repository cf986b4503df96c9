//! Logins of which the answer is lost, by a token that counts wrong PINs. One test, for there is one script.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "chaos/module.rs"]
mod module;
#[path = "../examples/chaos_pkcs11/script.rs"]
mod script;
mod support;

use std::sync::Arc;
use std::time::Duration;

use hsm::pkcs11::{Pkcs11Custody, TokenConfig};
use hsm::{Custody, Error, ErrorClass, KeyInfo, Padding, PinProblem, Terms};
use module::{ChaosModule, SimulatedClock};
use script::{ROTATED, parse};
use support::{TestToken, USER_PIN, chaos_softhsm, encrypt, write_pin};

const PADDING: Padding = Padding::OaepSha1;
const LOST: &str = "on call 1 of C_Login: afterwards return CKR_DEVICE_REMOVED for 40 calls\n";

struct Bench {
    chaos: ChaosModule,
    token: TestToken,
    key: KeyInfo,
}

impl Bench {
    fn begin(&self, script: &str) {
        self.chaos.begin(&parse(script).unwrap());
    }

    fn config(&self) -> TokenConfig {
        TokenConfig {
            clock: Arc::new(SimulatedClock(self.chaos)),
            ..self.token.config()
        }
    }

    fn open(&self) -> Result<Pkcs11Custody, Error> {
        Pkcs11Custody::open(self.config())
    }

    fn problem(&self) -> PinProblem {
        match self.open().err() {
            Some(Error::Pin(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    fn wrong_logins(&self) -> u64 {
        self.chaos.report().number("wrong_logins")
    }

    fn decrypt(&self, custody: &Pkcs11Custody) -> Result<(), Error> {
        let ciphertext = encrypt(&self.key.spki_der, PADDING, b"message");
        let terms = Terms::within(Duration::from_secs(10));
        let plain = custody.decrypt_on(&self.key.fingerprint, PADDING, &ciphertext, terms)?;
        assert_eq!(plain.expose(), b"message");
        Ok(())
    }

    /// Nothing is wrong any more: the PIN in the file is the right one.
    fn is_well(&self, pin: &str) {
        self.chaos.end_faults();
        write_pin(&self.token.pin_file, pin);
        self.decrypt(&self.open().unwrap()).unwrap();
    }
}

/// The token is asked how many tries are left as soon as the answer is lost.
fn a_wrong_pin_is_tried_once(bench: &Bench) {
    bench.begin(LOST);
    write_pin(&bench.token.pin_file, "wrong-1");
    assert_eq!(bench.problem(), PinProblem::Incorrect);
    for _ in 0..5 {
        assert_eq!(bench.problem(), PinProblem::RefusedBefore);
    }
    assert_eq!(bench.wrong_logins(), 1);
    bench.is_well(USER_PIN);
}

/// It answers that only later: which call that is, a login shows of which the answer arrives.
fn a_wrong_pin_is_tried_once_also_if_the_token_is_away_after_it(bench: &Bench) {
    bench.begin("");
    write_pin(&bench.token.pin_file, "wrong-2");
    assert_eq!(bench.problem(), PinProblem::Incorrect);
    let text = bench.chaos.report().text;
    let before = text
        .lines()
        .filter(|line| line.starts_with("trace "))
        .take_while(|line| !line.contains(" C_Login "))
        .filter(|line| line.contains(" C_GetTokenInfo "))
        .count();
    bench.is_well(USER_PIN);

    bench.begin(&format!(
        "{LOST}on call {} of C_GetTokenInfo: return CKR_DEVICE_REMOVED for 1 calls\n",
        before + 1
    ));
    write_pin(&bench.token.pin_file, "wrong-3");
    let error = bench.open().err().unwrap();
    assert_eq!(error.class(), ErrorClass::Token, "{error}");
    assert_eq!(bench.wrong_logins(), 1);
    for _ in 0..5 {
        assert_eq!(bench.problem(), PinProblem::RefusedBefore);
    }
    assert_eq!(bench.wrong_logins(), 1);
    bench.is_well(USER_PIN);
}

/// The PIN is changed at the token while custody works, and its login goes away.
fn a_pin_that_is_wrong_now_is_tried_once_however_often_a_request_comes(bench: &Bench) {
    bench.begin("");
    let custody = bench.open().unwrap();
    bench.decrypt(&custody).unwrap();
    bench.begin(&format!(
        "on call 1 of C_DecryptInit: rotate the PIN\n\
         on call 1 of C_DecryptInit: forget the login\n{LOST}"
    ));
    let problem = bench.decrypt(&custody).unwrap_err();
    assert!(
        matches!(problem, Error::Pin(PinProblem::Incorrect)),
        "{problem}"
    );
    for _ in 0..5 {
        let again = bench.decrypt(&custody).unwrap_err();
        assert!(
            matches!(again, Error::Pin(PinProblem::RefusedBefore)),
            "{again}"
        );
    }
    assert_eq!(bench.wrong_logins(), 1);
    drop(custody);
    bench.is_well(&format!("{USER_PIN}{ROTATED}"));
}

/// Nothing is wrong but the answers: the flags show it, so nobody has to do anything.
fn a_right_pin_is_tried_until_its_answer_arrives(bench: &Bench) {
    bench.begin("on call 1 of C_Login: return CKR_DEVICE_REMOVED for 40 calls\n");
    write_pin(&bench.token.pin_file, USER_PIN);
    for _ in 0..40 {
        let error = bench.open().err().unwrap();
        assert_eq!(error.class(), ErrorClass::Token, "{error}");
    }
    bench.decrypt(&bench.open().unwrap()).unwrap();
    assert_eq!(bench.wrong_logins(), 0);
}

#[test]
fn a_wrong_pin_is_tried_once_also_if_what_the_token_says_is_lost() {
    let module = chaos_softhsm();
    let chaos = ChaosModule::load(&module.path);
    let token = TestToken::new(module);
    let (custody, key) = token.open_with_key();
    drop(custody);
    let bench = Bench { chaos, token, key };
    a_wrong_pin_is_tried_once(&bench);
    a_wrong_pin_is_tried_once_also_if_the_token_is_away_after_it(&bench);
    a_right_pin_is_tried_until_its_answer_arrives(&bench);
    a_pin_that_is_wrong_now_is_tried_once_however_often_a_request_comes(&bench);
}
