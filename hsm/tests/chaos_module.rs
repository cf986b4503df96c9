//! The module that fails as a script says does what its scripts say: without that, no test with it would mean anything.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "chaos/module.rs"]
mod module;
#[path = "../examples/chaos_pkcs11/script.rs"]
mod script;
mod support;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use module::ChaosModule;
use script::{ROTATED, parse};
use support::{TestToken, USER_PIN, chaos_softhsm};

/// One script at a time: the module has one.
static TURN: Mutex<()> = Mutex::new(());

struct Bench {
    chaos: ChaosModule,
    context: Pkcs11,
    slot: Slot,
    _turn: MutexGuard<'static, ()>,
}

/// A token with a key, and the module initialised by the test itself.
fn bench(script: &str) -> Bench {
    static TOKEN: OnceLock<TestToken> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let module = chaos_softhsm();
    let chaos = ChaosModule::load(&module.path);
    let token = TOKEN.get_or_init(|| {
        let token = TestToken::new(module);
        drop(token.open_with_key());
        token
    });
    let context = Pkcs11::new(&token.module.path).unwrap();
    chaos.begin(&parse("").unwrap());
    initialise(&context);
    let slot = find(&context, token).unwrap();
    chaos.begin(&parse(script).unwrap());
    Bench {
        chaos,
        context,
        slot,
        _turn: turn,
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.chaos.begin(&parse("").unwrap());
        let _ = self.context.clone().finalize();
    }
}

fn initialise(context: &Pkcs11) {
    context
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
}

fn find(context: &Pkcs11, token: &TestToken) -> Option<Slot> {
    let slots = context.get_slots_with_token().unwrap();
    slots.into_iter().find(|slot| {
        context
            .get_token_info(*slot)
            .is_ok_and(|info| info.label() == token.info.label)
    })
}

fn rv<T>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(rv, _)) => rv,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

fn pin(text: &str) -> AuthPin {
    AuthPin::new(text.into())
}

impl Bench {
    fn session(&self) -> Session {
        self.context.open_ro_session(self.slot).unwrap()
    }

    fn logged_in(&self) -> Session {
        let session = self.session();
        session.login(UserType::User, Some(&pin(USER_PIN))).unwrap();
        session
    }

    fn try_pin(&self, text: &str) -> Result<(), Error> {
        let session = self.session();
        let result = session.login(UserType::User, Some(&pin(text)));
        if result.is_ok() {
            session.logout().unwrap();
        }
        result
    }
}

fn keys(session: &Session) -> Result<usize, Error> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    session.find_objects(&template).map(|found| found.len())
}

#[test]
fn calls_fail_by_their_number_and_no_others() {
    let bench = bench(
        "on call 2 of C_GetInfo: return CKR_DEVICE_ERROR for 2 calls\n\
         on call 5 of C_GetInfo: afterwards return CKR(0x80000001) for 1 calls\n",
    );
    let call = || bench.context.get_library_info();
    call().unwrap();
    assert_eq!(rv(call()), RvError::DeviceError);
    assert_eq!(rv(call()), RvError::DeviceError);
    call().unwrap();
    assert_eq!(rv(call()), RvError::VendorDefined(0x8000_0001));
    call().unwrap();
    let report = bench.chaos.report();
    assert!(
        report
            .text
            .contains("C_GetInfo -> CKR_DEVICE_ERROR (script)"),
        "{}",
        report.text
    );
}

#[test]
fn a_delay_moves_the_simulated_time_only() {
    let bench = bench("on call 1 of C_GetInfo: delay 3600000 ms\n");
    let before = bench.chaos.now_ms();
    bench.context.get_library_info().unwrap();
    assert_eq!(bench.chaos.now_ms(), before + 3_600_001);
}

#[test]
fn a_forgotten_login_holds_for_every_session() {
    let bench = bench("on call 1 of C_GetInfo: forget the login\n");
    let (session, other) = (bench.logged_in(), bench.session());
    let state = |session: &Session| session.get_session_info().unwrap().session_state();
    assert_eq!(state(&other), SessionState::RoUser);
    assert_eq!(keys(&session).unwrap(), 1);
    bench.context.get_library_info().unwrap();
    assert_eq!(state(&session), SessionState::RoPublic);
    assert_eq!(state(&other), SessionState::RoPublic);
    assert_eq!(keys(&session).unwrap(), 0);
}

#[test]
fn dropped_sessions_are_invalid_and_new_ones_work() {
    let bench = bench("on call 1 of C_GetInfo: drop the sessions\n");
    let session = bench.logged_in();
    bench.context.get_library_info().unwrap();
    assert_eq!(
        rv(session.get_session_info()),
        RvError::SessionHandleInvalid
    );
    assert_eq!(keys(&bench.logged_in()).unwrap(), 1);
}

#[test]
fn invalid_handles_are_good_again_once_they_were_found() {
    let bench = bench("on call 1 of C_GetInfo: invalidate the handles\n");
    let session = bench.logged_in();
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    let key = session.find_objects(&template).unwrap()[0];
    let look = || session.get_attributes(key, &[cryptoki::object::AttributeType::Label]);
    look().unwrap();
    bench.context.get_library_info().unwrap();
    assert_eq!(rv(look()), RvError::ObjectHandleInvalid);
    session.find_objects(&template).unwrap();
    look().unwrap();
}

#[test]
fn a_token_that_is_gone_comes_back_after_its_time() {
    let bench = bench("on call 1 of C_GetInfo: token gone for 1000 ms saying CKR_DEVICE_REMOVED\n");
    let session = bench.logged_in();
    bench.context.get_library_info().unwrap();
    assert_eq!(rv(session.get_session_info()), RvError::DeviceRemoved);
    assert_eq!(
        rv(bench.context.open_ro_session(bench.slot)),
        RvError::TokenNotPresent
    );
    assert_eq!(bench.context.get_slots_with_token().unwrap(), []);
    bench.chaos.advance(1000);
    assert_eq!(
        rv(session.get_session_info()),
        RvError::SessionHandleInvalid
    );
    assert_eq!(keys(&bench.logged_in()).unwrap(), 1);
}

#[test]
fn a_token_may_need_a_new_initialisation_before_its_keys_are_found() {
    let bench = bench(
        "on call 1 of C_GetInfo: token gone for 1000 ms saying CKR_DEVICE_REMOVED until reinitialised\n",
    );
    assert_eq!(keys(&bench.logged_in()).unwrap(), 1);
    bench.context.get_library_info().unwrap();
    bench.chaos.advance(1000);
    assert_eq!(keys(&bench.logged_in()).unwrap(), 0);
    bench.context.clone().finalize().unwrap();
    initialise(&bench.context);
    assert_eq!(keys(&bench.logged_in()).unwrap(), 1);
}

#[test]
fn slots_get_other_numbers_at_once_or_with_the_next_initialisation() {
    for at_once in [true, false] {
        let bench = bench(if at_once {
            "on call 1 of C_GetInfo: renumber the slots\n"
        } else {
            "on call 1 of C_GetInfo: renumber the slots at the next initialisation\n"
        });
        let before = bench.context.get_slots_with_token().unwrap();
        let session = bench.logged_in();
        bench.context.get_library_info().unwrap();
        if !at_once {
            assert_eq!(bench.context.get_slots_with_token().unwrap(), before);
            drop(session);
            bench.context.clone().finalize().unwrap();
            initialise(&bench.context);
        }
        let after = bench.context.get_slots_with_token().unwrap();
        assert_eq!(after.len(), before.len());
        assert!(after.iter().all(|slot| !before.contains(slot)));
        assert_eq!(
            rv(bench.context.open_ro_session(bench.slot)),
            RvError::SlotIdInvalid
        );
        let slot = after
            .into_iter()
            .find(|slot| {
                bench
                    .context
                    .get_token_info(*slot)
                    .unwrap()
                    .token_initialized()
            })
            .unwrap();
        let session = bench.context.open_ro_session(slot).unwrap();
        assert_eq!(session.get_session_info().unwrap().slot_id(), slot);
    }
}

#[test]
fn another_token_in_the_slot_has_another_serial_number_for_a_time() {
    let bench = bench("on call 1 of C_GetInfo: another serial for 500 ms\n");
    let serial = || {
        let info = bench.context.get_token_info(bench.slot).unwrap();
        info.serial_number().to_owned()
    };
    let before = serial();
    bench.context.get_library_info().unwrap();
    assert_ne!(serial(), before);
    bench.chaos.advance(500);
    assert_eq!(serial(), before);
}

#[test]
fn wrong_pins_are_counted_and_a_token_that_they_lock_is_told() {
    let bench = bench("tries 3\n");
    let flags = || {
        let info = bench.context.get_token_info(bench.slot).unwrap();
        (
            info.user_pin_count_low(),
            info.user_pin_final_try(),
            info.user_pin_locked(),
        )
    };
    assert_eq!(flags(), (false, false, false));
    assert_eq!(rv(bench.try_pin("wrong")), RvError::PinIncorrect);
    assert_eq!(flags(), (true, false, false));
    bench.try_pin(USER_PIN).unwrap();
    assert_eq!(flags(), (false, false, false));
    for _ in 0..2 {
        assert_eq!(rv(bench.try_pin("wrong")), RvError::PinIncorrect);
    }
    assert_eq!(flags(), (true, true, false));
    assert_eq!(bench.chaos.report().number("lockouts"), 0);
    assert_eq!(rv(bench.try_pin("wrong")), RvError::PinIncorrect);
    assert!(flags().2);
    assert_eq!(rv(bench.try_pin(USER_PIN)), RvError::PinLocked);
    let report = bench.chaos.report();
    assert_eq!(report.number("lockouts"), 1);
    assert_eq!(report.number("wrong_logins"), 4);
}

#[test]
fn a_wrong_pin_at_the_final_try_locks_the_token() {
    let bench = bench("on call 1 of C_GetInfo: final try for 1000 ms\n");
    bench.context.get_library_info().unwrap();
    let info = bench.context.get_token_info(bench.slot).unwrap();
    assert!(info.user_pin_final_try());
    assert_eq!(rv(bench.try_pin("wrong")), RvError::PinIncorrect);
    assert_eq!(bench.chaos.report().number("lockouts"), 1);
}

#[test]
fn a_locked_token_is_unlocked_after_its_time() {
    let bench = bench("on call 1 of C_GetInfo: locked for 1000 ms\n");
    bench.context.get_library_info().unwrap();
    assert_eq!(rv(bench.try_pin(USER_PIN)), RvError::PinLocked);
    bench.chaos.advance(1000);
    bench.try_pin(USER_PIN).unwrap();
}

#[test]
fn a_rotated_pin_is_the_only_right_one() {
    for (script, pin) in [("", USER_PIN), ("pin another\n", "another")] {
        let bench = bench(&format!("{script}on call 1 of C_GetInfo: rotate the PIN\n"));
        bench.try_pin(pin).unwrap();
        bench.context.get_library_info().unwrap();
        assert_eq!(rv(bench.try_pin(pin)), RvError::PinIncorrect);
        bench.try_pin(&format!("{pin}{ROTATED}")).unwrap();
    }
}

#[test]
fn a_call_that_hangs_ends_when_it_is_told_and_a_finalisation_beside_it_is_a_violation() {
    let bench = bench("on call 1 of C_GetInfo: hang\n");
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| bench.context.get_library_info());
        assert!(bench.chaos.waits_for_hang(60_000));
        bench.context.clone().finalize().unwrap();
        let violations = bench.chaos.report().violations;
        assert_eq!(violations, ["C_Finalize while 1 other calls run"]);
        bench.chaos.replace_process();
        assert_eq!(rv(hanging.join().unwrap()), RvError::FunctionCanceled);
    });
    // As after the end of the process: nothing works before the next initialisation.
    assert_eq!(rv(bench.context.get_library_info()), RvError::GeneralError);
    initialise(&bench.context);
    bench.context.get_library_info().unwrap();
}

#[test]
fn output_is_cut_off_or_said_to_be_longer_than_it_is() {
    let bench = bench(
        "on call 2 of C_FindObjects: truncate by 1\n\
         on call 2 of C_GetMechanismList: lie about the length\n",
    );
    let session = bench.logged_in();
    assert_eq!(keys(&session).unwrap(), 1);
    assert_eq!(keys(&session).unwrap(), 0);
    assert_eq!(keys(&session).unwrap(), 1);
    let table = cryptoki_table(&chaos_softhsm().path);
    let slot = cryptoki_sys::CK_SLOT_ID::try_from(bench.slot.id()).unwrap();
    let mut counts = Vec::new();
    for _ in 0..2 {
        let (mut list, mut count) = (vec![0; 4096], 4096);
        let call = table.C_GetMechanismList.unwrap();
        // SAFETY: PKCS#11, C_GetMechanismList: the list is writable for `count` mechanisms.
        assert_eq!(unsafe { call(slot, list.as_mut_ptr(), &raw mut count) }, 0);
        counts.push(count);
    }
    assert_eq!(counts[1], counts[0] + 4096);
}

fn cryptoki_table(path: &std::path::Path) -> cryptoki_sys::CK_FUNCTION_LIST {
    // SAFETY: libloading, `Library::new`: it is loaded already.
    let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.unwrap();
    let mut list = std::ptr::null_mut();
    // SAFETY: PKCS#11, C_GetFunctionList: receives a pointer to a live pointer; the table is valid while the library is loaded,
    // which `ChaosModule` never ends.
    unsafe {
        assert_eq!(
            library.C_GetFunctionList.as_ref().unwrap()(&raw mut list),
            0
        );
        *list
    }
}
