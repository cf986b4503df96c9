//! Runs what must not depend on secrets under valgrind, with the secrets marked as undefined: every conditional jump and every address
//! that depends on one is then an error of valgrind's. Prints a line for each case, and how many errors it made:
//!
//! ```text
//! unpad sha256 valid-16 0
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

#[cfg(target_arch = "x86_64")]
mod leaky;
#[cfg(target_arch = "x86_64")]
#[path = "../../src"]
#[allow(dead_code)]
mod source {
    pub(crate) mod masks;
    pub(crate) mod oaep;
    pub(crate) mod pkcs1;
}
#[cfg(target_arch = "x86_64")]
mod valgrind;

// The names that the files of the unpaddings take from their crate.
#[cfg(target_arch = "x86_64")]
use hsm::{Error, Padding};
#[cfg(target_arch = "x86_64")]
use source::masks;

#[cfg(target_arch = "x86_64")]
fn main() {
    use cases::{comparisons, mistakes, pkcs1, unpadding};
    assert!(valgrind::is_running(), "to be run under valgrind");
    fips::start(fips::policy::Policy::STRICT).unwrap();
    unpadding();
    pkcs1();
    comparisons();
    mistakes();
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    panic!("the requests to valgrind are written for x86-64 only");
}

#[cfg(target_arch = "x86_64")]
mod cases {
    use super::source::oaep;
    use super::source::pkcs1::{self as padding_of_old, RejectionSecret};
    use super::{Padding, leaky, valgrind};
    use fips::secret::SecretBytes;

    const MODULUS: usize = 256;
    const PADDINGS: [Padding; 4] = [
        Padding::OaepSha1,
        Padding::OaepSha256,
        Padding::OaepSha384,
        Padding::OaepSha512,
    ];

    /// Errors that `work` made.
    fn errors_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
        let before = valgrind::errors();
        let made = work();
        (valgrind::errors() - before, made)
    }

    fn encoded(padding: Padding, message: &[u8]) -> SecretBytes {
        oaep::pad(padding, b"label", MODULUS, message).unwrap()
    }

    /// A block of each kind, and whether its padding is right.
    fn blocks(padding: Padding) -> Vec<(String, bool, SecretBytes)> {
        let most = MODULUS - 2 * padding.hash_len() - 2;
        let mut blocks = Vec::new();
        for len in [0, 1, 16, most] {
            let block = encoded(padding, &vec![0x61; len]);
            blocks.push((format!("valid-{len}"), true, block));
        }
        let mut first = encoded(padding, b"message");
        first.expose_mut()[0] = 1;
        blocks.push(("first-byte".to_owned(), false, first));
        // Another seed comes out, and with it another everything.
        let mut changed = encoded(padding, b"message");
        changed.expose_mut()[MODULUS - 1] ^= 0x80;
        blocks.push(("changed".to_owned(), false, changed));
        let other = oaep::pad(padding, b"other", MODULUS, b"message").unwrap();
        blocks.push(("other-label".to_owned(), false, other));
        let mut random = fips::random::secret(MODULUS).unwrap();
        random.expose_mut()[0] = 0;
        blocks.push(("random".to_owned(), false, random));
        blocks.push(("zeros".to_owned(), false, SecretBytes::zeroed(MODULUS)));
        blocks
    }

    pub(super) fn unpadding() {
        for padding in PADDINGS {
            for (name, good, mut block) in blocks(padding) {
                valgrind::make_secret(block.expose());
                let (errors, separated) =
                    errors_of(|| oaep::separate(padding, b"label", &mut block).unwrap());
                println!("unpad {} {name} {errors}", padding.name());
                // The decision itself is public, and whatever is decided then.
                valgrind::make_public(&separated);
                valgrind::make_public(block.expose());
                assert_eq!(oaep::decide(separated, block).is_ok(), good, "{name}");
            }
        }
    }

    /// Blocks of PKCS#1 v1.5, right and wrong in every way.
    fn old_blocks() -> Vec<(String, SecretBytes)> {
        let good = |len: usize| padding_of_old::pad(MODULUS, &vec![0x61; len]).unwrap();
        let changed = |at: usize, byte: u8| {
            let mut block = good(16);
            block.expose_mut()[at] = byte;
            block
        };
        let mut blocks: Vec<_> = [0, 1, 16, MODULUS - padding_of_old::OVERHEAD]
            .map(|len| (format!("valid-{len}"), good(len)))
            .into();
        let mut endless = changed(MODULUS - 17, 1);
        endless.expose_mut()[MODULUS - 16..].fill(9);
        blocks.extend([
            ("first-byte".to_owned(), changed(0, 1)),
            ("block-type".to_owned(), changed(1, 1)),
            ("short-padding".to_owned(), changed(9, 0)),
            ("no-separator".to_owned(), endless),
            ("zeros".to_owned(), SecretBytes::zeroed(MODULUS)),
        ]);
        blocks
    }

    pub(super) fn pkcs1() {
        let secret = RejectionSecret::new().unwrap();
        valgrind::make_secret(secret.0.expose());
        for (name, block) in old_blocks() {
            valgrind::make_secret(block.expose());
            let (errors, separated) = errors_of(|| {
                // What takes the place of a wrong one is as secret, its length too.
                let rejection = secret.rejection(&[1; 32], &[7; MODULUS], MODULUS).unwrap();
                padding_of_old::separate(rejection, block).unwrap()
            });
            println!("pkcs1 {name} {errors}");
            // The length is public now, and whatever is done with the message.
            valgrind::make_public(&separated.len);
            valgrind::make_public(separated.block.expose());
            let message = padding_of_old::finish(separated);
            if let Some(len) = name.strip_prefix("valid-") {
                assert_eq!(message.len(), len.parse::<usize>().unwrap(), "{name}");
            }
        }
    }

    /// What differs, in two secrets of so many bytes.
    fn pairs() -> Vec<(&'static str, SecretBytes, SecretBytes)> {
        let one = || SecretBytes::from_slice(&[0x33; 64]);
        let other = |at: usize| {
            let mut other = one();
            other.expose_mut()[at] ^= 1;
            other
        };
        vec![
            ("equal", one(), one()),
            ("first", one(), other(0)),
            ("middle", one(), other(31)),
            ("last", one(), other(63)),
            ("all", one(), SecretBytes::zeroed(64)),
        ]
    }

    /// The answer is public, so its use may be told once; it must be the same number wherever the difference is.
    pub(super) fn comparisons() {
        for (name, a, b) in pairs() {
            valgrind::make_secret(a.expose());
            let (errors, equal) = errors_of(|| fips::secret::ct_eq(a.expose(), b.expose()));
            valgrind::make_public(&equal);
            println!("compare ct_eq {name} {errors}");
            assert_eq!(equal, name == "equal");
        }
    }

    pub(super) fn mistakes() {
        for (name, a, b) in pairs() {
            valgrind::make_secret(a.expose());
            let (errors, equal) = errors_of(|| leaky::compare(a.expose(), b.expose()));
            valgrind::make_public(&equal);
            println!("mistake compare-{name} {errors}");
        }
        let secret = || {
            let secret = encoded(Padding::OaepSha1, b"message");
            valgrind::make_secret(secret.expose());
            secret
        };
        let (errors, answer) = errors_of(|| leaky::first_byte(&secret()));
        valgrind::make_public(&answer);
        println!("mistake first-byte {errors}");
        let (errors, answer) = errors_of(|| leaky::early_end(&secret()));
        valgrind::make_public(&answer);
        println!("mistake early-end {errors}");
        let (errors, answer) = errors_of(|| leaky::table(&secret()));
        valgrind::make_public(&answer);
        println!("mistake table {errors}");
    }
}
