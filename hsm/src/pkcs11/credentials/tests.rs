#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cryptoki::context::Function;
use cryptoki::error::RvError;

use super::*;

fn flags(user_pin_count_low: bool) -> TokenFlags {
    TokenFlags {
        user_pin_count_low,
        ..TokenFlags::default()
    }
}

/// A token that shows its tries. All of them are there, or not.
fn shown(user_pin_count_low: bool) -> Standing {
    Standing {
        flags: flags(user_pin_count_low),
        shows_tries: true,
        now: Duration::ZERO,
    }
}

/// A token that shows nothing, at this time in seconds.
fn silent(now_s: u64) -> Standing {
    Standing {
        flags: flags(false),
        shows_tries: false,
        now: Duration::from_secs(now_s),
    }
}

fn lost(after: Option<TokenFlags>) -> Answer {
    Answer::Lost(Refusal::new(Function::Login, RvError::DeviceRemoved), after)
}

fn wrong() -> Answer {
    Answer::Refused(PinProblem::Incorrect)
}

struct Setting {
    folder: tempfile::TempDir,
    token: TokenId,
}

impl Setting {
    fn new(serial: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            token: ("/module".into(), serial.to_owned(), "label".to_owned()),
        }
    }

    /// Another file each time, as whoever replaces a PIN makes one.
    fn write_pin(&self, pin: &str) {
        use std::os::unix::fs::PermissionsExt;
        let (path, next) = (
            self.folder.path().join("pin"),
            self.folder.path().join("next"),
        );
        std::fs::write(&next, pin).unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(next, path).unwrap();
    }

    fn memory(&self) -> Memory {
        Memory(self.folder.path().join("refused"))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("refused")).unwrap()
    }

    /// Credentials as another process has them: without this process' memory.
    fn in_a_new_process(&self) -> Credentials {
        past(|map| map.remove(&self.token));
        let source = PinSource::File(self.folder.path().join("pin"));
        Credentials::new(source, Some(self.folder.path().join("refused"))).unwrap()
    }

    fn attempt(&self, standing: Standing, answer: Answer) -> (bool, Result<(), Error>) {
        self.attempt_with(&self.in_a_new_process(), standing, answer)
    }

    fn attempt_with(
        &self,
        credentials: &Credentials,
        standing: Standing,
        answer: Answer,
    ) -> (bool, Result<(), Error>) {
        let mut tried = false;
        let result = credentials.try_once(&self.token, standing, |_| {
            tried = true;
            answer
        });
        (tried, result)
    }
}

fn is_kept_back(attempt: &(bool, Result<(), Error>)) -> bool {
    !attempt.0 && matches!(attempt.1, Err(Error::Pin(PinProblem::RefusedBefore)))
}

#[test]
fn a_refused_pin_is_not_tried_by_the_next_process_until_its_source_changes() {
    let setting = Setting::new("refused");
    setting.write_pin("1234");
    assert!(setting.attempt(shown(false), wrong()).0);
    for _ in 0..3 {
        assert!(is_kept_back(&setting.attempt(shown(false), wrong())));
    }
    // Of the PIN nothing is written down.
    let text = setting.text();
    assert!(!text.contains("1234") && text.contains(" refused "));
    setting.write_pin("12345");
    let (tried, result) = setting.attempt(shown(true), Answer::Taken);
    assert!(tried && result.is_ok());
    assert_eq!(setting.text(), "");
}

#[test]
fn an_attempt_that_a_process_did_not_survive_is_repeated_unless_the_token_counts_it() {
    let setting = Setting::new("unfinished");
    setting.write_pin("1234");
    let stamp = PinSource::File(setting.folder.path().join("pin")).stamp();
    let begun = Outcome::Begun {
        attempts: 1,
        taken: false,
    };
    let die = || {
        setting
            .memory()
            .set(&setting.token, stamp.as_ref().map(|it| (begun, it)))
    };
    let trouble = || Answer::Unjudged(Error::Internal("the session is gone"));
    die();
    assert!(setting.attempt(shown(false), trouble()).0);
    // That one is known not to have been judged.
    assert!(setting.attempt(shown(true), trouble()).0);
    die();
    assert!(is_kept_back(&setting.attempt(shown(true), trouble())));
    setting.write_pin("54321");
    assert!(setting.attempt(shown(true), Answer::Taken).0);
}

#[test]
fn what_a_token_proves_not_to_have_counted_is_tried_again_without_end() {
    let setting = Setting::new("blinks");
    setting.write_pin("1234");
    let credentials = setting.in_a_new_process();
    for after in [Some(flags(false)), None].into_iter().cycle().take(40) {
        let (tried, result) = setting.attempt_with(&credentials, shown(false), lost(after));
        assert!(tried && matches!(result, Err(Error::Token(_))));
    }
    let (_, result) = setting.attempt_with(&credentials, shown(false), Answer::Taken);
    assert!(result.is_ok());
    assert_eq!(setting.text(), "");
}

#[test]
fn what_a_token_counts_is_refused_also_if_its_answer_is_lost_until_the_source_is_written_anew() {
    let setting = Setting::new("counts");
    for seen_at_once in [true, false] {
        for shows_tries in [true, false] {
            setting.write_pin("1234");
            let standing = |low| Standing {
                shows_tries,
                ..shown(low)
            };
            let credentials = setting.in_a_new_process();
            let after = seen_at_once.then_some(flags(true));
            let (tried, result) = setting.attempt_with(&credentials, standing(false), lost(after));
            assert!(tried);
            match result.unwrap_err() {
                Error::Pin(problem) => {
                    assert!(seen_at_once);
                    assert_eq!(problem, PinProblem::Incorrect);
                }
                error => assert!(!seen_at_once, "{error}"),
            }
            for _ in 0..3 {
                let again = setting.attempt_with(&credentials, standing(true), wrong());
                assert!(is_kept_back(&again));
            }
            assert!(is_kept_back(&setting.attempt(standing(true), wrong())));
            // The same one: somebody says that it is right.
            setting.write_pin("1234");
            let again = setting.attempt_with(&credentials, standing(true), Answer::Taken);
            assert!(again.0 && again.1.is_ok());
        }
    }
}

#[test]
fn a_token_that_shows_nothing_gets_a_pin_once_more_and_one_that_it_took_some_more_times() {
    for (taken, times) in [(false, [0, 30, 60, 90]), (true, [0, 0, 30, 150])] {
        let setting = Setting::new(if taken { "silent-taken" } else { "silent" });
        setting.write_pin("1234");
        let credentials = setting.in_a_new_process();
        if taken {
            setting
                .attempt_with(&credentials, silent(0), Answer::Taken)
                .1
                .unwrap();
        }
        let allowed = if taken { 4 } else { 2 };
        for (number, now_s) in times.into_iter().enumerate() {
            if number < allowed {
                if now_s > 0 {
                    // Too early: not for the operator, it may be tried in a moment.
                    let (tried, result) =
                        setting.attempt_with(&credentials, silent(now_s - 1), wrong());
                    assert!(!tried && matches!(result, Err(Error::Token(_))), "{number}");
                }
                let (tried, result) =
                    setting.attempt_with(&credentials, silent(now_s), lost(Some(flags(false))));
                assert!(tried && matches!(result, Err(Error::Token(_))), "{number}");
            } else {
                let again = setting.attempt_with(&credentials, silent(now_s), wrong());
                assert!(is_kept_back(&again), "{number}");
            }
        }
        assert!(is_kept_back(&setting.attempt_with(
            &credentials,
            silent(9999),
            wrong()
        )));
        setting.write_pin("1234");
        let again = setting.attempt_with(&credentials, silent(9999), Answer::Taken);
        assert!(again.0 && again.1.is_ok());
        assert_eq!(setting.text(), "");
    }
}

#[test]
fn lost_answers_are_counted_over_processes() {
    let setting = Setting::new("processes");
    setting.write_pin("1234");
    for _ in 0..2 {
        assert!(setting.attempt(silent(0), lost(None)).0);
    }
    assert!(setting.text().contains(" begun2 "));
    assert!(is_kept_back(&setting.attempt(silent(0), wrong())));
    setting.write_pin("1234");
    let credentials = setting.in_a_new_process();
    setting
        .attempt_with(&credentials, silent(0), Answer::Taken)
        .1
        .unwrap();
    assert!(setting.attempt_with(&credentials, silent(0), lost(None)).0);
    assert!(setting.text().contains(" again "));
    for _ in 0..3 {
        assert!(setting.attempt(silent(0), lost(None)).0);
    }
    assert!(is_kept_back(&setting.attempt(silent(0), wrong())));
    // What was not judged does not count, and what came before it still does.
    setting.write_pin("12345");
    assert!(setting.attempt(silent(0), lost(None)).0);
    let trouble = || Answer::Unjudged(Error::Internal("there is no library"));
    for _ in 0..5 {
        assert!(setting.attempt(silent(0), trouble()).0);
    }
    assert!(setting.attempt(silent(0), lost(None)).0);
    assert!(is_kept_back(&setting.attempt(silent(0), wrong())));
}

#[test]
fn tokens_do_not_share_what_they_refused() {
    let (first, second) = (Setting::new("one"), Setting::new("two"));
    first.write_pin("1");
    let memory = first.memory();
    let stamp = PinSource::File(first.folder.path().join("pin"))
        .stamp()
        .unwrap();
    let begun = Outcome::Begun {
        attempts: 3,
        taken: true,
    };
    memory.set(&first.token, Some((Outcome::Refused, &stamp)));
    memory.set(&second.token, Some((begun, &stamp)));
    memory.set(&first.token, Some((begun, &stamp)));
    assert_eq!(memory.lines().len(), 2);
    memory.set(&second.token, None);
    assert_eq!(memory.of(&first.token), Some((begun, stamp.to_string())));
    assert_eq!(memory.of(&second.token), None);
}
