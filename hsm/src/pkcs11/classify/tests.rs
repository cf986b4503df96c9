#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use super::table::{EXCEPTIONS, FUNCTIONS, GENERAL, Values};
use super::*;

/// The 105 constants of cryptoki-sys 0.5 without CKR_OK and CKR_VENDOR_DEFINED, and two values that stand for the rest.
const VALUES: usize = 105;

fn cells() -> Vec<Classified> {
    classification().collect()
}

fn class(function: Function, code: cryptoki_sys::CK_RV) -> Class {
    match Rv::from(code) {
        Rv::Error(rv) => classify(function, rv).class,
        Rv::Ok => panic!("CKR_OK"),
    }
}

#[test]
fn every_return_value_is_in_exactly_one_row_of_the_general_rules() {
    let mut count = 0;
    for rv in every_return_value() {
        let rows = GENERAL.iter().filter(|(_, row)| row.contains(&rv)).count();
        let has_name = !matches!(
            rv,
            RvError::VendorDefined(_) | RvError::UnknownErrorCode(0x3ff)
        );
        assert_eq!(rows, usize::from(has_name), "{rv:?}");
        count += 1;
    }
    assert_eq!(count, VALUES);
    for (class, row) in GENERAL {
        let distinct = row
            .iter()
            .map(|rv| format!("{rv:?}"))
            .collect::<BTreeSet<_>>();
        assert_eq!(distinct.len(), row.len(), "{class:?} names a value twice");
    }
}

#[test]
fn no_exception_contradicts_another_or_says_what_holds_anyway() {
    for function in FUNCTIONS {
        let group = group_of(*function);
        let of_group: Vec<_> = EXCEPTIONS
            .iter()
            .filter(|(groups, ..)| groups.contains(&group))
            .collect();
        for rv in every_return_value() {
            let naming = of_group
                .iter()
                .filter(|(_, _, values)| matches!(values, Values::These(row) if row.contains(&rv)))
                .count();
            assert!(naming <= 1, "{function:?} {rv:?}");
            let general = class_of(Group::Ask, rv);
            let sweeping = of_group
                .iter()
                .filter(|(_, _, values)| match values {
                    Values::Of(classes) => classes.contains(&general),
                    Values::Any => true,
                    Values::These(_) => false,
                })
                .count();
            assert!(sweeping <= 1, "{function:?} {rv:?}");
        }
    }
    for (groups, class, values) in EXCEPTIONS {
        for group in *groups {
            assert!(
                every_return_value().any(|rv| {
                    let without = EXCEPTIONS
                        .iter()
                        .filter(|(others, ..)| others.contains(group))
                        .find_map(|(_, class, values)| match values {
                            Values::Of(classes) => classes
                                .contains(&class_of(Group::Ask, rv))
                                .then_some(*class),
                            _ => None,
                        })
                        .unwrap_or(class_of(Group::Ask, rv));
                    match values {
                        Values::These(row) => row.contains(&rv) && without != *class,
                        Values::Of(_) | Values::Any => {
                            class_of(*group, rv) == *class && class_of(Group::Ask, rv) != *class
                        }
                    }
                }),
                "an exception for {group:?} changes nothing"
            );
        }
    }
}

#[test]
fn every_cell_of_the_table_says_who_acts_what_is_done_and_under_which_code() {
    let cells = cells();
    assert_eq!(cells.len(), FUNCTIONS.len() * VALUES);
    for Classified {
        refusal,
        class,
        code,
    } in &cells
    {
        assert_eq!(*class, refusal.class(), "{refusal}");
        assert_ne!(*class, Class::NeverCalled, "{refusal}");
        assert_eq!(code.is_empty(), *class == Class::Done, "{refusal}");
        // What only a person can change is not tried again, and what heals is.
        match class.actor() {
            Actor::Operator => assert_eq!(class.retry(), Retry::AfterAChange, "{refusal}"),
            Actor::Caller => assert_eq!(class.healing(), Healing::AskCanary, "{refusal}"),
            Actor::Nobody if *class != Class::Done => {
                assert_eq!(class.retry(), Retry::AfterHealing, "{refusal}");
            }
            Actor::Nobody => assert_eq!(class.retry(), Retry::NotNeeded, "{refusal}"),
            Actor::Authors => assert_eq!(
                class.healing(),
                Healing::From(Level::Session),
                "{refusal}: a library that is confused must not cost a request"
            ),
        }
        assert!(
            !refusal.rv_name().starts_with("CKR(") || refusal.rv_name() == "CKR(0x3ff)",
            "{refusal} has no name"
        );
    }
}

#[test]
fn the_canary_is_asked_where_data_of_others_goes_in_and_nowhere_else() {
    let mut asked = BTreeMap::<String, usize>::new();
    for cell in cells() {
        if cell.class == Class::AskCanary {
            *asked.entry(cell.refusal.function()).or_default() += 1;
        }
    }
    let functions: Vec<_> = asked.keys().map(String::as_str).collect();
    assert_eq!(
        functions,
        ["C_CreateObject", "C_Decrypt", "C_Encrypt", "C_EncryptInit"]
    );
    // All but what speaks of sessions, handles, the login, the library, and a token that is not there.
    for function in ["C_Decrypt", "C_Encrypt"] {
        assert_eq!(
            asked[function],
            VALUES - (5 + 2 + 5 + 10 + 5 + 3),
            "{function}"
        );
    }
    // Each measured answer to a bad ciphertext.
    for code in [
        cryptoki_sys::CKR_GENERAL_ERROR,
        cryptoki_sys::CKR_DEVICE_ERROR,
        cryptoki_sys::CKR_ENCRYPTED_DATA_INVALID,
        cryptoki_sys::CKR_FUNCTION_FAILED,
    ] {
        assert_eq!(class(Function::Decrypt, code), Class::AskCanary);
    }
}

#[test]
fn what_the_measured_modules_say_in_trouble_begins_where_it_heals() {
    use cryptoki_sys as sys;
    for (function, code, expected) in [
        (
            Function::DecryptInit,
            sys::CKR_OBJECT_HANDLE_INVALID,
            Class::Handles,
        ),
        (Function::DecryptInit, sys::CKR_GENERAL_ERROR, Class::Device),
        (
            Function::DecryptInit,
            sys::CKR_OPERATION_ACTIVE,
            Class::Stuck,
        ),
        (
            Function::DecryptInit,
            sys::CKR_ARGUMENTS_BAD,
            Class::Unsupported,
        ),
        (Function::Initialize, sys::CKR_HOST_MEMORY, Class::Library),
        (
            Function::Initialize,
            sys::CKR_CRYPTOKI_ALREADY_INITIALIZED,
            Class::Done,
        ),
        (
            Function::Login,
            sys::CKR_USER_ALREADY_LOGGED_IN,
            Class::Done,
        ),
        (
            Function::Login,
            sys::CKR_PIN_INCORRECT,
            Class::Pin(PinProblem::Incorrect),
        ),
        (
            Function::Login,
            sys::CKR_PIN_LOCKED,
            Class::Pin(PinProblem::Locked),
        ),
        (Function::OpenSession, sys::CKR_SESSION_COUNT, Class::Room),
        (
            Function::GetSlotList,
            sys::CKR_CRYPTOKI_NOT_INITIALIZED,
            Class::Library,
        ),
        (
            Function::FindObjects,
            sys::CKR_USER_NOT_LOGGED_IN,
            Class::Login,
        ),
    ] {
        assert_eq!(class(function, code), expected, "{function:?} {code:#x}");
    }
}

/// The functions behind the methods of cryptoki, as its sources have it; `None`: it calls no function.
const CRYPTOKI: &[(&str, &[Function])] = &[
    ("initialize", &[Function::Initialize]),
    ("finalize", &[Function::Finalize]),
    ("get_library_info", &[Function::GetInfo]),
    ("get_slots_with_token", &[Function::GetSlotList]),
    ("get_all_slots", &[Function::GetSlotList]),
    ("get_slot_info", &[Function::GetSlotInfo]),
    ("get_token_info", &[Function::GetTokenInfo]),
    ("get_mechanism_list", &[Function::GetMechanismList]),
    ("get_mechanism_info", &[Function::GetMechanismInfo]),
    ("init_token", &[Function::InitToken]),
    ("init_pin", &[Function::InitPIN]),
    ("set_pin", &[Function::SetPIN]),
    ("open_ro_session", &[Function::OpenSession]),
    ("open_rw_session", &[Function::OpenSession]),
    ("open_ro_session_no_drop", &[Function::OpenSession]),
    ("open_rw_session_no_drop", &[Function::OpenSession]),
    ("get_session_info", &[Function::GetSessionInfo]),
    ("login", &[Function::Login]),
    ("login_with_raw", &[Function::Login]),
    ("logout", &[Function::Logout]),
    ("create_object", &[Function::CreateObject]),
    ("destroy_object", &[Function::DestroyObject]),
    ("copy_object", &[Function::CopyObject]),
    ("get_attributes", &[Function::GetAttributeValue]),
    ("get_attribute_info", &[Function::GetAttributeValue]),
    ("update_attributes", &[Function::SetAttributeValue]),
    (
        "find_objects",
        &[
            Function::FindObjectsInit,
            Function::FindObjects,
            Function::FindObjectsFinal,
        ],
    ),
    (
        "iter_objects",
        &[
            Function::FindObjectsInit,
            Function::FindObjects,
            Function::FindObjectsFinal,
        ],
    ),
    ("generate_key", &[Function::GenerateKey]),
    ("generate_key_pair", &[Function::GenerateKeyPair]),
    ("derive_key", &[Function::DeriveKey]),
    ("wrap_key", &[Function::WrapKey]),
    ("unwrap_key", &[Function::UnwrapKey]),
    ("wait_for_slot_event", &[Function::WaitForSlotEvent]),
    ("get_slot_event", &[Function::WaitForSlotEvent]),
    ("generate_random_slice", &[Function::GenerateRandom]),
    ("generate_random_vec", &[Function::GenerateRandom]),
    ("decrypt_init", &[Function::DecryptInit]),
    ("decrypt_update", &[Function::DecryptUpdate]),
    ("verify_init", &[Function::VerifyInit]),
    ("sign_init", &[Function::SignInit]),
];

/// The sources of the modules that call the library, without their tests.
fn sources(folder: &std::path::Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            if !name.ends_with("classify") {
                sources(&path, all);
            }
        } else if !name.ends_with("tests.rs") && !name.ends_with("classify.rs") {
            all.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_function_is_called_that_the_table_does_not_know() {
    let mut all = Vec::new();
    sources(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pkcs11"),
        &mut all,
    );
    assert!(all.len() > 20, "the sources are not where they were");
    let known: BTreeSet<_> = FUNCTIONS
        .iter()
        .map(|function| format!("C_{function:?}"))
        .collect();
    for (file, text) in &all {
        // By the table of functions.
        for (at, _) in text.match_indices("table.C_") {
            let name: String = text[at + "table.".len()..]
                .chars()
                .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                .collect();
            assert!(known.contains(&name), "{file} calls {name}");
        }
        // By cryptoki.
        for (method, functions) in CRYPTOKI {
            if text.contains(&format!(".{method}(")) {
                for function in *functions {
                    assert_ne!(
                        group_of(*function),
                        Group::NeverCalled,
                        "{file} calls .{method}()"
                    );
                }
            }
        }
    }
}

#[test]
fn nobody_else_decides_by_a_return_value() {
    let mut all = Vec::new();
    sources(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut all,
    );
    for (file, text) in &all {
        for (number, line) in text.lines().enumerate() {
            // To give a refusal of our own a value is no decision.
            let made = line.contains("Refusal::new(") || line.trim_start().starts_with("//");
            let decides = line.contains("RvError::") && !made && !file.ends_with("error.rs");
            assert!(
                !decides
                    || MAKE_REFUSALS
                        .iter()
                        .any(|(name, part)| { file.ends_with(name) && line.contains(part) }),
                "{file}:{}: {line}",
                number + 1
            );
        }
    }
}

/// Lines that give a refusal of our own its value, over more than one line.
const MAKE_REFUSALS: &[(&str, &str)] = &[
    ("probe.rs", "RvError::DataLenRange,"),
    ("decryption.rs", "RvError::EncryptedDataInvalid,"),
    ("raw.rs", "RvError::BufferTooSmall,"),
    ("wrap.rs", "RvError::BufferTooSmall,"),
    ("attributes.rs", "RvError::AttributeTypeInvalid,"),
    ("raw.rs", "RvError::EncryptedDataLenRange,"),
    ("setup.rs", "RvError::PinInvalid,"),
];
