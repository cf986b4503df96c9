//! The parts of a certificate, each by itself: what the engine is asked for, one request after the other, and what module and token do of it.

use super::super::Fallible;
use super::super::bare::BareFigures;
use super::super::ground::OnToken;
use super::super::statistics::{Percentiles, micros};
use super::{Ground, of_kind};
use fips::sign::{KeyKind, SigningKey};
use pfx_connector::encoding::Base64Bytes;
use pfx_connector::engine::api::keys::{
    AltName, CsrContent, CsrSignature, KeyRecipient, KeyType, KeyUsage, MakeKeyRequest, PackRequest,
};
use pfx_connector::engine::api::{CmsFormat, DeviceTarget, IssueRequest};
use pfx_connector::engine::formats::pfx::write::{Entries, Form, WriteOptions, write};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Of each part, in each round; fewer of those that take long.
const TIMES: u64 = 40;
/// Length of a password that the engine makes.
const PASSWORD_CHARACTERS: usize = 32;
const DEADLINE: Duration = Duration::from_secs(60);
/// Signatures of the authority's key.
const SIGNATURES: usize = 200;
/// Iterations of its files' key derivations.
const ITERATIONS: u32 = 10_000;
/// PFX files written in a round.
const FILES: u32 = 5;
/// Durable writes, and the bytes of each: a page of a database.
const WRITES: usize = 100;
const PAGE: usize = 4096;

/// Microseconds of one, each the mean of a round: the search for primes takes a different time for each key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    /// A key made in the module and encoded, in this process.
    pub(super) module_us: f64,
    /// The engine's verbs over its socket.
    pub(super) make_us: f64,
    pub(super) issue_us: f64,
    pub(super) pack_us: f64,
    /// The authority's signature, as the token is called for it.
    pub(super) token_us: f64,
    /// A PFX written in this process.
    pub(super) write_us: f64,
}

impl Parts {
    pub(super) fn measure(ground: &Ground<'_>, key: KeyType, round: u64) -> Fallible<Self> {
        let times = of_kind(key, TIMES);
        let mut total = [Duration::ZERO; 4];
        for number in 0..times {
            let begun = Instant::now();
            std::hint::black_box(SigningKey::generate(kind(key))?.pkcs8_der()?);
            let module = begun.elapsed();
            let name = format!("{round:04}-{number:06}");
            let one = ground.runtime.block_on(one(ground, key, &name))?;
            for (sum, took) in total
                .iter_mut()
                .zip([module, one.make, one.issue, one.pack])
            {
                *sum += took;
            }
        }
        let [module_us, make_us, issue_us, pack_us] =
            total.map(|sum| micros(sum) / f64::from(u32::try_from(times).unwrap_or(u32::MAX)));
        Ok(Self {
            module_us,
            make_us,
            issue_us,
            pack_us,
            token_us: ground.signature()?.p50_us,
            write_us: ground.write()?,
        })
    }
}

fn kind(key: KeyType) -> KeyKind {
    match key {
        KeyType::Rsa2048 => KeyKind::Rsa(2048),
        KeyType::Rsa3072 => KeyKind::Rsa(3072),
        KeyType::Rsa4096 => KeyKind::Rsa(4096),
        KeyType::EcP256 => KeyKind::EcP256,
        KeyType::EcP384 => KeyKind::EcP384,
        KeyType::EcP521 => KeyKind::EcP521,
    }
}

impl Ground<'_> {
    fn signature(&self) -> Fallible<BareFigures> {
        let token = OnToken::of(&self.stack.token)?;
        self.bare.sign(&token, "issuing", SIGNATURES)
    }

    /// Microseconds of one PFX with a key and its certificate, under a password such as the engine makes: in the approved form, which has as many
    /// derivations as the others and is the one that strict mode lets be written here.
    fn write(&self) -> Fallible<f64> {
        let password = fips::random::alphanumeric(PASSWORD_CHARACTERS)?;
        let (key, certificate) = (&self.identity.key, &self.identity.certificate);
        let entries = Entries::identity(key, certificate, &[], None);
        let begun = Instant::now();
        for _ in 0..FILES {
            let options = WriteOptions::new(Form::Approved).with_iterations(ITERATIONS)?;
            std::hint::black_box(write(&entries, &password, &options)?);
        }
        Ok(micros(begun.elapsed()) / f64::from(FILES))
    }
}

/// One certificate, by the engine's verbs, and how long each took.
struct One {
    make: Duration,
    issue: Duration,
    pack: Duration,
}

async fn one(ground: &Ground<'_>, key: KeyType, name: &str) -> Fallible<One> {
    // An order's id is never used again.
    let request_id = format!("bench-{}-{name}", key.name());
    let user = format!("{name}@example.com");
    let asked = MakeKeyRequest {
        request_id: request_id.clone(),
        user: user.clone(),
        key,
        signature: CsrSignature::Usual,
        csr: CsrContent {
            subject: format!("CN={name}"),
            alt_names: vec![AltName::Email(user.clone())],
            key_usage: vec![KeyUsage::DigitalSignature],
            extended_key_usage: vec!["emailProtection".to_owned()],
            ..CsrContent::default()
        },
        custody_key: None,
        recipient: Some(KeyRecipient {
            device: device(ground),
            format: CmsFormat::Modern,
        }),
    };
    let begun = Instant::now();
    let made = ground.engine.make_key(asked, DEADLINE).await?;
    let make = begun.elapsed();

    let order = IssueRequest {
        request_id: request_id.clone(),
        ca: "company".to_owned(),
        profile: "smime".to_owned(),
        csr: made.csr.clone(),
    };
    let begun = Instant::now();
    let issued = ground.engine.issue(order, DEADLINE).await?;
    let issue = begun.elapsed();

    let pack = PackRequest {
        request_id,
        user,
        sealed_key: made.sealed_key,
        csr: made.csr,
        certificate: issued.certificate,
        chain: issued.chain,
        device: device(ground),
        platform: "windows".to_owned(),
        format: CmsFormat::Modern,
        friendly_name: None,
        apple_profile: None,
    };
    let begun = Instant::now();
    ground.engine.pack(pack, DEADLINE).await?;
    Ok(One {
        make,
        issue,
        pack: begun.elapsed(),
    })
}

fn device(ground: &Ground<'_>) -> DeviceTarget {
    DeviceTarget {
        certificate: Base64Bytes(ground.device.certificate_der.clone()),
        intermediates: Vec::new(),
    }
}

/// How long it takes on this disk until a page that was appended to a file is durable (fdatasync), in microseconds.
pub(super) fn durable_write(folder: &Path) -> Fallible<Percentiles> {
    let path = folder.join("durable");
    let mut file = File::create_new(&path)?;
    let mut took = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let begun = Instant::now();
        file.write_all(&[7; PAGE])?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(Percentiles::of(took))
}
