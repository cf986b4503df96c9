//! The rules. [`GENERAL`] holds for every function; [`EXCEPTIONS`] say where a group of functions differs, and why. Clauses are
//! those of PKCS#11 3.1; "measured" names the module on which it was seen.

use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki_sys::{
    CK_RV, CKR_AEAD_DECRYPT_FAILED, CKR_KEY_EXHAUSTED, CKR_OPERATION_CANCEL_FAILED,
    CKR_OPERATION_NOT_VALIDATED, CKR_PARAMETER_SET_NOT_SUPPORTED, CKR_PENDING,
    CKR_SEED_RANDOM_REQUIRED, CKR_SESSION_ASYNC_NOT_SUPPORTED, CKR_TOKEN_NOT_INITIALIZED,
    CKR_TOKEN_RESOURCE_EXCEEDED,
};

use super::Class;
use crate::error::PinProblem;

/// Functions that mean the same by the same return value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    Load,
    Initialize,
    Finalize,
    Look,
    SetUp,
    OpenSession,
    Close,
    Ask,
    Login,
    Find,
    Read,
    Write,
    Create,
    Destroy,
    Make,
    Init,
    EncryptInit,
    Encrypt,
    Decrypt,
    Sign,
    NeverCalled,
}

/// No wildcard: a function that cryptoki learns does not compile before somebody says what it is.
pub(crate) const fn group_of(function: Function) -> Group {
    use Function as F;
    match function {
        F::GetFunctionList | F::GetInterface => Group::Load,
        F::Initialize => Group::Initialize,
        F::Finalize => Group::Finalize,
        F::GetInfo
        | F::GetSlotList
        | F::GetSlotInfo
        | F::GetTokenInfo
        | F::GetMechanismList
        | F::GetMechanismInfo => Group::Look,
        F::InitToken | F::InitPIN | F::SetPIN => Group::SetUp,
        F::OpenSession => Group::OpenSession,
        F::CloseSession | F::Logout | F::FindObjectsFinal => Group::Close,
        F::GetSessionInfo => Group::Ask,
        F::Login => Group::Login,
        F::FindObjectsInit | F::FindObjects => Group::Find,
        F::GetAttributeValue => Group::Read,
        F::SetAttributeValue => Group::Write,
        F::CreateObject => Group::Create,
        F::DestroyObject => Group::Destroy,
        F::GenerateKey | F::GenerateKeyPair | F::WrapKey | F::UnwrapKey | F::DeriveKey => {
            Group::Make
        }
        F::DecryptInit | F::SignInit => Group::Init,
        F::EncryptInit => Group::EncryptInit,
        F::Encrypt => Group::Encrypt,
        F::Decrypt => Group::Decrypt,
        F::Sign => Group::Sign,
        F::CloseAllSessions
        | F::GetOperationState
        | F::SetOperationState
        | F::CopyObject
        | F::GetObjectSize
        | F::EncryptUpdate
        | F::EncryptFinal
        | F::DecryptUpdate
        | F::DecryptFinal
        | F::DigestInit
        | F::Digest
        | F::DigestUpdate
        | F::DigestKey
        | F::DigestFinal
        | F::SignUpdate
        | F::SignFinal
        | F::SignRecoverInit
        | F::SignRecover
        | F::VerifyInit
        | F::Verify
        | F::VerifyUpdate
        | F::VerifyFinal
        | F::VerifyRecoverInit
        | F::VerifyRecover
        | F::DigestEncryptUpdate
        | F::DecryptDigestUpdate
        | F::SignEncryptUpdate
        | F::DecryptVerifyUpdate
        | F::SeedRandom
        | F::GenerateRandom
        | F::GetFunctionStatus
        | F::CancelFunction
        | F::WaitForSlotEvent
        | F::GetInterfaceList
        | F::LoginUser
        | F::SessionCancel
        | F::MessageEncryptInit
        | F::EncryptMessage
        | F::EncryptMessageBegin
        | F::EncryptMessageNext
        | F::MessageEncryptFinal
        | F::MessageDecryptInit
        | F::DecryptMessage
        | F::DecryptMessageBegin
        | F::DecryptMessageNext
        | F::MessageDecryptFinal
        | F::MessageSignInit
        | F::SignMessage
        | F::SignMessageBegin
        | F::SignMessageNext
        | F::MessageSignFinal
        | F::MessageVerifyInit
        | F::VerifyMessage
        | F::VerifyMessageBegin
        | F::VerifyMessageNext
        | F::MessageVerifyFinal
        | F::EncapsulateKey
        | F::DecapsulateKey
        | F::VerifySignatureInit
        | F::VerifySignature
        | F::VerifySignatureUpdate
        | F::VerifySignatureFinal
        | F::GetSessionValidationFlags
        | F::AsyncComplete
        | F::AsyncGetID
        | F::AsyncJoin
        | F::WrapKeyAuthenticated
        | F::UnwrapKeyAuthenticated => Group::NeverCalled,
    }
}

/// The functions that are called, in the order of the standard.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function::GetFunctionList,
    Function::GetInterface,
    Function::Initialize,
    Function::Finalize,
    Function::GetInfo,
    Function::GetSlotList,
    Function::GetSlotInfo,
    Function::GetTokenInfo,
    Function::GetMechanismList,
    Function::GetMechanismInfo,
    Function::InitToken,
    Function::InitPIN,
    Function::SetPIN,
    Function::OpenSession,
    Function::CloseSession,
    Function::GetSessionInfo,
    Function::Login,
    Function::Logout,
    Function::CreateObject,
    Function::DestroyObject,
    Function::GetAttributeValue,
    Function::SetAttributeValue,
    Function::FindObjectsInit,
    Function::FindObjects,
    Function::FindObjectsFinal,
    Function::EncryptInit,
    Function::Encrypt,
    Function::DecryptInit,
    Function::Decrypt,
    Function::SignInit,
    Function::Sign,
    Function::GenerateKey,
    Function::GenerateKeyPair,
    Function::WrapKey,
    Function::UnwrapKey,
    Function::DeriveKey,
];

/// A return value that cryptoki 0.12 has no name for.
const fn later(code: CK_RV) -> RvError {
    RvError::UnknownErrorCode(code)
}

/// What holds for every function without an exception. Every return value that has a name is in exactly one row; one without is
/// [`Class::Device`].
pub(super) const GENERAL: &[(Class, &[RvError])] = &[
    (
        // Section 5.1.2 and the functions that begin or cancel an operation. Another operation is active than the session's owner
        // knows of, or none; somebody cancelled it.
        Class::Stuck,
        &[
            RvError::OperationActive,
            RvError::OperationNotInitialized,
            RvError::FunctionCanceled,
            RvError::Cancel,
            later(CKR_OPERATION_CANCEL_FAILED),
        ],
    ),
    (
        // Section 5.1.2. It may have been closed by a token that was removed and is back.
        Class::Session,
        &[RvError::SessionClosed, RvError::SessionHandleInvalid],
    ),
    (
        // Section 5.1.6. Measured: SoftHSM answers so when its folder is moved away.
        Class::Handles,
        &[
            RvError::KeyHandleInvalid,
            RvError::ObjectHandleInvalid,
            RvError::WrappingKeyHandleInvalid,
            RvError::UnwrappingKeyHandleInvalid,
            RvError::KeyChanged,
        ],
    ),
    (
        // Section 5.1.6. What is wrong with a PIN is C_Login's to say; other functions that speak of it want a login.
        Class::Login,
        &[
            RvError::UserNotLoggedIn,
            RvError::PinExpired,
            RvError::PinIncorrect,
            RvError::PinInvalid,
            RvError::PinLenRange,
            RvError::PinLocked,
            RvError::PinTooWeak,
            RvError::UserPinNotInitialized,
            RvError::NewPinMode,
            RvError::NextOtp,
        ],
    ),
    (
        // Sections 5.1.1 and 5.1.3. CKR_SLOT_ID_INVALID: slots may be numbered anew (measured: SoftHSM).
        Class::Device,
        &[
            RvError::GeneralError,
            RvError::HostMemory,
            RvError::FunctionFailed,
            RvError::DeviceError,
            RvError::DeviceRemoved,
            RvError::TokenNotPresent,
            RvError::TokenNotRecognized,
            RvError::SlotIdInvalid,
            RvError::FunctionRejected,
            RvError::RandomNoRng,
            RvError::ExceededMaxIterations,
            later(CKR_KEY_EXHAUSTED),
            later(CKR_TOKEN_NOT_INITIALIZED),
            later(CKR_SEED_RANDOM_REQUIRED),
        ],
    ),
    (
        // Sections 5.1.3 and 5.6.1 (C_OpenSession). Measured: tpm2-pkcs11 has 1023 sessions.
        Class::Room,
        &[
            RvError::DeviceMemory,
            RvError::SessionCount,
            later(CKR_TOKEN_RESOURCE_EXCEEDED),
        ],
    ),
    (
        // Sections 5.1.1 and 5.4. CKR_FIPS_SELF_TEST_FAILED: a self-test runs again when the library is initialised.
        Class::Library,
        &[
            RvError::CryptokiNotInitialized,
            RvError::MutexBad,
            RvError::MutexNotLocked,
            RvError::LibraryLoadFailed,
            RvError::FipsSelfTestFailed,
        ],
    ),
    (
        // Section 5.1.6: the combination of mechanism, parameters and key is not there.
        Class::Unsupported,
        &[
            RvError::MechanismInvalid,
            RvError::MechanismParamInvalid,
            RvError::FunctionNotSupported,
            RvError::KeyTypeInconsistent,
            RvError::KeyFunctionNotPermitted,
            RvError::KeySizeRange,
            RvError::ActionProhibited,
            RvError::CurveNotSupported,
            RvError::DomainParamsInvalid,
            later(CKR_PARAMETER_SET_NOT_SUPPORTED),
            later(CKR_OPERATION_NOT_VALIDATED),
        ],
    ),
    (
        // Section 5.1.6: attributes, templates and what may be done with a key.
        Class::Refused,
        &[
            RvError::AttributeReadOnly,
            RvError::AttributeSensitive,
            RvError::AttributeTypeInvalid,
            RvError::AttributeValueInvalid,
            RvError::TemplateIncomplete,
            RvError::TemplateInconsistent,
            RvError::TokenWriteProtected,
            RvError::SessionReadOnly,
            RvError::InformationSensitive,
            RvError::KeyNotWrappable,
            RvError::KeyUnextractable,
            RvError::PublicKeyInvalid,
            RvError::WrappedKeyInvalid,
            RvError::WrappedKeyLenRange,
            RvError::WrappingKeySizeRange,
            RvError::WrappingKeyTypeInconsistent,
            RvError::UnwrappingKeySizeRange,
            RvError::UnwrappingKeyTypeInconsistent,
        ],
    ),
    (
        // A caller that follows the standard does not get these, outside of the exceptions.
        Class::Misuse,
        &[
            RvError::ArgumentsBad,
            RvError::BufferTooSmall,
            RvError::DataInvalid,
            RvError::DataLenRange,
            RvError::EncryptedDataInvalid,
            RvError::EncryptedDataLenRange,
            RvError::SignatureInvalid,
            RvError::SignatureLenRange,
            RvError::FunctionNotParallel,
            RvError::SessionParallelNotSupported,
            RvError::SessionExists,
            RvError::SessionReadOnlyExists,
            RvError::SessionReadWriteSoExists,
            RvError::UserAlreadyLoggedIn,
            RvError::UserTypeInvalid,
            RvError::UserAnotherAlreadyLoggedIn,
            RvError::UserTooManyTypes,
            RvError::KeyNotNeeded,
            RvError::KeyNeeded,
            RvError::KeyIndigestible,
            RvError::RandomSeedNotSupported,
            RvError::SavedStateInvalid,
            RvError::StateUnsaveable,
            RvError::NeedToCreateThreads,
            RvError::CantLock,
            RvError::CryptokiAlreadyInitialized,
            RvError::NoEvent,
            later(CKR_AEAD_DECRYPT_FAILED),
            later(CKR_PENDING),
            later(CKR_SESSION_ASYNC_NOT_SUPPORTED),
        ],
    ),
];

/// Which return values an exception is about.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// These.
    These(&'static [RvError]),
    /// Whatever is of one of these classes in general, besides those that other exceptions of the group name; with the ones that
    /// have no name.
    Of(&'static [Class]),
    /// Whatever it is, besides those that other exceptions of the group name.
    Any,
}

/// One exception: in these groups, these values are of this class.
pub(super) type Exception = (&'static [Group], Class, Values);

pub(super) const EXCEPTIONS: &[Exception] = &[
    // A library that does not even give its table of functions is no PKCS#11 library (section 5.4).
    (&[Group::Load], Class::Unusable, Values::Any),
    // C_Initialize, section 5.4: threads and locking are not as asked for. CKR_ARGUMENTS_BAD: parameters are missing or wrong
    // (measured: NSS).
    (
        &[Group::Initialize],
        Class::Unusable,
        Values::These(&[
            RvError::ArgumentsBad,
            RvError::CantLock,
            RvError::NeedToCreateThreads,
        ]),
    ),
    // C_Initialize, section 5.4: something else in this process has done it. It is not ours to finalise then.
    (
        &[Group::Initialize],
        Class::Done,
        Values::These(&[RvError::CryptokiAlreadyInitialized]),
    ),
    // Whatever else it is, C_Initialize is what has to work (measured: openCryptoki says CKR_HOST_MEMORY while its daemon is not there).
    (&[Group::Initialize], Class::Library, Values::Any),
    // The C_Initialize that follows decides, and tells.
    (&[Group::Finalize], Class::Done, Values::Any),
    // What is closed is forgotten, whatever the library says.
    (&[Group::Close], Class::Done, Values::Any),
    // Setting up a token is a person's act; what was half done must not be repeated by a program.
    (&[Group::SetUp], Class::SetUp, Values::Any),
    // Said to applications that open sessions too fast (AWS CloudHSM, from its users' reports).
    (
        &[Group::OpenSession],
        Class::Room,
        Values::These(&[RvError::ArgumentsBad]),
    ),
    // C_Login, section 5.6.8. Another thread, or another program's code in this process, was first.
    (
        &[Group::Login],
        Class::Done,
        Values::These(&[RvError::UserAlreadyLoggedIn]),
    ),
    (
        &[Group::Login],
        Class::Pin(PinProblem::Incorrect),
        Values::These(&[
            RvError::PinIncorrect,
            RvError::PinInvalid,
            RvError::PinLenRange,
        ]),
    ),
    (
        &[Group::Login],
        Class::Pin(PinProblem::Locked),
        Values::These(&[RvError::PinLocked]),
    ),
    (
        &[Group::Login],
        Class::Pin(PinProblem::Expired),
        Values::These(&[
            RvError::PinExpired,
            RvError::PinTooWeak,
            RvError::NewPinMode,
        ]),
    ),
    (
        &[Group::Login],
        Class::Pin(PinProblem::NotInitialized),
        Values::These(&[RvError::UserPinNotInitialized]),
    ),
    // A login for one use (CKU_CONTEXT_SPECIFIC) by a module that stores CKA_ALWAYS_AUTHENTICATE and does not enforce it (measured:
    // openCryptoki; NSS says CKR_USER_ALREADY_LOGGED_IN). If it is the login of the user after all, the next function says that
    // nobody is logged in.
    (
        &[Group::Login],
        Class::Done,
        Values::These(&[RvError::UserTypeInvalid]),
    ),
    // C_GetAttributeValue, section 5.7.5: no errors, but marks at the attributes that are not shown.
    (
        &[Group::Read],
        Class::Done,
        Values::These(&[
            RvError::AttributeSensitive,
            RvError::AttributeTypeInvalid,
            RvError::BufferTooSmall,
        ]),
    ),
    // It is gone already.
    (
        &[Group::Destroy],
        Class::Done,
        Values::These(&[RvError::ObjectHandleInvalid]),
    ),
    // Measured: SoftHSM says so at C_DecryptInit for every hash of OAEP but SHA-1.
    (
        &[Group::Init, Group::EncryptInit],
        Class::Unsupported,
        Values::These(&[RvError::ArgumentsBad]),
    ),
    // C_GenerateKeyPair, section 5.18: about the parameters of the new key, not about the mechanism.
    (
        &[Group::Make],
        Class::Refused,
        Values::These(&[
            RvError::KeySizeRange,
            RvError::MechanismParamInvalid,
            RvError::CurveNotSupported,
            RvError::DomainParamsInvalid,
            later(CKR_PARAMETER_SET_NOT_SUPPORTED),
        ]),
    ),
    // HostMemory is the token's way to say it as well (sections 5.1.1 and 5.7.1).
    (
        &[Group::Create],
        Class::Room,
        Values::These(&[RvError::HostMemory]),
    ),
    // The public key is somebody else's: a token refuses it by whatever it likes.
    (
        &[Group::EncryptInit, Group::Create],
        Class::AskCanary,
        Values::Of(&[Class::Device, Class::Refused, Class::Misuse]),
    ),
    (
        &[Group::Create],
        Class::AskCanary,
        Values::Of(&[Class::Unsupported]),
    ),
    // Sections 5.8.2 and 5.10.2 name CKR_DATA_* and CKR_ENCRYPTED_DATA_* for bad data. Measured, for one bad OAEP ciphertext:
    // SoftHSM and tpm2-pkcs11 CKR_GENERAL_ERROR, Kryoptic CKR_DEVICE_ERROR, NSS CKR_ENCRYPTED_DATA_INVALID, openCryptoki
    // CKR_FUNCTION_FAILED.
    (
        &[Group::Encrypt, Group::Decrypt],
        Class::AskCanary,
        Values::Of(&[
            Class::Device,
            Class::Room,
            Class::Unsupported,
            Class::Refused,
            Class::Misuse,
        ]),
    ),
    // But these are never about the data (section 5.1.3).
    (
        &[Group::Encrypt, Group::Decrypt],
        Class::Device,
        Values::These(&[
            RvError::DeviceRemoved,
            RvError::TokenNotPresent,
            RvError::TokenNotRecognized,
        ]),
    ),
    (&[Group::NeverCalled], Class::NeverCalled, Values::Any),
];

/// What holds without an exception.
pub(super) fn general(rv: RvError) -> Class {
    GENERAL
        .iter()
        .find_map(|(class, values)| values.contains(&rv).then_some(*class))
        // A vendor's own value, or one of a later version of the standard.
        .unwrap_or(Class::Device)
}

/// The class of a return value of a group of functions.
pub(crate) fn class_of(group: Group, rv: RvError) -> Class {
    let of_group = || {
        EXCEPTIONS
            .iter()
            .filter(move |(groups, ..)| groups.contains(&group))
    };
    let general = general(rv);
    of_group()
        .find_map(|(_, class, values)| match values {
            Values::These(values) => values.contains(&rv).then_some(*class),
            Values::Of(_) | Values::Any => None,
        })
        .or_else(|| {
            of_group().find_map(|(_, class, values)| match values {
                Values::Of(classes) => classes.contains(&general).then_some(*class),
                Values::Any => Some(*class),
                Values::These(_) => None,
            })
        })
        .unwrap_or(general)
}
