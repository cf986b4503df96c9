//! A key that an engine made and its issued certificate, as a PFX for a device.
//!
//! ```text
//! bounds -> platform -> the sealed key says that it is this request's and this CSR's -> the certificate is what the CSR asked for
//!   -> device -> format -> form of the PFX -> the ledger admits
//!   -> the token decrypts the wrapping key -> the sealed key opens -> it is the certificate's -> PFX under a fresh password
//!   -> CMS to the verified device -> the receipt is durable -> the answer leaves
//! ```
//!
//! Everything before the ledger costs no use of the custody key and is told as it is; of what comes after, one failure is told.

use super::deliver::{admit_form, fresh_options, fresh_password, not_written, thumbprint};
use super::queue::Job;
use super::refusal::{Came, DECRYPTION_FAILED, Refusal};
use super::sharing::Ciphertext;
use super::usage::{Usage, caller};
use super::{Shared, flow, judge};
use crate::clock::{Clock, SystemClock};
use crate::config::{IssuanceConfig, PfxForm};
use crate::encoding::Base64Bytes;
use crate::engine::api::keys::{
    MAX_CERTIFICATE_BYTES, MAX_CHAIN, MAX_SEALED_KEY_BYTES, PackRequest, Packed, Platform,
};
use crate::engine::api::{Delivery, FailureCode};
use crate::engine::recrypt::cms::{self, KeyTransport};
use crate::engine::recrypt::issued::{self, IssuedCertificate};
use crate::engine::recrypt::sealed::{SealedKey, csr_digest};
use ::formats::pfx::Target;
use ::formats::pfx::verdict::{Opens, of_form};
use ::formats::pfx::write::{Entries, Form, WriteOptions, write};
use ::formats::profile::{Certificate, Kind, Profile, Validity};
use audit::Hash;
use audit::event::{KeyUse, Packing, Purpose, ResultClass};
use fips::secret::{Password, PrivateKey, SecretBytes};
use hsm::{Lane, Padding};
use std::sync::atomic::Ordering;

/// What everything is told as that goes wrong once the custody key is asked.
const NOT_OPENED: &str = "the sealed key could not be opened";
const MAX_USER_BYTES: usize = 1024;
const MAX_FRIENDLY_NAME_BYTES: usize = 256;

/// Bounds that hold before anything looks into a field.
pub(super) fn bounded(request: &PackRequest) -> Result<(), Refusal> {
    flow::named(&request.request_id)?;
    bounded_user(&request.user)?;
    let within = |bytes: &Base64Bytes, most| (1..=most).contains(&bytes.as_slice().len());
    let refuse = |what: &str| Err(Refusal::bad_request(what));
    if !within(&request.sealed_key, MAX_SEALED_KEY_BYTES) {
        return refuse("sealedKey is empty or longer than 16 KiB");
    }
    if !within(&request.csr, MAX_CERTIFICATE_BYTES)
        || !within(&request.certificate, MAX_CERTIFICATE_BYTES)
    {
        return refuse("csr or certificate is empty or longer than 16 KiB");
    }
    if request.chain.len() > MAX_CHAIN
        || request
            .chain
            .iter()
            .any(|one| !within(one, MAX_CERTIFICATE_BYTES))
    {
        return refuse(
            "chain has more than 8 certificates, or one that is empty or longer than 16 KiB",
        );
    }
    if request.device.certificate.as_slice().is_empty() {
        return refuse("there is no device certificate");
    }
    let is_name = |name: &String| {
        (1..=MAX_FRIENDLY_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control)
    };
    if request
        .friendly_name
        .as_ref()
        .is_some_and(|name| !is_name(name))
    {
        return refuse("friendlyName must have 1 to 256 bytes and no control characters");
    }
    if request
        .apple_profile
        .as_ref()
        .is_some_and(|name| !is_name(name))
    {
        return refuse("appleProfile must have 1 to 256 bytes and no control characters");
    }
    Ok(())
}

pub(super) fn bounded_user(user: &str) -> Result<(), Refusal> {
    if user.len() > MAX_USER_BYTES || user.contains(char::is_control) {
        return Err(Refusal::bad_request(
            "user is longer than 1024 bytes or has control characters",
        ));
    }
    Ok(())
}

/// The part of the configuration without which no keys are made or packed.
pub(super) fn configured(shared: &Shared) -> Result<&IssuanceConfig, Refusal> {
    shared.config.issuance.as_ref().ok_or_else(|| {
        Refusal::bad_request(
            "this engine makes no keys for certificates: add the table `[engine.issuance]` to its configuration and restart it",
        )
    })
}

pub(super) fn pack(shared: &Shared, job: &Job, request: &PackRequest) -> Result<Packed, Refusal> {
    configured(shared)?;
    let platform = admit_platform(&request.platform)?;
    admit_profile(request, platform)?;
    let sealed = admit_sealed(request)?;
    let certificate = admit_certificate(request)?;
    let device = judge::admit(shared, job, &request.device, request.format)?;
    let (options, warnings) = choose_form(shared, platform)?;
    let custody = flow::open_tokens(shared, job.deadline)?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(flow::cms_refusal)?;

    let binding = sealed.binding();
    if binding.padding == Padding::Pkcs1 {
        return Err(Refusal::bad_request(
            "no key is sealed with the padding pkcs1",
        ));
    }
    let used = Box::new(KeyUse {
        request: request.request_id.clone(),
        caller: caller(job),
        importer: None,
        user: request.user.clone(),
        record: Hash::of(request.sealed_key.as_slice()),
        key: Hash::from_bytes(*binding.custody_key.as_bytes()),
        padding: binding.padding.to_string(),
        ciphertext: Hash::of(sealed.encrypted_key()),
        purpose: Purpose::Pack(Packing {
            device: Hash::of(request.device.certificate.as_slice()),
            certificate: Hash::of(certificate.der()),
        }),
        delivery: "pack".to_owned(),
        pfx_check: None,
        policy: shared.policy_digest,
        result: ResultClass::ThrownAway,
        reason: None,
    });
    let ciphertext = Ciphertext {
        key: binding.custody_key,
        padding: binding.padding,
        bytes: sealed.encrypted_key().to_vec(),
    };
    let mut usage =
        Usage::begin_with(shared, used, ciphertext, job.deadline).map_err(as_sealed_key)?;
    let mut key = None;
    let packed = usage
        .decrypt_and_check(custody, job, Lane::Interactive, |wrapping_key| {
            key = Some(open(&sealed, wrapping_key.bytes(), &certificate)?);
            Ok(())
        })
        .and_then(|_| {
            let key = key.as_ref().ok_or_else(|| {
                Refusal::fault(
                    "not_opened",
                    "a sealed key was not opened and not refused".to_owned(),
                )
            })?;
            let (pfx, password) = new_pfx(request, key, &certificate, &options)?;
            let seal = |content: &SecretBytes| {
                cms::envelop(request.format, &device, content, transport)
                    .map(Base64Bytes)
                    .map_err(flow::cms_refusal)
            };
            let (encrypted_password, encrypted_pfx, profile) = match &request.apple_profile {
                None => (seal(password.bytes())?, seal(&pfx)?, Base64Bytes::default()),
                Some(name) => {
                    let profile = as_profile(request, name, &certificate, (&pfx, &password));
                    let sealed = seal(&profile.content())?;
                    let whole = profile.with_content(sealed.as_slice());
                    (Base64Bytes::default(), Base64Bytes::default(), whole.into())
                }
            };
            Ok(Packed {
                encrypted_password,
                encrypted_pfx,
                profile,
                thumbprint: thumbprint(certificate.der()),
                form: options.form().to_string(),
                warnings,
                chain_certificates: u32::try_from(certificate.chain().len()).unwrap_or(u32::MAX),
                custody_key: binding.custody_key.to_string(),
            })
        });
    match packed {
        Ok(packed) => {
            usage.end(ResultClass::Decrypted)?;
            shared.key_making.packed.fetch_add(1, Ordering::Relaxed);
            Ok(packed)
        }
        Err(refusal) => Err(as_sealed_key(usage.refuse(refusal))),
    }
}

/// A refusal that speaks of a record's password, in the words of what this is about.
fn as_sealed_key(mut refusal: Refusal) -> Refusal {
    if refusal.told.code == FailureCode::DecryptionFailed {
        NOT_OPENED.clone_into(&mut refusal.told.message);
    }
    refusal
}

fn admit_platform(name: &str) -> Result<Platform, Refusal> {
    Platform::of_name(name).ok_or_else(|| {
        let name: String = crate::encoding::printable(name).chars().take(64).collect();
        let known = Platform::ALL.map(Platform::name).join(", ");
        Refusal::open(
            FailureCode::PlatformRefused,
            "platform_not_supported",
            format!("no certificates are made for the platform {name:?}; they are for {known}"),
        )
    })
}

/// Whether the platform and the format are such that a configuration profile can be asked for, where one is.
fn admit_profile(request: &PackRequest, platform: Platform) -> Result<(), Refusal> {
    if request.apple_profile.is_none() {
        return Ok(());
    }
    if !platform.is_apple() {
        return Err(Refusal::open(
            FailureCode::PlatformRefused,
            "profile_not_for_platform",
            format!(
                "{} reads no configuration profile: ask for a PFX, or name the platform ios or macOs",
                platform.title()
            ),
        ));
    }
    match Delivery::AppleProfile.refuses(request.format) {
        None => Ok(()),
        Some(why) => Err(Refusal::open(
            FailureCode::FormatRefused,
            "format_not_for_delivery",
            why.to_owned(),
        )),
    }
}

/// The PFX with its password as a configuration profile of this name.
fn as_profile<'a>(
    request: &'a PackRequest,
    name: &'a str,
    certificate: &IssuedCertificate,
    (pfx, password): (&'a SecretBytes, &'a Password),
) -> Profile<'a> {
    let [not_before, not_after] = certificate.validity();
    Profile {
        user: &request.user,
        kind: Kind::Issued(name),
        certificates: vec![Certificate {
            thumbprint: thumbprint(certificate.der()),
            validity: Validity {
                not_before,
                not_after,
            },
            pfx: pfx.expose(),
            password: password.bytes(),
        }],
    }
}

/// Whether the sealed key says that it was made for this request and this CSR. That it says so truly shows when it opens.
fn admit_sealed(request: &PackRequest) -> Result<SealedKey, Refusal> {
    let refuse = |reason, text: String| Refusal::open(FailureCode::SealedKeyRefused, reason, text);
    let sealed = SealedKey::read(request.sealed_key.as_slice())
        .map_err(|error| refuse("sealed_key_malformed", format!("the sealed key: {error}")))?;
    let binding = sealed.binding();
    if binding.request_id != request.request_id {
        return Err(refuse(
            "sealed_key_of_another_request",
            "the sealed key was made for another request".to_owned(),
        ));
    }
    if binding.csr != csr_digest(request.csr.as_slice()) {
        return Err(refuse(
            "sealed_key_of_another_csr",
            "the sealed key was made with another CSR".to_owned(),
        ));
    }
    Ok(sealed)
}

fn admit_certificate(request: &PackRequest) -> Result<IssuedCertificate, Refusal> {
    let others: Vec<Vec<u8>> = request
        .chain
        .iter()
        .map(|one| one.as_slice().to_vec())
        .collect();
    issued::verify(
        request.csr.as_slice(),
        request.certificate.as_slice(),
        &others,
        SystemClock.now_ms(),
    )
    .map_err(|error| {
        Refusal::open(
            FailureCode::IssuedCertificateRefused,
            error.code(),
            error.to_string(),
        )
    })
}

/// The private key, if all of it is what it says. Only who had made a sealed key of their own would come here with another key than the CSR's.
fn open(
    sealed: &SealedKey,
    wrapping_key: &SecretBytes,
    certificate: &IssuedCertificate,
) -> Result<PrivateKey, Refusal> {
    let refuse = |reason, detail: &str| {
        Refusal::new(
            FailureCode::DecryptionFailed,
            DECRYPTION_FAILED,
            reason,
            detail,
        )
        .that_came(Came::WrongPassword)
    };
    let key = sealed
        .open(wrapping_key)
        .map_err(|error| refuse("sealed_key_not_opened", &error.to_string()))?;
    if !certificate.is_of(key.expose()) {
        return Err(refuse(
            "sealed_key_of_another_certificate",
            "the private key in the sealed key is not the one of its CSR",
        ));
    }
    Ok(key)
}

fn new_pfx(
    request: &PackRequest,
    key: &PrivateKey,
    certificate: &IssuedCertificate,
    options: &WriteOptions,
) -> Result<(SecretBytes, Password), Refusal> {
    let password = fresh_password()?;
    let chain = certificate.chain();
    let entries = Entries::identity(
        key.bytes(),
        certificate.der(),
        &chain,
        request.friendly_name.as_deref(),
    );
    let pfx = write(&entries, password.bytes(), options).map_err(not_written)?;
    Ok((SecretBytes::from_vec(pfx), password))
}

/// Who reads PFX files on a platform.
fn target(platform: Platform) -> Target {
    match platform {
        Platform::Windows => Target::Windows2019,
        Platform::Ios => Target::Ios,
        Platform::MacOs => Target::MacOs,
        Platform::AndroidFullyManaged
        | Platform::AndroidDedicated
        | Platform::AndroidCorporateOwnedWorkProfile
        | Platform::AndroidPersonallyOwnedWorkProfile => Target::Android,
    }
}

/// The form of the PFX: the best one, from the configured one down, that the platform reads and the FIPS policy lets be written; where there is
/// none, the configured one. With what speaks against it on the platform.
fn choose_form(
    shared: &Shared,
    platform: Platform,
) -> Result<(WriteOptions, Vec<String>), Refusal> {
    let allowed: &[Form] = match shared.config.pfx.form {
        PfxForm::Approved => &Form::ALL,
        PfxForm::Compatible => &[Form::Compatible, Form::Legacy3Des],
        PfxForm::Legacy3Des => &[Form::Legacy3Des],
    };
    let reads = |form: Form| {
        matches!(
            of_form(form, target(platform)).0,
            Opens::Yes | Opens::WithCondition
        )
    };
    let is_admitted = |form: Form| admit_form(&fresh_options(form)).is_ok();
    let configured = *allowed.first().unwrap_or(&Form::Approved);
    let form = allowed
        .iter()
        .copied()
        .find(|form| reads(*form) && is_admitted(*form))
        .unwrap_or(configured);
    let options = fresh_options(form);
    admit_form(&options)?;
    let (opens, reasons) = of_form(form, target(platform));
    let mut warnings: Vec<String> = reasons
        .iter()
        .filter(|reason| reason.opens != Opens::Yes)
        .map(|reason| format!("{}: {}", platform.title(), reason.sentence()))
        .collect();
    if opens == Opens::No {
        warnings.push(format!(
            "{} is not known to open a PFX of the form {form}; a form that it opens is not approved: allow it by the FIPS exception `pkcs12-kdf-mac-write`",
            platform.title()
        ));
    }
    Ok((options, warnings))
}
