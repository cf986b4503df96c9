//! The ledger beside an implementation that remembers everything and looks through it each time.

use super::*;

/// xorshift64*: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// Everything that happened, in its order.
#[derive(Default)]
struct Naive {
    uses: Vec<(i64, Asked, Ended, bool)>,
    quarantine: Vec<(CiphertextId, Hash)>,
    flying: Vec<Flying>,
}

/// A ciphertext in flight.
struct Flying {
    id: CiphertextId,
    holders: usize,
    /// Whose room it takes, if it may fail.
    reserved: Option<Asked>,
}

impl Naive {
    fn failing(&self, now: i64, window: i64, of: impl Fn(&Asked) -> bool) -> Vec<CiphertextId> {
        let mut ids: Vec<_> = self
            .uses
            .iter()
            .filter(|(then, asked, ended, _)| {
                *ended == Ended::Bad && now - then < window && of(asked)
            })
            .map(|(_, asked, _, _)| asked.id())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Whether the same was asked and delivered, since the first use within a day.
    fn is_proven(&self, now: i64, asked: &Asked) -> bool {
        let mut since = None;
        let (mut decrypts, mut opened) = (false, None);
        for (then, known, ended, by_token) in &self.uses {
            let is_delivered = *ended == Ended::Delivered;
            if known.id() != asked.id() || !(*by_token || is_delivered) {
                continue;
            }
            if since.is_none_or(|since| then - since >= A_DAY) {
                (since, decrypts, opened) = (Some(*then), false, None);
            }
            if is_delivered {
                decrypts = true;
                opened = known.opens.or(opened);
            }
        }
        let counts = since.is_some_and(|since| now - since < A_DAY);
        counts
            && match asked.opens {
                None => decrypts,
                Some(_) => opened == asked.opens,
            }
    }

    fn may_fail_in_flight(&self, of: impl Fn(&Asked) -> bool) -> usize {
        self.flying
            .iter()
            .filter_map(|flying| flying.reserved.as_ref())
            .filter(|asked| of(asked))
            .count()
    }

    fn begin(&mut self, asked: &Asked, may_fail: bool) {
        let id = asked.id();
        let position = self.flying.iter().position(|flying| flying.id == id);
        let position = position.unwrap_or_else(|| {
            self.flying.push(Flying {
                id,
                holders: 0,
                reserved: None,
            });
            self.flying.len() - 1
        });
        let flying = &mut self.flying[position];
        flying.holders += 1;
        if may_fail && flying.reserved.is_none() {
            flying.reserved = Some(asked.clone());
        }
    }

    fn end(&mut self, asked: &Asked) {
        let id = asked.id();
        let flying = self.flying.iter_mut().find(|flying| flying.id == id);
        flying.unwrap().holders -= 1;
        self.flying.retain(|flying| flying.holders > 0);
    }

    fn admit(&self, now: i64, asked: &Asked, limits: &Limits) -> Result<bool, &'static str> {
        let id = asked.id();
        if self.quarantine.iter().any(|(known, _)| *known == id) {
            return Err("quarantined");
        }
        let of_importer = |other: &Asked| other.importer == asked.importer;
        let of_caller = |other: &Asked| other.caller == asked.caller;
        let hour = self.failing(now, AN_HOUR, of_importer).len();
        let day = self.failing(now, A_DAY, of_importer).len();
        if hour >= limits.importer_per_hour as usize || day >= limits.importer_per_day as usize {
            return Err("importerSuspended");
        }
        let caller = self.failing(now, AN_HOUR, of_caller).len();
        if caller >= limits.caller_per_hour as usize {
            return Err("callerSuspended");
        }
        let may_fail = !self.is_proven(now, asked);
        let reserved = self
            .flying
            .iter()
            .any(|flying| flying.id == id && flying.reserved.is_some());
        if may_fail && !reserved {
            let flying = self.may_fail_in_flight(of_importer);
            let over = hour + flying >= limits.importer_per_hour as usize
                || day + flying >= limits.importer_per_day as usize
                || caller + self.may_fail_in_flight(of_caller) >= limits.caller_per_hour as usize;
            if over {
                return Err("inFlight");
            }
        }
        Ok(may_fail)
    }
}

#[test]
fn whatever_happens_in_whatever_order_it_decides_as_one_that_remembers_everything() {
    for seed in 1..=15_u64 {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ seed);
        let limits = Limits {
            importer_per_hour: 1 + u32::try_from(numbers.below(5)).unwrap(),
            importer_per_day: 1 + u32::try_from(numbers.below(12)).unwrap(),
            caller_per_hour: 1 + u32::try_from(numbers.below(14)).unwrap(),
            ..Limits::default()
        };
        let mut ledger = Ledger::default();
        let mut naive = Naive::default();
        let mut admissions = Vec::new();
        let mut now = NOW;
        for step in 0..800 {
            now += i64::try_from(numbers.below(600)).unwrap() * SECOND;
            let mut one = caller(
                asked(numbers.below(3), numbers.below(60)),
                u32::try_from(numbers.below(2)).unwrap(),
            );
            if numbers.below(3) == 0 {
                one.opens = Some(hash(5, numbers.below(2)));
            }
            match numbers.below(10) {
                0..=5 => {
                    let expected = naive.admit(now, &one, &limits);
                    let admitted = ledger.admit(now, &one, &limits);
                    assert_eq!(
                        admitted
                            .as_ref()
                            .map(|_| ())
                            .map_err(|denied| denied.name()),
                        expected.map(|_| ()),
                        "seed {seed}, step {step}"
                    );
                    if let (Ok(admission), Ok(may_fail)) = (admitted, expected) {
                        naive.begin(&one, may_fail);
                        admissions.push((one, admission));
                    }
                }
                6..=8 if !admissions.is_empty() => {
                    let at = usize::try_from(numbers.below(admissions.len() as u64)).unwrap();
                    let (asked, admission) = admissions.swap_remove(at);
                    naive.end(&asked);
                    let ended = match numbers.below(8) {
                        0 => Ended::Nothing,
                        _ if is_bad_one(&asked) => Ended::Bad,
                        _ => Ended::Delivered,
                    };
                    let by_token = numbers.below(4) > 0;
                    if ended == Ended::Bad {
                        naive.quarantine.push((asked.id(), asked.ciphertext));
                    }
                    ledger.used(now, &asked, ended, by_token);
                    ledger.ended(admission);
                    naive.uses.push((now, asked, ended, by_token));
                }
                _ if numbers.below(20) == 0 => {
                    let ciphertext = one.ciphertext;
                    ledger.released(&Release::Ciphertext { ciphertext });
                    naive.quarantine.retain(|(_, known)| *known != ciphertext);
                }
                _ => {
                    // A restart: what is in flight then is over, and nothing else.
                    ledger = Ledger::restore(ledger.snapshot(now)).unwrap();
                    admissions.clear();
                    naive.flying.clear();
                }
            }
        }
    }
}

/// What a ciphertext is does not change: a third of them never decrypt.
fn is_bad_one(asked: &Asked) -> bool {
    let number = u64::from_be_bytes(asked.ciphertext.as_bytes()[..8].try_into().unwrap());
    number.is_multiple_of(3)
}
