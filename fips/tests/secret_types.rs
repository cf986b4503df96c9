//! What none of the types of secrets has, one by one: a use of it does not compile, so it is asked for here without being used.
#![allow(missing_docs)]

use fips::secret::{BearerToken, Password, Pin, PrivateKey, SecretBytes};

/// Whether a type has a trait: the method of the type itself, which asks for the trait, goes before the one of `Has`, which any type has.
macro_rules! has {
    ($kind:ty: $($bound:tt)+) => {{
        // Of the two only one is used, as it should be.
        #[allow(dead_code)]
        trait Otherwise {
            fn answer(&self) -> bool {
                false
            }
        }
        struct Of<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $($bound)+> Of<T> {
            fn answer(&self) -> bool {
                true
            }
        }
        impl<T: ?Sized> Otherwise for Of<T> {}
        Of::<$kind>(std::marker::PhantomData).answer()
    }};
}

macro_rules! traits_of {
    ($kind:ty) => {
        [
            has!($kind: std::fmt::Debug),
            has!($kind: std::fmt::Display),
            has!($kind: std::fmt::LowerHex),
            has!($kind: std::error::Error),
            has!($kind: Clone),
            has!($kind: PartialEq),
            has!($kind: std::hash::Hash),
            has!($kind: serde::Serialize),
            has!($kind: serde::de::DeserializeOwned),
            has!($kind: AsRef<[u8]>),
            has!($kind: std::borrow::Borrow<[u8]>),
            has!($kind: std::ops::Deref),
            has!($kind: Into<Vec<u8>>),
            has!($kind: IntoIterator),
        ]
    };
}

#[test]
fn a_secret_cannot_be_printed_copied_compared_or_serialised() {
    // The question is answered with yes where it is so.
    assert!(has!(String: std::fmt::Debug) && has!(String: Clone) && has!(String: serde::Serialize));
    assert_eq!(traits_of!(SecretBytes), [false; 14]);
    assert_eq!(traits_of!(Password), [false; 14]);
    assert_eq!(traits_of!(Pin), [false; 14]);
    assert_eq!(traits_of!(PrivateKey), [false; 14]);
    assert_eq!(traits_of!(BearerToken), [false; 14]);
}

#[test]
fn a_secret_may_go_to_another_thread() {
    fn sent<T: Send + Sync>() {}
    sent::<SecretBytes>();
    sent::<Pin>();
}

#[test]
fn two_of_a_kind_are_equal_by_their_bytes() {
    let one = Password::from_slice(b"one");
    assert!(one.ct_eq(&Password::new(SecretBytes::from_slice(b"one"))));
    assert!(!one.ct_eq(&Password::from_slice(b"two")));
    assert_eq!((one.len(), one.is_empty()), (3, false));
    assert!(one.bytes().is_in_pool());
}
