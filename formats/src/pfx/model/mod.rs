//! What is known of a PFX, as values for other code, for JSON and for people.

mod algorithm;
mod survey;

pub use algorithm::{Algorithm, EncryptionFacts, EncryptionScheme, KeyFacts, MacFacts, MacScheme};
pub use survey::{
    Bag, BagKind, BerForm, Encoding, Integrity, Part, PasswordForm, Protection, Survey,
};
