//! CMS messages to somebody's key: EnvelopedData (RFC 5652 section 6) and AuthEnvelopedData (RFC 5083), read and written.
//!
//! ```text
//! ContentInfo -> EnvelopedData ------ RecipientInfos: the content key for each recipient
//!             `- AuthEnvelopedData       KTRI  RSAES-OAEP, RSAES-PKCS1-v1_5        -> content key -> AES-CBC, AES-GCM
//!                                        KARI  ECDH, X9.63 KDF, AES key wrap                         (read only: 3DES, RC2,
//!                                                                                                     SHA-224, 3DES key wrap)
//! ```
//!
//! [`look_at`] says what a message is without any key, [`open`] decrypts it, [`write::envelop`] makes one for one or several devices. What is
//! read may be BER, with indefinite lengths and strings in pieces; what is written is DER.
//!
//! Whoever decrypts what strangers send gives them an oracle if it can be seen why a decryption failed. So everything that
//! goes wrong after a private key was used is one [`CmsError::Decryption`], and a PKCS#1 v1.5 padding that is wrong is not noticed before the
//! content is (RFC 3218). EnvelopedData has no integrity: only AuthEnvelopedData is known to be what the sender wrote.

mod element;
mod error;
mod facts;
mod limits;
mod oids;
mod read;
mod shared_info;
pub mod write;

pub use error::CmsError;
pub use facts::{Encoding, Facts, MessageKind, Naming, RecipientFacts};
pub use limits::CmsLimits;
pub use read::{Content, RecipientKey, look_at, open};
