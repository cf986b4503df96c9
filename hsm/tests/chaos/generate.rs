//! Scripts from seeds. The same seed always gives the same script.
#![allow(dead_code, unreachable_pub, clippy::indexing_slicing)]

use super::script::{Event, Fault, Script, When};

/// splitmix64: small, and good enough to choose faults.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or_default()]
    }
}

/// Where the script is played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the process of the test, on simulated time.
    InProcess,
    /// In processes that may die, on the system's time.
    Processes,
}

/// What any call may say that has to do with a session and a token. What says "never" (a mechanism that is not supported, a key
/// that must not be used) is not here: a token that takes that back has lied. Nor is a wrong PIN, which nobody may try again.
const TROUBLE: &[&str] = &[
    "CKR_DEVICE_ERROR",
    "CKR_GENERAL_ERROR",
    "CKR_FUNCTION_FAILED",
    "CKR_DEVICE_MEMORY",
    "CKR_HOST_MEMORY",
    "CKR_DEVICE_REMOVED",
    "CKR_SESSION_HANDLE_INVALID",
    "CKR_SESSION_CLOSED",
    "CKR_TOKEN_NOT_PRESENT",
    "CKR(0x80000001)",
];

/// Functions that custody calls, what they say besides, and up to which call one of them is likely to be met.
const FUNCTIONS: &[(&str, u64, &[&str])] = &[
    ("C_Initialize", 2, &[]),
    ("C_Finalize", 2, &[]),
    ("C_GetInfo", 6, &[]),
    ("C_GetSlotList", 4, &[]),
    (
        "C_GetTokenInfo",
        12,
        &["CKR_SLOT_ID_INVALID", "CKR_TOKEN_NOT_RECOGNIZED"],
    ),
    ("C_GetMechanismList", 3, &["CKR_SLOT_ID_INVALID"]),
    ("C_GetMechanismInfo", 3, &["CKR_SLOT_ID_INVALID"]),
    (
        "C_OpenSession",
        6,
        &[
            "CKR_SESSION_COUNT",
            "CKR_SLOT_ID_INVALID",
            "CKR_TOKEN_NOT_RECOGNIZED",
        ],
    ),
    ("C_CloseSession", 4, &[]),
    ("C_GetSessionInfo", 6, &[]),
    ("C_Login", 3, &["CKR_OPERATION_ACTIVE"]),
    ("C_FindObjectsInit", 5, &["CKR_OPERATION_ACTIVE"]),
    ("C_FindObjects", 5, &["CKR_OPERATION_NOT_INITIALIZED"]),
    ("C_FindObjectsFinal", 5, &["CKR_OPERATION_NOT_INITIALIZED"]),
    ("C_GetAttributeValue", 8, &["CKR_OBJECT_HANDLE_INVALID"]),
    ("C_CreateObject", 6, &["CKR_USER_NOT_LOGGED_IN"]),
    ("C_DestroyObject", 3, &["CKR_OBJECT_HANDLE_INVALID"]),
    (
        "C_EncryptInit",
        10,
        &[
            "CKR_KEY_HANDLE_INVALID",
            "CKR_OPERATION_ACTIVE",
            "CKR_USER_NOT_LOGGED_IN",
        ],
    ),
    ("C_Encrypt", 10, &["CKR_OPERATION_NOT_INITIALIZED"]),
    (
        "C_DecryptInit",
        30,
        &[
            "CKR_KEY_HANDLE_INVALID",
            "CKR_OBJECT_HANDLE_INVALID",
            "CKR_OPERATION_ACTIVE",
            "CKR_USER_NOT_LOGGED_IN",
        ],
    ),
    (
        "C_Decrypt",
        30,
        &[
            "CKR_OPERATION_NOT_INITIALIZED",
            "CKR_USER_NOT_LOGGED_IN",
            "CKR_FUNCTION_CANCELED",
        ],
    ),
    (
        "C_SignInit",
        3,
        &[
            "CKR_KEY_HANDLE_INVALID",
            "CKR_OPERATION_ACTIVE",
            "CKR_USER_NOT_LOGGED_IN",
        ],
    ),
    ("C_Sign", 4, &["CKR_OPERATION_NOT_INITIALIZED"]),
];

/// The functions that work with the key.
const HOT: &[&str] = &["C_DecryptInit", "C_Decrypt"];

/// The script of a seed.
pub fn script(seed: u64, stage: Stage) -> Script {
    let mut random = Random::new(seed);
    let mut script = Script {
        seed,
        // A process that was replaced does not know which PIN was refused, and may use up one more of three.
        tries: match random.below(3) {
            0 if stage == Stage::InProcess => 3,
            _ => 10,
        },
        // Another for each script: custody remembers for the life of the process which one was refused.
        pin: (stage == Stage::InProcess).then(|| format!("pin-of-{seed}")),
        events: Vec::new(),
    };
    let mut used = Vec::new();
    for _ in 0..=random.below(5) {
        if let Some(event) = event(&mut random, stage, &mut used) {
            script.events.push(event);
        }
    }
    let fails_to_log_in = used.iter().any(|function| function == "C_Login");
    if fails_to_log_in {
        // A login that fails while the token counts wrong PINs of somebody else's is taken for one of them, and not repeated.
        script.events.retain(|event| {
            !matches!(
                event.fault,
                Fault::CountLow { .. } | Fault::FinalTry { .. } | Fault::Locked { .. }
            )
        });
    }
    // Somebody else's wrong PIN between the look at the flags and the login that follows is nothing that anybody can see in time.
    script.events.retain(|event| {
        let may_be_at_login = match &event.when {
            When::Call { function, .. } => function == "C_Login",
            When::AtMs(_) => true,
        };
        !(may_be_at_login && matches!(event.fault, Fault::FinalTry { .. }))
    });
    if stage == Stage::Processes && seed.is_multiple_of(2) {
        // Every other one ends a process.
        let fault = match random.below(3) {
            0 => Fault::Abort,
            1 => Fault::Segfault,
            _ => Fault::Hang,
        };
        script.events.push(Event {
            when: on_call(&mut random),
            fault,
        });
    }
    script
}

fn on_call(random: &mut Random) -> When {
    let (function, upto, _) = if random.below(2) == 0 {
        let name = *random.of(HOT);
        FUNCTIONS
            .iter()
            .find(|(function, ..)| *function == name)
            .unwrap_or(&FUNCTIONS[0])
    } else {
        random.of(FUNCTIONS)
    };
    When::Call {
        number: 1 + random.below(*upto),
        function: (*function).to_owned(),
    }
}

fn at(random: &mut Random, stage: Stage) -> When {
    When::AtMs(match stage {
        Stage::InProcess => random.below(900),
        Stage::Processes => 200 + random.below(2500),
    })
}

fn event(random: &mut Random, stage: Stage, used: &mut Vec<String>) -> Option<Event> {
    let any = |random: &mut Random| {
        if random.below(2) == 0 {
            at(random, stage)
        } else {
            on_call(random)
        }
    };
    let for_ms = |random: &mut Random| match stage {
        Stage::InProcess => 1 + random.below(3000),
        Stage::Processes => 100 + random.below(1500),
    };
    let (when, fault) = match random.below(24) {
        0..=8 => {
            let when = on_call(random);
            let When::Call { function, .. } = &when else {
                return None;
            };
            // Twice at the same function would hit a request and its second try, but not what decides between them: nobody
            // could tell that from a bad request.
            if used.contains(function) {
                return None;
            }
            used.push(function.clone());
            let own = FUNCTIONS
                .iter()
                .find(|(name, ..)| name == function)
                .map_or(&[][..], |(_, _, own)| own);
            let code = if own.is_empty() || random.below(3) > 0 {
                *random.of(TROUBLE)
            } else {
                *random.of(own)
            }
            .to_owned();
            // A token that refuses just to encrypt for longer says that it does not do that, and is believed until custody is
            // opened again.
            // A library that refuses twice to be finalised keeps what it knows of the token, and only another process helps.
            let most = match function.as_str() {
                "C_Finalize" => 1,
                "C_CreateObject" | "C_EncryptInit" | "C_Encrypt" => 2,
                _ => 23,
            };
            let calls = match random.below(6) {
                0 => 2,
                1 => 3 + random.below(20),
                _ => 1,
            }
            .min(most);
            // A C_Initialize, C_OpenSession ... that worked and says that it did not would be lost for ever. Of a C_Login the next
            // session shows it.
            let repeatable = matches!(
                function.as_str(),
                "C_Decrypt" | "C_Encrypt" | "C_Sign" | "C_GetTokenInfo" | "C_GetSessionInfo"
            ) || (function == "C_Login" && stage == Stage::InProcess);
            let fault = if repeatable && random.below(3) == 0 {
                Fault::AfterwardsReturn { code, calls }
            } else {
                Fault::Return { code, calls }
            };
            (when, fault)
        }
        9 => {
            let ms = [10, 1000, 20_000][usize::try_from(random.below(3)).unwrap_or_default()];
            let ms = if stage == Stage::Processes {
                ms / 10
            } else {
                ms
            };
            (on_call(random), Fault::Delay { ms })
        }
        10 => (on_call(random), Fault::Hang),
        11 => {
            let function = *random.of(&["C_Decrypt", "C_Encrypt"]);
            if used.iter().any(|other| other == function) {
                return None;
            }
            used.push(function.to_owned());
            let when = When::Call {
                number: 1 + random.below(10),
                function: function.to_owned(),
            };
            let by = 1 + random.below(300);
            (when, Fault::Truncate { by })
        }
        12 => {
            let function = *random.of(&["C_Decrypt", "C_Encrypt", "C_GetMechanismList"]);
            if used.iter().any(|other| other == function) {
                return None;
            }
            used.push(function.to_owned());
            let when = When::Call {
                number: 1 + random.below(10),
                function: function.to_owned(),
            };
            (when, Fault::LieAboutLength)
        }
        13 => (any(random), Fault::ForgetLogin),
        14 => (any(random), Fault::DropSessions),
        15 => (any(random), Fault::InvalidateHandles),
        16 => {
            let at_initialisation = random.below(2) == 0;
            (any(random), Fault::RenumberSlots { at_initialisation })
        }
        17 => (any(random), Fault::RotatePin),
        18 | 19 => {
            let saying = *random.of(&[
                "CKR_DEVICE_REMOVED",
                "CKR_TOKEN_NOT_PRESENT",
                "CKR_SESSION_HANDLE_INVALID",
                "CKR_DEVICE_ERROR",
            ]);
            let fault = Fault::Gone {
                ms: for_ms(random),
                saying: saying.to_owned(),
                until_reinitialised: random.below(2) == 0,
            };
            (any(random), fault)
        }
        20 => (any(random), Fault::OtherSerial { ms: for_ms(random) }),
        21 => (any(random), Fault::CountLow { ms: for_ms(random) }),
        22 => (any(random), Fault::FinalTry { ms: for_ms(random) }),
        _ => (any(random), Fault::Locked { ms: for_ms(random) }),
    };
    Some(Event { when, fault })
}

#[cfg(test)]
mod tests {
    use super::super::script::parse;
    use super::*;

    #[test]
    fn a_seed_gives_one_script_and_the_script_is_read_back_from_its_text() {
        for stage in [Stage::InProcess, Stage::Processes] {
            for seed in 0..500 {
                let made = script(seed, stage);
                assert_eq!(made, script(seed, stage));
                assert_eq!(parse(&made.to_string()).as_ref(), Ok(&made));
            }
        }
    }
}
