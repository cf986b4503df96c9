//! Every file of the corpus that opens, written in each form and read back: the same keys, certificates and names.

use super::manifest::{self, Case};
use fips::secret::SecretBytes;
use formats::pfx::write::{Entries, Form, WriteOptions, write};
use formats::pfx::{OpenedPfx, PfxLimits, read};

const PASSWORD: &[u8] = b"another password, of 32 letters.";

/// A name of no characters is none.
fn some(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

/// What has to be the same: each key with its name and its certificate, and the certificates with their names.
fn contents(opened: &OpenedPfx) -> (Vec<String>, Vec<String>) {
    let certificate = |place: Option<usize>| place.map(|place| opened.certificates()[place].der());
    let keys = opened.keys().iter().map(|key| {
        format!(
            "{:?} {:?} {:?}",
            key.pkcs8().expose(),
            some(key.stored_name()),
            certificate(key.certificate())
        )
    });
    let certificates = opened.certificates().iter().map(|certificate| {
        // A certificate without a name gets its key's.
        let name = some(certificate.stored_name())
            .or_else(|| some(opened.keys()[certificate.key()?].stored_name()));
        format!("{:?} {name:?}", certificate.der())
    });
    let mut certificates: Vec<String> = certificates.collect();
    certificates.sort();
    (keys.collect(), certificates)
}

/// Local key ids are the same too, unless two keys had one, or none.
fn check_ids(file: &Case, before: &OpenedPfx, after: &OpenedPfx) {
    let mut seen = Vec::new();
    for (old, new) in before.keys().iter().zip(after.keys()) {
        let id = new
            .local_key_id()
            .unwrap_or_else(|| panic!("{}: no id", file.name()));
        assert!(!seen.contains(&id), "{}: an id twice", file.name());
        seen.push(id);
        if let Some(place) = new.certificate() {
            let of_certificate = after.certificates()[place].local_key_id();
            assert_eq!(of_certificate, Some(id), "{}", file.name());
        }
        let alone = |id: &[u8]| {
            let same = |other: &&formats::pfx::OpenedKey| other.local_key_id() == Some(id);
            // Of a certificate that is the joined one of no key: of a chain, or from before a renewal.
            let elsewhere = |(place, one): &(usize, &formats::pfx::OpenedCertificate)| {
                let mut keys = before.keys().iter();
                one.local_key_id() == Some(id) && keys.all(|key| key.certificate() != Some(*place))
            };
            before.keys().iter().filter(same).count() == 1
                && before
                    .certificates()
                    .iter()
                    .enumerate()
                    .filter(elsewhere)
                    .count()
                    == 0
        };
        if let Some(old) = old.local_key_id().filter(|id| !id.is_empty() && alone(id)) {
            assert_eq!(id, old, "{}", file.name());
        }
    }
}

fn again(file: &Case, opened: &OpenedPfx, form: Form) {
    let case = format!("{}, {form}", file.name());
    let password = SecretBytes::from_slice(PASSWORD);
    let options = WriteOptions::new(form).with_iterations(1000).unwrap();
    let written = write(&Entries::of(opened), &password, &options)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let back = read(&written, &password, &PfxLimits::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(contents(opened) == contents(&back), "{case}");
    check_ids(file, opened, &back);
    let encoding = &back.survey().encoding;
    assert!(encoding.der, "{case}: {encoding:?}");
}

#[test]
fn every_file_that_opens_comes_back_from_every_form() {
    fips::start(fips::policy::Policy::OFF).unwrap();
    let files = manifest::cases();
    let mut count = 0;
    for file in files
        .iter()
        .filter(|file| file.column("expected") == "valid")
    {
        let password = SecretBytes::from_slice(file.column("password").as_bytes());
        let Ok(opened) = read(&file.bytes, &password, &PfxLimits::default()) else {
            // Whether it has to open is another test's business.
            continue;
        };
        if opened.keys().is_empty() && opened.certificates().is_empty() {
            continue;
        }
        count += 1;
        for form in Form::ALL {
            again(file, &opened, form);
        }
    }
    println!("{count} files, each in {} forms", Form::ALL.len());
    assert!(files.is_empty() || count > 0);
}
