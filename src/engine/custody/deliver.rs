//! Deliveries that open the PFX: a new PFX under a fresh password, or a configuration profile with all of a user's certificates.
//!
//! ```text
//! every record: importer's signature -> device -> format -> what is to be written is allowed -> every PFX, from the outside
//! then for each: the token decrypts the password -> formats opens the PFX -> this process verifies key and certificate,
//!                and writes a new PFX under a password that formats never sees
//! CMS to the verified device
//! ```

use super::queue::Job;
use super::refusal::Refusal;
use super::usage::{Usage, Wanted};
use super::{Shared, flow, formats};
use crate::config::{PfxForm, UserInCertificate};
use crate::encoding::Base64Bytes;
use crate::engine::api::{
    CmsFormat, DeliverRequest, Delivered, Delivery, FailureCode, MAX_CERTIFICATES, StoredPfx,
};
use crate::engine::formats::opening::OpenTerms;
use crate::engine::recrypt::chain::DeviceIdentity;
use crate::engine::recrypt::cms::{self, KeyTransport};
use crate::engine::recrypt::identity::{self, IdentityError, VerifiedIdentity};
use crate::record::Record;
use ::formats::pfx::write::{Entries, Form, WriteError, WriteOptions, write};
use ::formats::profile::{Certificate, Kind, Profile, Validity};
use audit::event::{PfxCheck, ResultClass};
use fips::secret::{Password, SecretBytes};
use hsm::{Custody, KeyFingerprint, Lane};

/// Characters of a fresh password, of 62 kinds: 190 bits.
const PASSWORD_CHARACTERS: usize = 32;

/// PFX files of one profile together: in base64 within base64 it has to fit into a frame.
const MAX_PROFILE_PFX_BYTES: usize = 1024 * 1024;

/// Bounds that hold before anything looks into a field.
pub(super) fn bounded(request: &DeliverRequest) -> Result<(), Refusal> {
    let certificates = request.certificates.as_slice();
    match request.delivery {
        Delivery::Rewrap if certificates.len() == 1 => {}
        Delivery::AppleProfile if (1..=MAX_CERTIFICATES).contains(&certificates.len()) => {}
        Delivery::Password => {
            return Err(Refusal::bad_request(
                "the delivery password is asked for by recrypt",
            ));
        }
        Delivery::Rewrap => {
            return Err(Refusal::bad_request(
                "the delivery rewrap is of one certificate",
            ));
        }
        Delivery::AppleProfile => {
            return Err(Refusal::bad_request(&format!(
                "the delivery appleProfile is of 1 to {MAX_CERTIFICATES} certificates",
            )));
        }
    }
    if let Some(why) = request.delivery.refuses(request.format) {
        return Err(Refusal::open(
            FailureCode::FormatRefused,
            "format_not_for_delivery",
            why.to_owned(),
        ));
    }
    let bytes = certificates
        .iter()
        .map(|stored| stored.pfx.as_slice().len())
        .fold(0, usize::saturating_add);
    if certificates.len() > 1 && bytes > MAX_PROFILE_PFX_BYTES {
        return Err(Refusal::bad_request(
            "the PFX files of this user are together larger than 1 MiB, which is more than one profile takes",
        ));
    }
    for StoredPfx { record, pfx } in certificates {
        flow::bounded(&request.request_id, record, pfx)?;
    }
    if request.device.certificate.as_slice().is_empty() {
        return Err(Refusal::bad_request("there is no device certificate"));
    }
    let user = |stored: &StoredPfx| stored.record.user_principal_name.to_lowercase();
    let first = certificates.first().map(user);
    if certificates
        .iter()
        .any(|stored| Some(user(stored)) != first)
    {
        return Err(Refusal::bad_request(
            "the certificates are not all of one user",
        ));
    }
    Ok(())
}

/// A new PFX with its password.
struct Rewrapped {
    identity: VerifiedIdentity,
    pfx: Vec<u8>,
    password: Password,
}

pub(super) fn deliver(
    shared: &Shared,
    job: &Job,
    request: &DeliverRequest,
) -> Result<Delivered, Refusal> {
    flow::admit_delivery(shared, request.delivery)?;
    let importers = request
        .certificates
        .iter()
        .map(|StoredPfx { record, pfx }| flow::admit_record(shared, record, pfx))
        .collect::<Result<Vec<_>, _>>()?;
    let device = flow::admit_device(shared, job, &request.device, request.format)?;
    let options = fresh_options(form(shared));
    admit_form(&options)?;
    for StoredPfx { pfx, .. } in &request.certificates {
        formats::look_at_pfx(shared, job, pfx)?;
    }
    let custody = flow::open_tokens(shared, job.deadline)?;
    let transport = KeyTransport::choose(custody, Some(job.deadline));
    cms::check_policy(request.format, &device, transport).map_err(flow::cms_refusal)?;
    let keys: Vec<KeyFingerprint> = request
        .certificates
        .iter()
        .map(|stored| flow::find_key(custody, &stored.record))
        .collect::<Result<_, _>>()?;

    let purpose = flow::for_device(&request.device);
    let mut rewrapped = Vec::with_capacity(keys.len());
    let mut usages = Vec::with_capacity(keys.len());
    for ((stored, key), importer) in request.certificates.iter().zip(&keys).zip(importers) {
        let wanted = Wanted {
            request_id: &request.request_id,
            record: &stored.record,
            pfx: stored.pfx.as_slice(),
            importer,
            key: *key,
            purpose: purpose.clone(),
            delivery: request.delivery.name(),
            pfx_check: Some(PfxCheck::Opened),
        };
        let one = Usage::begin(shared, job, &wanted)
            .and_then(|usage| rewrap(shared, custody, job, usage, stored, &options));
        let (one, usage) = one.map_err(|refusal| Refusal {
            // Whatever is said of this one, others were decrypted before.
            on_grid: refusal.on_grid || !usages.is_empty(),
            ..refusal
        })?;
        rewrapped.push(one);
        usages.push(usage);
    }
    let delivered = seal(request, rewrapped, &device, transport, &keys);
    for usage in usages {
        match &delivered {
            Ok(_) => usage.end(ResultClass::Decrypted)?,
            Err(_) => usage.end(ResultClass::ThrownAway)?,
        }
    }
    delivered.map_err(Refusal::after_use)
}

/// What the device gets of the new PFX files.
fn seal(
    request: &DeliverRequest,
    mut rewrapped: Vec<Rewrapped>,
    device: &DeviceIdentity,
    transport: KeyTransport<'_>,
    keys: &[KeyFingerprint],
) -> Result<Delivered, Refusal> {
    // The newest first; of two that begin at once, the one that was named first.
    rewrapped.sort_by_key(|one| std::cmp::Reverse(one.identity.not_before()));
    let sealing = Sealing {
        format: request.format,
        device,
        transport,
    };
    let mut delivered = match request.delivery {
        Delivery::AppleProfile => profile(request, &rewrapped, &sealing)?,
        _ => pfx(&rewrapped, &sealing)?,
    };
    delivered.certificates = rewrapped
        .iter()
        .map(|one| thumbprint(one.identity.certificate()))
        .collect();
    let mut used: Vec<String> = keys.iter().map(ToString::to_string).collect();
    used.sort();
    used.dedup();
    delivered.custody_keys = used;
    Ok(delivered)
}

/// To whom, and how.
struct Sealing<'a> {
    format: CmsFormat,
    device: &'a DeviceIdentity,
    transport: KeyTransport<'a>,
}

impl Sealing<'_> {
    fn seal(&self, content: &SecretBytes) -> Result<Base64Bytes, Refusal> {
        cms::envelop(self.format, self.device, content, self.transport)
            .map(Base64Bytes)
            .map_err(flow::cms_refusal)
    }
}

fn pfx(rewrapped: &[Rewrapped], sealing: &Sealing<'_>) -> Result<Delivered, Refusal> {
    let [one] = rewrapped else {
        return Err(Refusal::bad_request(
            "the delivery rewrap is of one certificate",
        ));
    };
    Ok(Delivered {
        encrypted_password: Some(sealing.seal(one.password.bytes())?),
        encrypted_pfx: Some(sealing.seal(&SecretBytes::from_slice(&one.pfx))?),
        profile: None,
        certificates: Vec::new(),
        custody_keys: Vec::new(),
    })
}

fn profile(
    request: &DeliverRequest,
    rewrapped: &[Rewrapped],
    sealing: &Sealing<'_>,
) -> Result<Delivered, Refusal> {
    let user = request
        .certificates
        .first()
        .map(|stored| stored.record.user_principal_name.as_str())
        .unwrap_or_default();
    let profile = Profile {
        user,
        kind: Kind::Mail,
        certificates: rewrapped
            .iter()
            .map(|one| Certificate {
                thumbprint: thumbprint(one.identity.certificate()),
                validity: Validity {
                    not_before: one.identity.not_before(),
                    not_after: one.identity.not_after(),
                },
                pfx: &one.pfx,
                password: one.password.bytes(),
            })
            .collect(),
    };
    let content = profile.content();
    let sealed = sealing.seal(&content)?;
    Ok(Delivered {
        encrypted_password: None,
        encrypted_pfx: None,
        profile: Some(Base64Bytes(profile.with_content(sealed.as_slice()))),
        certificates: Vec::new(),
        custody_keys: Vec::new(),
    })
}

/// One PFX, opened and written anew; what happened of the use has still to be recorded.
fn rewrap<'a>(
    shared: &Shared,
    custody: &dyn Custody,
    job: &Job,
    mut usage: Usage<'a>,
    stored: &StoredPfx,
    options: &WriteOptions,
) -> Result<(Rewrapped, Usage<'a>), Refusal> {
    match write_anew(shared, custody, job, &mut usage, stored, options) {
        Ok(rewrapped) => Ok((rewrapped, usage)),
        Err(refusal) => Err(usage.refuse(refusal)),
    }
}

fn write_anew(
    shared: &Shared,
    custody: &dyn Custody,
    job: &Job,
    usage: &mut Usage<'_>,
    stored: &StoredPfx,
    options: &WriteOptions,
) -> Result<Rewrapped, Refusal> {
    let StoredPfx { record, pfx } = stored;
    let terms = OpenTerms {
        thumbprint: record.thumbprint.to_ascii_lowercase(),
        max_iterations: shared.config.pfx.max_iterations,
        integrity_alone: false,
    };
    let open =
        |password: &Password| formats::open_pfx(shared, job, &terms, pfx.as_slice(), password);
    let mut claimed = None;
    usage.decrypt_and_check(custody, job, Lane::Interactive, |password| {
        claimed = Some(open(password)?);
        Ok(())
    })?;
    let claimed = claimed.ok_or_else(|| {
        Refusal::fault(
            "not_opened",
            "a PFX was not opened and not refused".to_owned(),
        )
    })?;
    let identity =
        identity::verify(record, claimed, names_user(shared, record)).map_err(refused)?;
    let password = fresh_password()?;
    let chain = identity.chain();
    let entries = Entries::identity(
        identity.pkcs8().bytes(),
        identity.certificate(),
        &chain,
        Some(&record.user_principal_name),
    );
    let pfx = write(&entries, password.bytes(), options).map_err(not_written)?;
    Ok(Rewrapped {
        pfx,
        password,
        identity,
    })
}

pub(super) fn fresh_password() -> Result<Password, Refusal> {
    fips::random::alphanumeric(PASSWORD_CHARACTERS)
        .map(Password::new)
        .map_err(|error| Refusal::fault("random", error.to_string()))
}

/// Iterations of the key derivations of a file under a fresh password. That has 190 bits of chance, to which more iterations add nothing; as many
/// are what the tests of the module's PBKDF2 cover (1,000 to 10,000), and SP 800-132 asks for 1,000.
const ITERATIONS: u32 = 10_000;

/// How a file of this form is written under a fresh password.
pub(super) fn fresh_options(form: Form) -> WriteOptions {
    let options = WriteOptions::new(form);
    if options.iterations().get() <= ITERATIONS {
        return options;
    }
    options
        .clone()
        .with_iterations(ITERATIONS)
        .unwrap_or(options)
}

fn names_user(shared: &Shared, record: &Record) -> bool {
    match shared.config.pfx.user_in_certificate {
        UserInCertificate::Always => true,
        UserInCertificate::Never => false,
        UserInCertificate::Unsigned => record.importer_signature.is_none(),
    }
}

fn form(shared: &Shared) -> Form {
    match shared.config.pfx.form {
        PfxForm::Approved => Form::Approved,
        PfxForm::Compatible => Form::Compatible,
        PfxForm::Legacy3Des => Form::Legacy3Des,
    }
}

/// Whether the FIPS policy lets a PFX of this form be written: asked before the key is used.
pub(super) fn admit_form(options: &WriteOptions) -> Result<(), Refusal> {
    for service in options.services(PASSWORD_CHARACTERS) {
        fips::policy::decide(service).map(drop).map_err(|error| {
            Refusal::open(
                FailureCode::FormatRefused,
                "pfx_form_not_approved",
                format!(
                    "a PFX of the form {} (`engine.pfx.form`) is not written here: {error}",
                    options.form()
                ),
            )
        })?;
    }
    Ok(())
}

fn refused(error: IdentityError) -> Refusal {
    match error {
        // Words about the engine's own processes are for the operator.
        IdentityError::OtherCertificate | IdentityError::OtherKey => Refusal::new(
            FailureCode::PfxRefused,
            "the PFX does not hold the record's certificate with its key",
            error.code(),
            error.to_string(),
        ),
        _ => Refusal::open(FailureCode::PfxRefused, error.code(), error.to_string()),
    }
}

pub(super) fn not_written(error: WriteError) -> Refusal {
    Refusal::new(
        FailureCode::PfxRefused,
        "the key or certificate of this PFX cannot be written into a new one: see the engine's log",
        "pfx_not_written",
        error.to_string(),
    )
}

pub(super) fn thumbprint(certificate: &[u8]) -> String {
    crate::encoding::hex(fips::digest::digest(fips::digest::Hash::Sha1, certificate).as_ref())
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_file_under_a_fresh_password_takes_no_more_iterations_than_the_modules_validation_covers() {
        for form in Form::ALL {
            let options = fresh_options(form);
            assert_eq!(options.form(), form);
            let usual = form.default_iterations().get();
            assert_eq!(options.iterations().get(), usual.min(ITERATIONS));
        }
        assert!((WriteOptions::MIN_ITERATIONS..=10_000).contains(&ITERATIONS));
    }
}
