//! Certificates of people: whether one is fit for S/MIME.

mod key_kind;
mod smime;

pub use smime::SmimeFitness;
