//! Certificates of people: whether one is fit for S/MIME.

mod smime;

pub use smime::SmimeFitness;
