//! The few calls that go to the module's function table directly.
//!
//! cryptoki asks for the length of a result before it asks for the result. For a decryption that is a second private-key
//! operation on some tokens and an error on others, so decryption and encryption are one Init and one call here, into a
//! buffer of the modulus's length. Token information is here because cryptoki refuses tokens whose clock is odd.

mod attributes;
mod wrap;

use std::path::Path;

use cryptoki::context::Function;
use cryptoki::error::{Rv, RvError};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_FUNCTION_LIST, CK_MECHANISM, CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE,
    CK_RSA_PKCS_OAEP_PARAMS, CK_RV, CK_SLOT_ID, CK_TOKEN_INFO, CK_ULONG, CKG_MGF1_SHA1,
    CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512, CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP,
    CKM_RSA_X_509, CKM_SHA_1, CKM_SHA256, CKM_SHA384, CKM_SHA512, CKZ_DATA_SPECIFIED,
};
use fips::secret::SecretBytes;

use crate::error::Refusal;
use crate::{Error, Padding};

pub(super) use wrap::WrapMechanism;

/// More mechanisms than any version of the standard names.
const MAX_MECHANISMS: usize = 2048;

/// What is done with the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RsaMechanism<'a> {
    /// CKM_RSA_PKCS_OAEP with this label: the token handles the padding.
    Oaep(Padding, &'a [u8]),
    /// CKM_RSA_X_509: the raw operation, for OAEP.
    Raw,
    /// CKM_RSA_X_509: the raw operation, for PKCS#1 v1.5.
    RawPkcs1,
    /// CKM_RSA_PKCS: the token handles the padding of PKCS#1 v1.5.
    Pkcs1,
}

impl<'a> RsaMechanism<'a> {
    /// With the padding handled by the token.
    pub(super) const fn native(padding: Padding, label: &'a [u8]) -> Self {
        match padding {
            Padding::Pkcs1 => Self::Pkcs1,
            oaep => Self::Oaep(oaep, label),
        }
    }

    /// With the padding handled here.
    pub(super) const fn raw(padding: Padding) -> Self {
        match padding {
            Padding::Pkcs1 => Self::RawPkcs1,
            _ => Self::Raw,
        }
    }
}

/// Which of the two calls of an operation failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// C_DecryptInit or C_EncryptInit: mechanism, key or session, never the data.
    Init(Refusal),
    /// C_Decrypt or C_Encrypt: the data, or the token.
    Operation(Refusal),
}

impl Stage {
    pub(super) const fn refusal(self) -> Refusal {
        match self {
            Self::Init(refusal) | Self::Operation(refusal) => refusal,
        }
    }
}

/// The module's table of functions (PKCS#11 2.40, which every later version contains).
pub(super) struct Functions {
    table: CK_FUNCTION_LIST,
    /// Keeps the library loaded, and so the table's pointers valid.
    _library: cryptoki_sys::Pkcs11,
}

fn check(rv: CK_RV, function: Function) -> Result<(), Refusal> {
    match Rv::from(rv) {
        Rv::Ok => Ok(()),
        Rv::Error(error) => Err(Refusal::new(function, error)),
    }
}

const fn missing(function: Function) -> Refusal {
    Refusal::new(function, RvError::FunctionNotSupported)
}

fn ulong(len: usize, function: Function) -> Result<CK_ULONG, Refusal> {
    CK_ULONG::try_from(len).map_err(|_| Refusal::new(function, RvError::ArgumentsBad))
}

/// Hands a CK_MECHANISM to `call`; it and its parameters live until `call` returns.
fn with_mechanism<T>(
    mechanism: RsaMechanism<'_>,
    call: impl FnOnce(*mut CK_MECHANISM) -> Result<T, Refusal>,
    function: Function,
) -> Result<T, Refusal> {
    match mechanism {
        RsaMechanism::Raw | RsaMechanism::RawPkcs1 => call(&mut CK_MECHANISM {
            mechanism: CKM_RSA_X_509,
            pParameter: std::ptr::null_mut(),
            ulParameterLen: 0,
        }),
        RsaMechanism::Pkcs1 | RsaMechanism::Oaep(Padding::Pkcs1, _) => call(&mut CK_MECHANISM {
            mechanism: CKM_RSA_PKCS,
            pParameter: std::ptr::null_mut(),
            ulParameterLen: 0,
        }),
        RsaMechanism::Oaep(padding, label) => {
            let (hash, mgf): (CK_MECHANISM_TYPE, CK_RSA_PKCS_MGF_TYPE) = match padding {
                // Not reached: the arm above is its.
                Padding::Pkcs1 => return Err(Refusal::new(function, RvError::MechanismInvalid)),
                Padding::OaepSha1 => (CKM_SHA_1, CKG_MGF1_SHA1),
                Padding::OaepSha256 => (CKM_SHA256, CKG_MGF1_SHA256),
                Padding::OaepSha384 => (CKM_SHA384, CKG_MGF1_SHA384),
                Padding::OaepSha512 => (CKM_SHA512, CKG_MGF1_SHA512),
            };
            let mut parameters = CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: hash,
                mgf,
                source: CKZ_DATA_SPECIFIED,
                // Empty: no pointer at all. Some modules look at it before they look at the length.
                pSourceData: if label.is_empty() {
                    std::ptr::null_mut()
                } else {
                    label.as_ptr().cast_mut().cast()
                },
                ulSourceDataLen: ulong(label.len(), function)?,
            };
            call(&mut CK_MECHANISM {
                mechanism: CKM_RSA_PKCS_OAEP,
                pParameter: std::ptr::from_mut(&mut parameters).cast(),
                ulParameterLen: ulong(size_of::<CK_RSA_PKCS_OAEP_PARAMS>(), function)?,
            })
        }
    }
}

impl Functions {
    /// Loads the module (again: the loader gives the same one) and reads its table.
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        let module = |reason: String| Error::Module {
            path: path.to_owned(),
            reason,
        };
        // SAFETY: libloading, `Library::new`: the library's initialisers run. The operator named this file as a PKCS#11
        // module, and its owner and mode were checked; running its code is what it is there for.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }
            .map_err(|error| module(error.to_string()))?;
        let get = library
            .C_GetFunctionList
            .as_ref()
            .map_err(|_| module("C_GetFunctionList is not exported".into()))?;
        let mut table = std::ptr::null_mut();
        // SAFETY: PKCS#11, C_GetFunctionList: takes a pointer to a pointer, which is a live local, and may be called before
        // C_Initialize.
        let rv = unsafe { get(&raw mut table) };
        check(rv, Function::GetFunctionList).map_err(|refusal| module(refusal.to_string()))?;
        if table.is_null() {
            return Err(module("C_GetFunctionList gave no table".into()));
        }
        // SAFETY: PKCS#11, C_GetFunctionList: after CKR_OK the pointer leads to a CK_FUNCTION_LIST of the library, which is
        // valid while it is loaded. Every version of the table begins with this structure. It is copied by value.
        let table = unsafe { *table };
        Ok(Self {
            table,
            _library: library,
        })
    }

    /// C_CloseSession.
    pub(super) fn close_session(
        &self,
        session: cryptoki_sys::CK_SESSION_HANDLE,
    ) -> Result<(), Refusal> {
        const FUNCTION: Function = Function::CloseSession;
        let call = self.table.C_CloseSession.ok_or(missing(FUNCTION))?;
        // SAFETY: PKCS#11, C_CloseSession: takes a number; one that is no session is reported by a return value.
        check(unsafe { call(session) }, FUNCTION)
    }

    /// C_GetTokenInfo.
    pub(super) fn token_info(&self, slot: u64) -> Result<CK_TOKEN_INFO, Refusal> {
        const FUNCTION: Function = Function::GetTokenInfo;
        let call = self.table.C_GetTokenInfo.ok_or(missing(FUNCTION))?;
        let slot = CK_SLOT_ID::try_from(slot)
            .map_err(|_| Refusal::new(FUNCTION, RvError::SlotIdInvalid))?;
        let mut info = CK_TOKEN_INFO::default();
        // SAFETY: PKCS#11, C_GetTokenInfo: the second argument receives one CK_TOKEN_INFO; it is a live local of that type.
        check(unsafe { call(slot, &raw mut info) }, FUNCTION)?;
        Ok(info)
    }

    /// C_GetMechanismList: the numbers of the mechanisms (CKM_...).
    pub(super) fn mechanisms(&self, slot: u64) -> Result<Vec<CK_MECHANISM_TYPE>, Refusal> {
        const FUNCTION: Function = Function::GetMechanismList;
        let call = self.table.C_GetMechanismList.ok_or(missing(FUNCTION))?;
        let slot = CK_SLOT_ID::try_from(slot)
            .map_err(|_| Refusal::new(FUNCTION, RvError::SlotIdInvalid))?;
        // With room for every mechanism from the start, one call is enough.
        let mut list: Vec<CK_MECHANISM_TYPE> = vec![0; MAX_MECHANISMS];
        let mut count = ulong(MAX_MECHANISMS, FUNCTION)?;
        // SAFETY: PKCS#11, C_GetMechanismList: the list is writable for `count` mechanisms, which the library respects or
        // answers CKR_BUFFER_TOO_SMALL; it then sets `count` to how many there are. Both are live locals.
        let rv = unsafe { call(slot, list.as_mut_ptr(), &raw mut count) };
        check(rv, FUNCTION)?;
        list.truncate(usize::try_from(count).unwrap_or(MAX_MECHANISMS));
        Ok(list)
    }

    /// C_DecryptInit.
    pub(super) fn decrypt_init(
        &self,
        session: &Session,
        key: ObjectHandle,
        mechanism: RsaMechanism<'_>,
    ) -> Result<(), Stage> {
        const INIT: Function = Function::DecryptInit;
        let init = self.table.C_DecryptInit.ok_or(Stage::Init(missing(INIT)))?;
        with_mechanism(
            mechanism,
            |mechanism| {
                // SAFETY: PKCS#11, C_DecryptInit: the mechanism and its parameters are live for the call and are not kept
                // by the library beyond it; a session or key handle that is not valid is reported by a return value. The
                // session belongs to this thread alone (`Session` is not Sync), as PKCS#11, section 5.1, asks.
                check(
                    unsafe { init(session.handle(), mechanism, key.handle()) },
                    INIT,
                )
            },
            INIT,
        )
        .map_err(Stage::Init)
    }

    /// C_Decrypt, after [`decrypt_init`](Self::decrypt_init). `modulus_len` is the length of the key's modulus in bytes: the
    /// longest result.
    pub(super) fn decrypt(
        &self,
        session: &Session,
        ciphertext: &[u8],
        modulus_len: usize,
    ) -> Result<SecretBytes, Stage> {
        const CALL: Function = Function::Decrypt;
        let call = self.table.C_Decrypt.ok_or(Stage::Init(missing(CALL)))?;
        let ciphertext_len = ulong(ciphertext.len(), CALL).map_err(Stage::Init)?;
        let mut result_len = ulong(modulus_len, CALL).map_err(Stage::Init)?;
        let mut result = SecretBytes::zeroed(modulus_len);
        // SAFETY: PKCS#11, C_Decrypt: the input is readable for the given length and is not written (the pointer lacks
        // const in the binding only); the output is writable for `result_len` bytes, which the library respects or answers
        // CKR_BUFFER_TOO_SMALL; both buffers and the length are live and distinct.
        let rv = unsafe {
            call(
                session.handle(),
                ciphertext.as_ptr().cast_mut(),
                ciphertext_len,
                result.expose_mut().as_mut_ptr(),
                &raw mut result_len,
            )
        };
        check(rv, CALL).map_err(Stage::Operation)?;
        match usize::try_from(result_len) {
            Ok(len) if len <= modulus_len => {
                result.truncate(len);
                Ok(result)
            }
            _ => Err(Stage::Operation(Refusal::new(
                CALL,
                RvError::BufferTooSmall,
            ))),
        }
    }

    /// C_Sign, after C_SignInit: a signature of at most `longest` bytes.
    pub(super) fn sign(
        &self,
        session: &Session,
        data: &[u8],
        longest: usize,
    ) -> Result<Vec<u8>, Refusal> {
        const CALL: Function = Function::Sign;
        let call = self.table.C_Sign.ok_or(missing(CALL))?;
        let data_len = ulong(data.len(), CALL)?;
        let mut signature_len = ulong(longest, CALL)?;
        let mut signature = vec![0; longest];
        // SAFETY: PKCS#11, C_Sign: as for C_Decrypt above.
        let rv = unsafe {
            call(
                session.handle(),
                data.as_ptr().cast_mut(),
                data_len,
                signature.as_mut_ptr(),
                &raw mut signature_len,
            )
        };
        check(rv, CALL)?;
        match usize::try_from(signature_len) {
            Ok(len) if len <= longest => {
                signature.truncate(len);
                Ok(signature)
            }
            _ => Err(Refusal::new(CALL, RvError::BufferTooSmall)),
        }
    }

    /// C_EncryptInit and C_Encrypt with a public key of `modulus_len` bytes.
    pub(super) fn encrypt(
        &self,
        session: &Session,
        key: ObjectHandle,
        mechanism: RsaMechanism<'_>,
        plaintext: &[u8],
        modulus_len: usize,
    ) -> Result<Vec<u8>, Stage> {
        const INIT: Function = Function::EncryptInit;
        const CALL: Function = Function::Encrypt;
        let init = self.table.C_EncryptInit.ok_or(Stage::Init(missing(INIT)))?;
        let call = self.table.C_Encrypt.ok_or(Stage::Init(missing(CALL)))?;
        let plaintext_len = ulong(plaintext.len(), CALL).map_err(Stage::Init)?;
        let mut result_len = ulong(modulus_len, CALL).map_err(Stage::Init)?;
        let mut result = vec![0; modulus_len];

        with_mechanism(
            mechanism,
            |mechanism| {
                // SAFETY: PKCS#11, C_EncryptInit: as for C_DecryptInit above.
                check(
                    unsafe { init(session.handle(), mechanism, key.handle()) },
                    INIT,
                )
            },
            INIT,
        )
        .map_err(Stage::Init)?;

        // SAFETY: PKCS#11, C_Encrypt: as for C_Decrypt above.
        let rv = unsafe {
            call(
                session.handle(),
                plaintext.as_ptr().cast_mut(),
                plaintext_len,
                result.as_mut_ptr(),
                &raw mut result_len,
            )
        };
        check(rv, CALL).map_err(Stage::Operation)?;
        // RFC 8017, section 7.1.1: the ciphertext has the length of the modulus, no less.
        if usize::try_from(result_len) == Ok(modulus_len) {
            Ok(result)
        } else {
            Err(Stage::Operation(Refusal::new(
                CALL,
                RvError::EncryptedDataLenRange,
            )))
        }
    }
}
