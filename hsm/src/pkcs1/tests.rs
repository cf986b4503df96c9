//! Unpadding of blocks that were crafted by hand: every class of malformed block of the attacks on this padding, and every length.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs
)]

use super::*;

const K: usize = 256;
const CIPHERTEXT: [u8; K] = [7; K];

fn secret() -> RejectionSecret {
    RejectionSecret(SecretBytes::from_slice(&[0x5a; SECRET_BYTES]))
}

fn rejection(modulus_len: usize) -> Rejection {
    let ciphertext = vec![7; modulus_len];
    secret()
        .rejection(&[1; 32], &ciphertext, modulus_len)
        .unwrap()
}

/// What a block decrypts to.
fn plain(block: Vec<u8>) -> Vec<u8> {
    let rejection = rejection(block.len());
    let message = unpad(rejection, SecretBytes::from_vec(block)).unwrap();
    message.expose().to_vec()
}

/// 0x00 || 0x02 || padding || 0x00 || message.
fn block(padding: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = vec![0, 2];
    block.extend(padding);
    block.push(0);
    block.extend(message);
    block
}

fn good(k: usize, message: &[u8]) -> Vec<u8> {
    block(&vec![0xa5; k - 3 - message.len()], message)
}

#[test]
fn messages_of_every_length_come_back() {
    for len in 0..=K - OVERHEAD {
        let message: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        assert_eq!(plain(good(K, &message)), message, "{len} bytes");
    }
    // Moduli of other lengths, down to the shortest that has room for a message.
    for k in [OVERHEAD, OVERHEAD + 1, 64, 128, 384, 512, 1024] {
        for len in [0, (k - OVERHEAD).min(1), k - OVERHEAD] {
            let message = vec![3; len];
            assert_eq!(plain(good(k, &message)), message, "{k}, {len}");
        }
    }
}

#[test]
fn a_message_that_looks_like_padding_comes_back() {
    for message in [&[0_u8; 20][..], &[0, 2, 9, 9], &[0], &[2; 20]] {
        assert_eq!(plain(good(K, message)), message);
    }
}

/// Every class of malformed block, each many times: Bleichenbacher's own conditions, those of the attacks that followed (too short a
/// padding, a zero within its first eight bytes, no zero at all), and blocks that are something else.
fn malformed() -> Vec<(String, Vec<u8>)> {
    let mut blocks = Vec::new();
    for first in 1..=255 {
        let mut bad = good(K, b"message");
        bad[0] = first;
        blocks.push((format!("first byte {first}"), bad));
    }
    for second in (0..=255).filter(|second| *second != 2) {
        let mut bad = good(K, b"message");
        bad[1] = second;
        blocks.push((format!("block type {second}"), bad));
    }
    for at in 2..10 {
        let mut bad = good(K, b"message");
        bad[at] = 0;
        blocks.push((format!("zero at {at}"), bad));
    }
    for len in 0..8 {
        blocks.push((
            format!("padding of {len}"),
            block(&vec![9; len], &vec![1; K - 3 - len]),
        ));
    }
    let mut endless = vec![9; K];
    (endless[0], endless[1]) = (0, 2);
    blocks.push(("no separator".to_owned(), endless));
    blocks.push(("zeros".to_owned(), vec![0; K]));
    blocks.push(("ones".to_owned(), vec![0xff; K]));
    let mut oaep = vec![0x77; K];
    oaep[0] = 0;
    blocks.push(("like OAEP".to_owned(), oaep));
    blocks
}

#[test]
fn every_class_of_malformed_block_gets_the_same_answer() {
    let expected = rejection(K).into_message();
    for (class, bad) in malformed() {
        assert_eq!(plain(bad), expected.expose(), "{class}");
    }
}

#[test]
fn the_answer_to_a_malformed_block_is_of_its_ciphertext_its_key_and_the_process() {
    let made = |secret: &RejectionSecret, key: u8, ciphertext: &[u8]| {
        let made = secret.rejection(&[key; 32], ciphertext, K).unwrap();
        made.into_message().expose().to_vec()
    };
    let first = made(&secret(), 1, &CIPHERTEXT);
    assert_eq!(made(&secret(), 1, &CIPHERTEXT), first, "the same again");
    let mut other = CIPHERTEXT;
    other[K - 1] ^= 1;
    assert_ne!(made(&secret(), 1, &other), first);
    assert_ne!(made(&secret(), 2, &CIPHERTEXT), first);
    assert_ne!(
        made(&RejectionSecret::new().unwrap(), 1, &CIPHERTEXT),
        first
    );
}

#[test]
fn the_answers_to_malformed_blocks_have_every_length_that_messages_have() {
    let mut counts = vec![0_u32; K - OVERHEAD + 1];
    for number in 0..20_000_u32 {
        let made = secret()
            .rejection(&[1; 32], &number.to_be_bytes(), K)
            .unwrap();
        counts[usize::try_from(made.len).unwrap()] += 1;
    }
    // Each of 246 lengths about 81 times; one that is never there, or twice as often, does not look like chance.
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 35 && *most < 140, "{least} to {most}");
}

#[test]
fn the_length_is_the_last_candidate_that_fits() {
    // Room for 245 bytes: eight bits are looked at.
    assert_eq!(length_of(&[0, 10, 0, 245, 0, 246], K), 245);
    assert_eq!(length_of(&[0, 245, 7, 3, 0xff, 0xff], K), 3);
    assert_eq!(length_of(&[0xff, 0xff], K), 0, "none of them");
    assert_eq!(length_of(&[0, 5], OVERHEAD), 0);
    assert_eq!(length_of(&[0, 5], 0), 0);
}

#[test]
fn blocks_without_room_for_a_message_are_no_blocks() {
    for len in 0..OVERHEAD {
        let rejection = rejection(len);
        assert!(unpad(rejection, SecretBytes::zeroed(len)).is_none());
    }
    assert!(unpad(rejection(K), SecretBytes::zeroed(K - 1)).is_none());
}

#[test]
fn what_is_padded_is_unpadded_at_every_length() {
    for len in 0..=K - OVERHEAD {
        let message: Vec<u8> = (0..len).map(|i| (i * 5 + len) as u8).collect();
        let encoded = pad(K, &message).unwrap();
        assert_eq!(encoded.len(), K);
        assert_eq!(encoded.expose()[..2], [0, 2], "less than any modulus");
        let padding = &encoded.expose()[2..K - len - 1];
        assert!(padding.len() >= 8 && padding.iter().all(|byte| *byte != 0));
        assert_eq!(plain(encoded.expose().to_vec()), message);
    }
    for (k, len) in [(0, 0), (10, 0), (K, K - OVERHEAD + 1)] {
        assert!(matches!(
            pad(k, &vec![1; len]),
            Err(Error::PlaintextTooLong { actual, .. }) if actual == len
        ));
    }
}
