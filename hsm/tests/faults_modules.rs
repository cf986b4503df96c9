//! A library that hangs keeps nobody from a token of another one, and a login that hangs from no other token. One test, for there is one
//! script. Another library is a copy of the same file under another name, with SoftHSM behind both.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "chaos/module.rs"]
mod module;
#[path = "../examples/chaos_pkcs11/script.rs"]
mod script;
mod support;

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use hsm::pkcs11::{GenerateKey, Pkcs11Custody, TokenConfig};
use hsm::{Custody, Error, ErrorClass, KeyInfo, Padding};
use module::ChaosModule;
use script::parse;
use support::{TestToken, chaos_softhsm, encrypt};

/// Longer than anything here takes, unless it hangs.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// Opens `hanging`, whose call of `function` hangs, and `other` meanwhile, with each of its keys decrypting.
fn other_is_served_while_one_hangs(
    chaos: ChaosModule,
    function: &str,
    hanging: &TokenConfig,
    other: &TokenConfig,
    keys: &[KeyInfo],
) {
    let script = format!("on call 1 of {function}: hang\n");
    chaos.begin(&parse(&script).unwrap());
    std::thread::scope(|scope| {
        let hangs = scope.spawn(|| Pkcs11Custody::open(hanging.clone()).map(drop));
        assert!(chaos.waits_for_hang(60_000), "{function} is not called");
        let (done, served) = sync_channel(1);
        scope.spawn(move || {
            let serve = || -> Result<(), Error> {
                let custody = Pkcs11Custody::open(other.clone())?;
                for key in keys {
                    let ciphertext = encrypt(&key.spki_der, Padding::OaepSha1, b"message");
                    custody.decrypt(&key.fingerprint, Padding::OaepSha1, &ciphertext)?;
                }
                Ok(())
            };
            done.send(serve()).unwrap();
        });
        let served = served.recv_timeout(LONG_ENOUGH);
        // Also if that failed, or nobody could join the threads.
        chaos.replace_process();
        let error = hangs.join().unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Token, "{error}");
        served
            .unwrap_or_else(|_| panic!("the other token waits for {function}"))
            .unwrap();
    });
}

#[test]
fn a_library_that_hangs_keeps_nobody_from_another_token() {
    let module = chaos_softhsm();
    let chaos = ChaosModule::load(&module.path);
    let copy = module.folder.with_file_name("another_module.so");
    std::fs::copy(&module.path, &copy).unwrap();
    ChaosModule::load(&copy);

    let (first, second) = (TestToken::new(module), TestToken::new(module));
    let custody = second.open();
    let keys = [false, true].map(|always_authenticate| {
        custody
            .generate(&GenerateKey {
                label: format!("custody-{always_authenticate}"),
                id: None,
                modulus_bits: 2048,
                always_authenticate,
            })
            .unwrap()
    });
    drop(custody);

    let on_copy = TokenConfig {
        module: copy,
        ..second.config()
    };
    for (function, other) in [
        ("C_Initialize", &on_copy),
        ("C_Login", &on_copy),
        ("C_Login", &second.config()),
    ] {
        other_is_served_while_one_hangs(chaos, function, &first.config(), other, &keys);
    }
    chaos.begin(&parse("").unwrap());
    first.open();
}
