//! Keys between threads: the safe wrapper around the module marks its signing keys so, and forgot its encryption keys.

use aws_lc_rs::rsa as lc;
use std::ops::Deref;

/// A key that is only read once it exists.
#[derive(Clone)]
pub(super) struct Shared<K>(K);

impl<K> Shared<K> {
    pub(super) fn new(key: K) -> Self {
        Self(key)
    }
}

impl<K> Deref for Shared<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0
    }
}

// SAFETY: the key is a pointer to one EVP_PKEY. evp.h: "a given object may be used concurrently on multiple threads by
// non-mutating functions"; `Deref` gives a shared reference only, whose methods encrypt, encode, ask for sizes and clone,
// and to clone is EVP_PKEY_up_ref, which "may be used concurrently". Nothing about the object belongs to one thread.
unsafe impl Send for Shared<lc::PublicEncryptingKey> {}
// SAFETY: as for Send.
unsafe impl Sync for Shared<lc::PublicEncryptingKey> {}
// SAFETY: as above; rsa.h says of its encryption and decryption functions that they "are considered non-mutating for
// thread-safety purposes and may be used concurrently": what they cache in the key has a lock of the module's.
unsafe impl Send for Shared<lc::PrivateDecryptingKey> {}
// SAFETY: as for Send.
unsafe impl Sync for Shared<lc::PrivateDecryptingKey> {}
