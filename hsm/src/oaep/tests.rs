//! Unpadding of encoded messages that were crafted by hand: every way to be wrong, and every length. Padding.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use super::*;

/// What an encoded message is made of, to be bent.
struct Crafted {
    first: u8,
    label_hash: Vec<u8>,
    padding_string: Vec<u8>,
    separator: Option<u8>,
    message: Vec<u8>,
}

impl Crafted {
    fn of(padding: Padding, k: usize, message: &[u8]) -> Self {
        Self {
            first: 0,
            label_hash: fips::digest::digest(padding.hash().unwrap(), b"")
                .as_ref()
                .to_vec(),
            padding_string: vec![0; k - 2 * padding.hash_len() - 2 - message.len()],
            separator: Some(1),
            message: message.to_vec(),
        }
    }

    /// EME-OAEP encoding (RFC 8017, section 7.1.1, step 2) of whatever the parts are.
    fn encode(&self, padding: Padding) -> SecretBytes {
        let mut db = self.label_hash.clone();
        db.extend(&self.padding_string);
        db.extend(self.separator);
        db.extend(&self.message);
        let mut seed = vec![0x5a; padding.hash_len()];
        xor_mgf1(padding.hash().unwrap(), &seed, &mut db);
        xor_mgf1(padding.hash().unwrap(), &db, &mut seed);
        let mut encoded = vec![self.first];
        encoded.extend(seed);
        encoded.extend(db);
        SecretBytes::from_vec(encoded)
    }
}

#[test]
fn messages_of_every_length_come_back() {
    for padding in Padding::OAEP {
        let limit = padding.max_message_len(2048);
        for len in 0..=limit {
            let message: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            let encoded = Crafted::of(padding, 256, &message).encode(padding);
            assert_eq!(encoded.len(), 256);
            let plain = unpad(padding, b"", encoded).unwrap();
            assert_eq!(plain.expose(), message, "{padding}, {len} bytes");
        }
    }
}

#[test]
fn a_message_that_looks_like_padding_comes_back() {
    for message in [&[0_u8; 20][..], &[1; 20], &[0, 1, 0, 1], &[1], &[0]] {
        let encoded = Crafted::of(Padding::OaepSha256, 256, message).encode(Padding::OaepSha256);
        assert_eq!(
            unpad(Padding::OaepSha256, b"", encoded).unwrap().expose(),
            message
        );
    }
}

#[test]
fn every_wrong_first_byte_is_refused() {
    for first in 1..=255 {
        let mut crafted = Crafted::of(Padding::OaepSha1, 256, b"message");
        crafted.first = first;
        let encoded = crafted.encode(Padding::OaepSha1);
        assert!(unpad(Padding::OaepSha1, b"", encoded).is_err());
    }
}

#[test]
fn every_wrong_bit_of_the_label_hash_is_refused() {
    for padding in Padding::OAEP {
        for bit in 0..padding.hash_len() * 8 {
            let mut crafted = Crafted::of(padding, 256, b"message");
            crafted.label_hash[bit / 8] ^= 1 << (bit % 8);
            assert!(unpad(padding, b"", crafted.encode(padding)).is_err());
        }
    }
}

#[test]
fn every_wrong_byte_in_the_padding_string_is_refused() {
    for at in 0..183 {
        for wrong in [2, 0x80, 0xff] {
            let mut crafted = Crafted::of(Padding::OaepSha256, 256, b"message");
            assert_eq!(crafted.padding_string.len(), 183);
            crafted.padding_string[at] = wrong;
            assert!(
                unpad(
                    Padding::OaepSha256,
                    b"",
                    crafted.encode(Padding::OaepSha256)
                )
                .is_err()
            );
        }
    }
}

#[test]
fn an_early_separator_only_makes_the_message_longer() {
    let mut crafted = Crafted::of(Padding::OaepSha256, 256, b"message");
    crafted.padding_string[100] = 1;
    let plain = unpad(
        Padding::OaepSha256,
        b"",
        crafted.encode(Padding::OaepSha256),
    )
    .unwrap();
    assert_eq!(plain.len(), 82 + 1 + 7);
    assert!(plain.expose().ends_with(b"\x01message"));
}

#[test]
fn a_block_without_separator_is_refused() {
    for padding in Padding::OAEP {
        let mut crafted = Crafted::of(padding, 256, b"");
        crafted.separator = Some(0);
        assert!(unpad(padding, b"", crafted.encode(padding)).is_err());
        crafted.separator = Some(2);
        assert!(unpad(padding, b"", crafted.encode(padding)).is_err());
    }
}

#[test]
fn the_other_hash_is_refused() {
    for padding in Padding::OAEP {
        for other in Padding::OAEP.into_iter().filter(|other| *other != padding) {
            let encoded = Crafted::of(padding, 256, b"message").encode(padding);
            assert!(unpad(other, b"", encoded).is_err());
        }
    }
}

#[test]
fn blocks_that_are_too_short_are_refused_without_a_panic() {
    for padding in Padding::OAEP {
        for len in 0..2 * padding.hash_len() + 4 {
            assert!(unpad(padding, b"", SecretBytes::zeroed(len)).is_err());
        }
    }
}

#[test]
fn what_is_padded_is_unpadded_at_every_length() {
    for padding in Padding::OAEP {
        for len in 0..=padding.max_message_len(2048) {
            let message: Vec<u8> = (0..len).map(|i| (i * 5 + len) as u8).collect();
            let encoded = pad(padding, b"", 256, &message).unwrap();
            assert_eq!(encoded.len(), 256);
            assert_eq!(encoded.expose()[0], 0, "less than any modulus");
            assert_eq!(unpad(padding, b"", encoded).unwrap().expose(), message);
        }
    }
}

#[test]
fn padding_is_the_encoding_of_rfc_8017_for_its_seed() {
    for padding in Padding::OAEP {
        let encoded = pad(padding, b"", 384, b"message").unwrap();
        let (seed, db) = encoded.expose()[1..].split_at(padding.hash_len());
        let (mut seed, mut db) = (seed.to_vec(), db.to_vec());
        xor_mgf1(padding.hash().unwrap(), &db, &mut seed);
        xor_mgf1(padding.hash().unwrap(), &seed, &mut db);
        let (label_hash, rest) = db.split_at(padding.hash_len());
        assert_eq!(
            label_hash,
            fips::digest::digest(padding.hash().unwrap(), b"").as_ref()
        );
        let (zeros, message) = rest.split_at(rest.len() - 8);
        assert!(zeros.iter().all(|byte| *byte == 0));
        assert_eq!(message, b"\x01message");
    }
}

#[test]
fn two_paddings_of_one_message_differ() {
    let pad = || pad(Padding::OaepSha256, b"", 256, b"message").unwrap();
    assert!(!pad().ct_eq(pad().expose()));
}

#[test]
fn messages_without_room_are_refused_without_a_panic() {
    for padding in Padding::OAEP {
        let overhead = 2 * padding.hash_len() + 2;
        for modulus_len in 0..overhead {
            assert!(pad(padding, b"", modulus_len, b"").is_err());
        }
        assert!(pad(padding, b"", overhead, b"").is_ok());
        assert!(pad(padding, b"", overhead, b"1").is_err());
        for modulus_len in [256, 384] {
            let limit = modulus_len - overhead;
            assert!(pad(padding, b"", modulus_len, &vec![1; limit]).is_ok());
            let refused = pad(padding, b"", modulus_len, &vec![1; limit + 1])
                .err()
                .unwrap();
            assert!(matches!(
                refused,
                Error::PlaintextTooLong { limit: told, actual } if told == limit && actual == limit + 1
            ));
        }
    }
}

#[test]
fn a_label_is_bound_to_what_is_padded_with_it() {
    for padding in Padding::OAEP {
        for label in [&b""[..], b"L", &[0], &[0, 0], &[7; 256]] {
            let padded = || pad(padding, label, 256, b"message").unwrap();
            let plain = unpad(padding, label, padded()).unwrap();
            assert_eq!(plain.expose(), b"message");
            for other in [&b""[..], b"l", b"L\0", &[0, 0, 0], &[7; 255]] {
                assert_eq!(
                    unpad(padding, other, padded()).is_ok(),
                    other == label,
                    "{padding}"
                );
            }
        }
    }
}
