#![allow(missing_docs)]
use super::*;

#[test]
fn a_refusal_names_function_and_return_value_as_the_standard_does() {
    use cryptoki::context::Function;
    use cryptoki::error::RvError;
    let refusal = Refusal::new(Function::DecryptInit, RvError::SessionHandleInvalid);
    assert_eq!(
        refusal.to_string(),
        "C_DecryptInit: CKR_SESSION_HANDLE_INVALID"
    );
    let vendor = Refusal::new(Function::Decrypt, RvError::VendorDefined(0x8000_0001));
    assert_eq!(
        vendor.to_string(),
        "C_Decrypt: CKR_VENDOR_DEFINED(0x80000001)"
    );
}

#[test]
fn a_pin_that_is_wrong_is_for_the_operator_and_not_retried() {
    let error = Error::Pin(PinProblem::Incorrect);
    assert_eq!(error.class(), ErrorClass::Configuration);
    assert_eq!(error.code(), "pin_incorrect");
    assert!(error.hint().is_some());
}
