//! What a software TPM said, and the public areas of its keys.

use super::Seed;

/// What a software TPM said (tests/data/README.md): each file, and what belongs together.
pub(super) fn attestations() -> Vec<Seed> {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/data/tpm/", $name)).as_slice()
        };
    }
    let together = |name: &str, parts: &[&[u8]]| Seed {
        name: name.to_owned(),
        bytes: parts
            .iter()
            .flat_map(|part| {
                let length = u16::try_from(part.len()).unwrap().to_be_bytes();
                [length.as_slice(), part].concat()
            })
            .collect(),
    };
    let (key, imported) = (file!("key.pub"), file!("imported.pub"));
    let (srk, ek) = (file!("srk.pub"), file!("ek.pub"));
    let sets: [(&str, [&[u8]; 4]); 5] = [
        (
            "ECDSA on P-256",
            [
                file!("key-p256.attest"),
                file!("key-p256.sig"),
                key,
                file!("ak-p256.pub"),
            ],
        ),
        (
            "ECDSA on P-384",
            [
                file!("key-p384.attest"),
                file!("key-p384.sig"),
                key,
                file!("ak-p384.pub"),
            ],
        ),
        (
            "RSASSA",
            [
                file!("key-rsassa.attest"),
                file!("key-rsassa.sig"),
                key,
                file!("ak-rsassa.pub"),
            ],
        ),
        (
            "RSAPSS",
            [
                file!("key-rsapss.attest"),
                file!("key-rsapss.sig"),
                key,
                file!("ak-rsapss.pub"),
            ],
        ),
        (
            "imported",
            [
                file!("imported-p256.attest"),
                file!("imported-p256.sig"),
                imported,
                file!("ak-p256.pub"),
            ],
        ),
    ];
    let mut seeds = vec![
        together(
            "with its parents",
            &[sets[0].1.as_slice(), &[srk, ek]].concat(),
        ),
        Seed {
            name: "a storage key".to_owned(),
            bytes: srk.to_vec(),
        },
    ];
    for (name, files) in sets {
        seeds.push(together(name, &files));
        seeds.extend(files.iter().enumerate().map(|(number, file)| Seed {
            name: format!("{name}, file {number}"),
            bytes: file.to_vec(),
        }));
    }
    seeds
}
