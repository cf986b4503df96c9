//! What can go wrong in this crate, by who has to act.

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Every failure of this crate.
///
/// No variant carries a byte of key, password, plaintext or ciphertext: sizes, names and limits only.
/// [`Error::code`] is stable and meant for logs and JSON; the texts may change.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The linked library does not run in FIPS mode. Operator: wrong build.
    #[error("the cryptographic module is not in FIPS mode")]
    FipsModeOff,
    /// A known-answer test of the module failed. Operator: replace the binary or the machine.
    #[error("the self-test of the cryptographic module failed")]
    SelfTestFailed,
    /// The linked library is not the certified version. Operator: wrong build.
    #[error("the cryptographic module is \"{found}\", expected \"{expected}\"")]
    WrongModule {
        /// What the module says it is.
        found: String,
        /// What it has to say.
        expected: &'static str,
    },
    /// The policy in force refuses a service that is not approved. Operator: the remedy, or the exception.
    #[error("{algorithm} is not approved (service {service}): {remedy}")]
    NotApproved {
        /// Stable name of the service.
        service: &'static str,
        /// The algorithm and what was to be done with it.
        algorithm: &'static str,
        /// What to do.
        remedy: &'static str,
        /// The exception that would permit it; empty: there is none.
        exception: &'static str,
    },
    /// The module failed, or contradicted the policy table: this process does no more cryptography. Operator: keep the evidence,
    /// restart, and replace the binary or the machine if it happens again.
    #[error(
        "the cryptographic module is out of service in this process ({fault}): restart it; if it happens again, replace the binary or the machine"
    )]
    ModuleFault {
        /// Stable name of what happened.
        fault: &'static str,
    },
    /// Another policy is in force in this process already. A bug of ours.
    #[error("another FIPS policy is in force in this process already")]
    PolicyTaken,
    /// Mode off was asked for while the operating system demands FIPS mode.
    #[error(
        "the FIPS mode `off` is refused: this system itself demands FIPS mode (kernel parameter fips=1, or Windows' policy); use `strict`, with exceptions by name where needed"
    )]
    SystemRequiresFips,
    /// The random bit generator did not deliver.
    #[error("the random bit generator failed")]
    Random,
    /// An asymmetric key whose size is outside of what is accepted.
    #[error("{algorithm} key of {bits} bits: only {accepted} bits are accepted")]
    KeySize {
        /// The algorithm of the key.
        algorithm: &'static str,
        /// The size of the key that was offered, in bits.
        bits: usize,
        /// The accepted sizes, in bits, in words.
        accepted: &'static str,
    },
    /// A symmetric key of the wrong length.
    #[error("{algorithm} key of {bytes} bytes: only {accepted} bytes are accepted")]
    KeyLength {
        /// The algorithm of the key.
        algorithm: &'static str,
        /// The length of the key that was offered, in bytes.
        bytes: usize,
        /// The accepted lengths, in bytes, in words.
        accepted: &'static str,
    },
    /// A key that does not parse or whose numbers do not fit together.
    #[error("not a valid {what}")]
    MalformedKey {
        /// What the bytes should have been.
        what: &'static str,
    },
    /// A well-formed key of an algorithm or curve that this crate does not use.
    #[error("key of an unsupported algorithm: {expected} is required")]
    UnsupportedKey {
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A key that cannot be used with the signature algorithm that was asked for.
    #[error("the key does not fit the algorithm {algorithm}")]
    KeyMismatch {
        /// The algorithm that was asked for.
        algorithm: &'static str,
    },
    /// More data than the algorithm can take at once.
    #[error("{operation}: {bytes} bytes are too long, the limit is {limit}")]
    MessageTooLong {
        /// The operation that refused.
        operation: &'static str,
        /// The length of what was offered, in bytes.
        bytes: usize,
        /// The largest length that would be accepted, in bytes.
        limit: usize,
    },
    /// Data whose length is impossible for the operation.
    #[error("{operation}: {bytes} bytes is not a possible length")]
    MessageLength {
        /// The operation that refused.
        operation: &'static str,
        /// The length of what was offered, in bytes.
        bytes: usize,
    },
    /// More derived key material than the derivation may give.
    #[error("{operation}: cannot derive {bytes} bytes, the limit is {limit}")]
    OutputLength {
        /// The operation that refused.
        operation: &'static str,
        /// The length that was asked for, in bytes.
        bytes: usize,
        /// The largest length that would be given, in bytes.
        limit: usize,
    },
    /// A decryption failed. On purpose it does not say why: wrong key, damaged data and bad padding look alike.
    #[error("decryption failed")]
    Decryption,
    /// A signature, a MAC or an authentication tag does not match.
    #[error("verification failed")]
    Verification,
    /// The peer's point is not a point of the curve, or the agreement gave the point at infinity.
    #[error("key agreement failed")]
    Agreement,
    /// The module refused an operation whose inputs had been checked. A bug of ours, or no memory left.
    #[error("the cryptographic module refused: {operation}")]
    Module {
        /// The operation that was refused.
        operation: &'static str,
    },
    /// A TLS configuration that does not meet the requirements for FIPS.
    #[error("the TLS {side} configuration is not a FIPS configuration")]
    TlsNotFips {
        /// `client` or `server`.
        side: &'static str,
    },
    /// A certificate for TLS or its private key that cannot be used. Operator: the files.
    #[error("certificate or private key for TLS: {problem}")]
    TlsIdentity {
        /// In rustls' words, which quote nothing of the key.
        problem: String,
    },
    /// Certificates that clients should chain to, none of which can be trusted. Operator: the file.
    #[error("certificates to trust for TLS: {problem}")]
    TlsRoots {
        /// In rustls' words.
        problem: String,
    },
    /// rustls refused the protocol versions.
    #[error("the TLS protocol versions were refused")]
    TlsVersions,
}

impl Error {
    /// The stable name of this failure, for logs and JSON.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::FipsModeOff => "fips_mode_off",
            Self::SelfTestFailed => "fips_self_test_failed",
            Self::WrongModule { .. } => "fips_wrong_module",
            Self::NotApproved { .. } => "not_approved",
            Self::ModuleFault { .. } => "fips_module_fault",
            Self::PolicyTaken => "fips_policy_taken",
            Self::SystemRequiresFips => "fips_required_by_system",
            Self::Random => "random_failed",
            Self::KeySize { .. } => "key_size",
            Self::KeyLength { .. } => "key_length",
            Self::MalformedKey { .. } => "malformed_key",
            Self::UnsupportedKey { .. } => "unsupported_key",
            Self::KeyMismatch { .. } => "key_mismatch",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::MessageLength { .. } => "message_length",
            Self::OutputLength { .. } => "output_length",
            Self::Decryption => "decryption_failed",
            Self::Verification => "verification_failed",
            Self::Agreement => "key_agreement_failed",
            Self::Module { .. } => "module_refused",
            Self::TlsNotFips { .. } => "tls_not_fips",
            Self::TlsIdentity { .. } => "tls_identity",
            Self::TlsRoots { .. } => "tls_roots",
            Self::TlsVersions => "tls_versions",
        }
    }
}
