//! One script, from its beginning to the rest after it, and what has to be true of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fips::rsa::PrivateKey;
use fips::sign::{KeyKind, verify};
use hsm::pkcs11::GenerateSigningKey;
use hsm::{
    Custody, Error, ErrorClass, KeyInfo, Padding, SecretBytes, SigningKeyInfo, SigningKeyName,
    Terms,
};

use super::generate::Random;
use super::module::{ChaosModule, SimulatedClock};
use super::script::{Fault, Script};
use super::service::{Counts, Service, pin_of, put_pin};
use super::support::{TestToken, chaos_softhsm, encrypt};

const CALLERS: u64 = 3;
const REQUESTS_EACH: u64 = 4;
/// What SoftHSM does by itself, and what needs raw RSA.
const PADDINGS: [Padding; 2] = [Padding::OaepSha1, Padding::OaepSha512];
/// As the engine gives a request to custody.
const TERMS: Terms = Terms::within(Duration::from_secs(10)).on_own_thread();
/// So long custody tries by itself before it asks for another process.
const PATIENCE_MS: u64 = 10_000;
const MESSAGE: &[u8] = b"a password";

/// A token and what is asked of it, for all scripts of a process.
pub struct Table {
    pub chaos: ChaosModule,
    token: TestToken,
    key: KeyInfo,
    signing: SigningKeyInfo,
    device: PrivateKey,
    device_spki: Vec<u8>,
    good: Vec<(Padding, Vec<u8>)>,
    pub counts: Counts,
    /// Simulated milliseconds from the end of the faults to the next request that worked.
    pub recoveries_ms: Mutex<Vec<u64>>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Decrypt(usize),
    BadCiphertext(usize),
    Encrypt,
    Sign,
    List,
}

impl Table {
    pub fn new() -> Self {
        let module = chaos_softhsm();
        let chaos = ChaosModule::load(&module.path);
        let token = TestToken::new(module);
        let (custody, key) = token.open_with_key();
        let signing = custody
            .generate_signing_key(&GenerateSigningKey {
                label: "report".into(),
                kind: KeyKind::EcP256,
            })
            .unwrap();
        let device = PrivateKey::generate(2048).unwrap();
        Self {
            chaos,
            device_spki: device.public().unwrap().spki_der().to_vec(),
            device,
            good: PADDINGS
                .into_iter()
                .map(|padding| (padding, encrypt(&key.spki_der, padding, MESSAGE)))
                .collect(),
            key,
            signing,
            token,
            counts: Counts::default(),
            recoveries_ms: Mutex::default(),
        }
    }

    /// Plays a script.
    ///
    /// # Errors
    /// What was not as it has to be, in words.
    pub fn play(&self, script: &Script) -> Result<(), String> {
        put_pin(&self.token, &pin_of(script));
        self.chaos.begin(script);
        let mut config = self.token.config();
        config.threads = 1 + usize::try_from(script.seed % 3).unwrap_or_default();
        config.clock = Arc::new(SimulatedClock(self.chaos));
        let service = Service::new(self.chaos, &self.token, config, script, &self.counts);

        let problems: Vec<String> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let service = &service;
                    scope.spawn(move || {
                        let mut random = Random::new(script.seed ^ (caller << 32));
                        (0..REQUESTS_EACH).try_for_each(|_| {
                            let kind = kind(&mut random);
                            self.ask(service, kind)
                        })
                    })
                })
                .collect();
            callers
                .into_iter()
                .filter_map(|caller| match caller.join() {
                    Ok(answered) => answered.err(),
                    Err(_) => Some("a caller panicked".to_owned()),
                })
                .collect()
        });
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        self.rest(&service)?;
        service.close();
        if service.restarts() > 0 && trouble_ms(script) < PATIENCE_MS {
            return Err("another process was asked for, for trouble that was short".to_owned());
        }
        let report = self.chaos.report();
        if !report.violations.is_empty() {
            return Err(format!("the module was misused: {:?}", report.violations));
        }
        if report.number("lockouts") > 0 {
            return Err("the token was locked".to_owned());
        }
        // The one from before a change, once, whatever became of the answer.
        let wrong = report.number("wrong_logins");
        let changes = script
            .events
            .iter()
            .any(|event| event.fault == Fault::RotatePin);
        if wrong > u64::from(changes) {
            return Err(format!("a wrong PIN was tried {wrong} times"));
        }
        Ok(())
    }

    /// After the faults everything works, and a bad ciphertext is no trouble.
    fn rest(&self, service: &Service<'_>) -> Result<(), String> {
        self.chaos.end_faults();
        let ended_ms = self.chaos.now_ms();
        self.ask(service, Kind::Decrypt(0))?;
        let took_ms = self.chaos.now_ms() - ended_ms;
        self.recoveries_ms.lock().unwrap().push(took_ms);
        for kind in [Kind::Decrypt(1), Kind::Encrypt, Kind::Sign, Kind::List] {
            self.ask(service, kind)?;
        }
        // A worker that has had nothing to do since may find its session gone now, whatever it is given. So a few rounds; what a
        // bad ciphertext does, it does in each.
        let mut rounds = Vec::new();
        for _ in 0..5 {
            let before = service.health();
            for kind in [Kind::BadCiphertext(0), Kind::BadCiphertext(1)] {
                self.ask(service, kind)?;
                self.ask(service, Kind::Decrypt(0))?;
            }
            match (before, service.health()) {
                (Some(before), Some(after))
                    if before.token_failures == after.token_failures
                        && before.generation == after.generation =>
                {
                    return Ok(());
                }
                round => rounds.push(round),
            }
        }
        Err(format!(
            "a bad ciphertext was taken for a broken token: {rounds:?}"
        ))
    }

    fn ask(&self, service: &Service<'_>, kind: Kind) -> Result<(), String> {
        let wrong = |problem: String| format!("{kind:?}: {problem}");
        match kind {
            Kind::Decrypt(index) => {
                let (padding, ciphertext) = &self.good[index];
                let key = &self.key.fingerprint;
                let plain = service
                    .request(|custody| custody.decrypt_on(key, *padding, ciphertext, TERMS))
                    .map_err(wrong)?;
                if plain.expose() != MESSAGE {
                    return Err(wrong("a wrong plaintext".to_owned()));
                }
            }
            Kind::BadCiphertext(index) => {
                let (padding, ciphertext) = &self.good[index];
                let mut bad = ciphertext.clone();
                if let Some(last) = bad.last_mut() {
                    *last ^= 1;
                }
                service
                    .request(|custody| {
                        let key = &self.key.fingerprint;
                        match custody.decrypt_on(key, *padding, &bad, TERMS) {
                            Err(Error::Decryption) => Ok(()),
                            Ok(_) => Err(Error::Internal("a bad ciphertext was decrypted")),
                            Err(error) if error.class() == ErrorClass::BadInput => {
                                Err(Error::Internal("another verdict than that it is bad"))
                            }
                            Err(error) => Err(error),
                        }
                    })
                    .map_err(wrong)?;
            }
            Kind::Encrypt => {
                let padding = PADDINGS[0];
                let message = SecretBytes::from_slice(MESSAGE);
                let ciphertext = service
                    .request(|custody| custody.encrypt(&self.device_spki, padding, &message))
                    .map_err(wrong)?;
                let plain = self
                    .device
                    .decrypt_oaep(padding.hash().unwrap(), &ciphertext)
                    .map_err(|error| wrong(format!("the ciphertext is none: {error}")))?;
                if plain.expose() != MESSAGE {
                    return Err(wrong("another message was encrypted".to_owned()));
                }
            }
            Kind::Sign => {
                let name = SigningKeyName::Fingerprint(self.signing.fingerprint);
                let signed = service
                    .request(|custody| custody.sign(&name, MESSAGE))
                    .map_err(wrong)?;
                let key = &self.signing;
                verify(key.algorithm, &key.spki_der, MESSAGE, &signed.signature)
                    .map_err(|error| wrong(format!("the signature is none: {error}")))?;
            }
            Kind::List => {
                let keys = service.request(Custody::keys).map_err(wrong)?;
                if !keys
                    .iter()
                    .any(|key| key.fingerprint == self.key.fingerprint)
                {
                    return Err(wrong("the key is missing".to_owned()));
                }
            }
        }
        Ok(())
    }
}

/// How long a script keeps the token from answering. A call that hangs does so for as long as one likes.
fn trouble_ms(script: &Script) -> u64 {
    script
        .events
        .iter()
        .map(|event| match &event.fault {
            Fault::Hang => PATIENCE_MS,
            Fault::Gone { ms, .. } | Fault::OtherSerial { ms } | Fault::Delay { ms } => *ms,
            _ => 0,
        })
        .sum()
}

fn kind(random: &mut Random) -> Kind {
    let index = usize::try_from(random.below(2)).unwrap_or_default();
    match random.below(10) {
        0..=4 => Kind::Decrypt(index),
        5 | 6 => Kind::BadCiphertext(index),
        7 => Kind::Encrypt,
        8 => Kind::Sign,
        _ => Kind::List,
    }
}
