//! The routing with parts that do nothing by themselves: what they say and when they die is said here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::*;
use crate::config::Config;
use crate::engine::api::{API_VERSION, EngineReply, Failure};
use crate::engine::ipc::Caller;
use crate::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use audit::Verb;
use audit::verb::CallerKind;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::sync_channel;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(max_crashes: u32) -> EngineConfig {
    let text = format!(
        "[engine]\nsocket = '/nowhere/s'\n[engine.restart]\nbackoff_ms = 1\nunresponsive_ms = 600000\n\
         max_crashes_per_request = {max_crashes}\n[engine.token]\nmodule = '/m'\nlabel = 't'\nthreads = 2\n"
    );
    let config: Config = toml::from_str(&text).unwrap();
    config.engine.unwrap()
}

fn no_sandbox() -> sandbox::Report {
    let kernel = sandbox::Kernel::none();
    sandbox::apply(&sandbox::engine::formats(), &kernel, sandbox::Want::Off).unwrap()
}

struct Scene<'a> {
    router: Router<'a>,
    events: Receiver<Event>,
    caller: UnixStream,
    generation: [u64; 2],
}

impl<'a> Scene<'a> {
    fn new(config: &'a EngineConfig) -> Self {
        let (sender, events) = sync_channel(64);
        let idle = || Launch::of("/bin/sleep", &["3600"]);
        let mut router = Router::new(config, (idle(), idle()), &sender, no_sandbox());
        let (theirs, mut caller) = UnixStream::pair().unwrap();
        caller.set_read_timeout(Some(PATIENCE)).unwrap();
        let own = rustix::process::geteuid().as_raw();
        router.handle(Event::ClientNew(theirs, own), Instant::now());
        write_frame(&mut caller, &Frame::hello()).unwrap();
        let greeting = events.recv_timeout(PATIENCE).unwrap();
        router.handle(greeting, Instant::now());
        let mut scene = Self {
            router,
            events,
            caller,
            generation: [0, 0],
        };
        scene.start(PartKind::Custody);
        scene.start(PartKind::Formats);
        assert_eq!(scene.answer().kind, Kind::Hello);
        scene
    }

    fn part(&self, kind: PartKind) -> &Part {
        match kind {
            PartKind::Custody => &self.router.custody,
            PartKind::Formats => &self.router.formats,
        }
    }

    /// Lets happen what happens until something is so.
    fn until(&mut self, done: impl Fn(&Router<'_>) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.router.tick(Instant::now());
            if done(&self.router) {
                return;
            }
            assert!(Instant::now() < until);
            if let Ok(event) = self.events.recv_timeout(Duration::from_millis(2)) {
                self.router.handle(event, Instant::now());
            }
        }
    }

    fn says(&mut self, kind: PartKind, frame: Frame) {
        let generation = self.generation[usize::from(kind == PartKind::Formats)];
        self.router
            .handle(Event::PartFrame(kind, generation, frame), Instant::now());
        self.router.tick(Instant::now());
    }

    /// Waits until the next process of a part runs and makes it ready.
    fn start(&mut self, kind: PartKind) {
        let generation = {
            let slot = &mut self.generation[usize::from(kind == PartKind::Formats)];
            *slot += 1;
            *slot
        };
        self.until(|router| {
            let part = match kind {
                PartKind::Custody => &router.custody,
                PartKind::Formats => &router.formats,
            };
            part.is_current(generation) && part.pid().is_some()
        });
        self.says(kind, Frame::bare(Kind::Hello, u64::from(API_VERSION)));
        self.says(kind, Frame::bare(Kind::Ready, 0));
        assert!(self.part(kind).is_ready());
    }

    fn dies(&mut self, kind: PartKind) {
        let generation = self.generation[usize::from(kind == PartKind::Formats)];
        self.router
            .handle(Event::PartGone(kind, generation), Instant::now());
        self.start(kind);
    }

    fn asks(&mut self, ids: &[u64]) {
        let there = self.router.requests.len() + ids.len();
        for id in ids {
            let mut frame = asking(Verb::Recrypt, *id);
            frame.time_left_ms = 600_000;
            write_frame(&mut self.caller, &frame).unwrap();
        }
        self.until(|router| router.requests.len() == there);
    }

    fn answer(&mut self) -> Frame {
        match read_frame(&mut self.caller).unwrap() {
            Incoming::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    fn failure(&mut self) -> (u64, FailureCode) {
        let frame = self.answer();
        match serde_json::from_slice(&frame.payload).unwrap() {
            EngineReply::Failed(Failure { code, .. }) => (frame.id, code),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        self.router.custody.end();
        self.router.formats.end();
    }
}

fn asking(verb: Verb, id: u64) -> Frame {
    Frame {
        verb: Some(verb),
        ..Frame::with_payload(Kind::Request, id, b"{}".to_vec())
    }
}

fn reply(id: u64) -> Frame {
    Frame::with_payload(Kind::Reply, id, b"done".to_vec())
}

#[test]
fn an_answer_that_waits_for_its_time_is_in_nobodys_way_and_is_not_lost_with_custody() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72, 73, 74, 75]);
    assert_eq!(scene.router.custody_lane.in_hand(), [1, 2, 3, 4]);
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 1));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 2));
    assert_eq!(scene.router.custody_lane.in_hand(), [3, 4, 5]);
    scene.says(PartKind::Custody, reply(2));
    assert_eq!(scene.answer().id, 72);
    // What was held begins anew, first and without blame; what is in hand is a suspect.
    scene.dies(PartKind::Custody);
    assert_eq!(scene.router.custody_lane.in_hand(), [1, 3, 4, 5]);
    let crashes = |id| scene.router.requests.get(id).unwrap().crashes;
    assert_eq!((crashes(1), crashes(3)), (0, 1));
    // A second word on it, or one about nothing, changes nothing.
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 2));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 99));
    assert!(scene.router.held.is_empty());
    for (id, theirs) in [(1, 71), (3, 73), (4, 74), (5, 75)] {
        scene.says(PartKind::Custody, reply(id));
        assert_eq!(scene.answer().id, theirs);
    }
}

#[test]
fn a_key_over_whose_making_custody_dies_is_given_up_and_those_that_wait_to_be_made_are_not() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72]);
    let crashes = |scene: &Scene<'_>, id| scene.router.requests.get(id).unwrap().crashes;
    // A maker's thread may begin before the request's own thread has said that it is held.
    scene.says(PartKind::Custody, Frame::bare(Kind::Working, 1));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 1));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 2));
    scene.says(PartKind::Custody, Frame::bare(Kind::Working, 99));
    scene.dies(PartKind::Custody);
    assert_eq!((crashes(&scene, 1), crashes(&scene, 2)), (1, 0));
    assert!(scene.router.working.is_empty());
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 1));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 2));
    scene.says(PartKind::Custody, Frame::bare(Kind::Working, 1));
    scene.dies(PartKind::Custody);
    assert_eq!((crashes(&scene, 1), crashes(&scene, 2)), (2, 0));
    // Its last chance: it is in hand alone until it is answered, made or not.
    assert_eq!(scene.router.custody_lane.in_hand(), [1]);
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 1));
    scene.says(PartKind::Custody, Frame::bare(Kind::Working, 1));
    assert_eq!(scene.router.custody_lane.in_hand(), [1]);
    scene.dies(PartKind::Custody);
    assert_eq!(scene.failure(), (71, FailureCode::EngineFault));
    assert_eq!(scene.router.custody_lane.in_hand(), [2]);
    scene.says(PartKind::Custody, reply(2));
    assert_eq!(scene.answer().id, 72);
}

#[test]
fn what_was_begun_and_is_given_back_before_custody_ends_is_no_suspect() {
    let config = config(2);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72, 73, 74]);
    let crashes = |scene: &Scene<'_>, id| scene.router.requests.get(id).unwrap().crashes;
    scene.says(PartKind::Custody, Frame::bare(Kind::Working, 3));
    scene.says(PartKind::Custody, Frame::bare(Kind::Held, 3));
    for _ in 0..4 {
        // The call of the first one hangs; the others are only there. One of them is done meanwhile, once.
        for id in [2, 3, 4] {
            scene.says(PartKind::Custody, Frame::bare(Kind::GivenBack, id));
        }
        assert!(scene.router.held.is_empty() && scene.router.working.is_empty());
        let before = crashes(&scene, 2);
        scene.dies(PartKind::Custody);
        assert_eq!((before, crashes(&scene, 2)), (0, 0));
        if scene.router.requests.get(1).is_some() {
            // It has its last chance, and has it alone.
            assert_eq!(crashes(&scene, 1), 1);
            assert_eq!(scene.router.custody_lane.in_hand(), [1]);
            scene.dies(PartKind::Custody);
            assert_eq!(scene.failure(), (71, FailureCode::EngineFault));
        }
        assert_eq!(scene.router.custody_lane.in_hand(), [2, 3, 4]);
    }
    // An answer that comes after all is taken, and nothing is handed out twice.
    scene.says(PartKind::Custody, Frame::bare(Kind::GivenBack, 2));
    scene.says(PartKind::Custody, reply(2));
    assert_eq!(scene.answer().id, 72);
    scene.dies(PartKind::Custody);
    for (id, theirs) in [(3, 73), (4, 74)] {
        // These were not given back.
        assert_eq!(scene.router.custody_lane.in_hand(), [id]);
        scene.says(PartKind::Custody, reply(id));
        assert_eq!(scene.answer().id, theirs);
    }
    assert_eq!(scene.router.requests.len(), 0);
}

#[test]
fn a_request_over_which_parts_die_is_given_up_and_its_neighbours_are_not() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    // The caller's ids are its own; the engine's are 1, 2, 3.
    scene.asks(&[71, 72, 73]);
    assert_eq!(scene.router.custody_lane.in_hand(), [1, 2, 3]);
    scene.dies(PartKind::Custody);
    assert_eq!(scene.router.custody_lane.in_hand(), [1, 2, 3]);
    scene.dies(PartKind::Custody);
    // Each has one chance left and gets it alone.
    assert_eq!(scene.router.custody_lane.in_hand(), [1]);
    scene.says(PartKind::Custody, reply(1));
    assert_eq!(scene.answer().id, 71);
    assert_eq!(scene.router.custody_lane.in_hand(), [2]);
    scene.dies(PartKind::Custody);
    assert_eq!(scene.failure(), (72, FailureCode::EngineFault));
    assert_eq!(scene.router.custody_lane.in_hand(), [3]);
    scene.says(PartKind::Custody, reply(3));
    assert_eq!(scene.answer().id, 73);
    assert_eq!(scene.router.requests.len(), 0);
    assert_eq!(scene.router.custody.restarts(), 3);
}

#[test]
fn deaths_of_the_formats_part_count_against_the_request_that_it_worked_for() {
    let config = config(2);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72]);
    scene.says(
        PartKind::Custody,
        Frame::with_payload(Kind::Call, 1, b"call".to_vec()),
    );
    assert_eq!(scene.router.calls.in_hand(), [1]);
    scene.dies(PartKind::Formats);
    assert_eq!(scene.router.calls.in_hand(), [1]);
    scene.dies(PartKind::Formats);
    assert_eq!(scene.failure(), (71, FailureCode::EngineFault));
    assert!(scene.router.calls.is_empty());
    // Custody is told, answers to nobody, and its hand is free again.
    scene.says(PartKind::Custody, reply(1));
    assert_eq!(scene.router.custody_lane.in_hand(), [2]);
    scene.says(PartKind::Custody, reply(2));
    assert_eq!(scene.answer().id, 72);
}

#[test]
fn a_certificate_does_not_wait_for_files_that_take_long_and_a_suspect_is_alone_among_both() {
    let config = config(2);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72, 73, 74]);
    let call = |kind, request| Frame::with_payload(kind, request, b"call".to_vec());
    for request in 1..=3 {
        scene.says(PartKind::Custody, call(Kind::LongCall, request));
    }
    assert_eq!(scene.router.calls.in_hand(), [1, 2]);
    scene.says(PartKind::Custody, call(Kind::Call, 4));
    assert_eq!(scene.router.calls.in_hand(), [1, 2, 4]);
    // Each has one chance left now, and the third was never begun.
    scene.dies(PartKind::Formats);
    assert_eq!(scene.router.calls.in_hand(), [4]);
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 4));
    assert_eq!(scene.router.calls.in_hand(), [1]);
    scene.dies(PartKind::Formats);
    assert_eq!(scene.failure(), (71, FailureCode::EngineFault));
    assert_eq!(scene.router.calls.in_hand(), [2]);
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 2));
    assert_eq!(scene.router.calls.in_hand(), [3]);
}

#[test]
fn the_formats_part_cannot_stay_and_take_no_more_work() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.says(PartKind::Formats, Frame::bare(Kind::GivenBack, 1));
    assert!(scene.part(PartKind::Formats).is_ready());
    scene.says(PartKind::Custody, Frame::bare(Kind::GivenBack, 1));
    assert!(!scene.part(PartKind::Custody).is_ready());
}

#[test]
fn an_answer_for_a_dead_custody_process_does_not_reach_its_successor() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks(&[71]);
    scene.says(
        PartKind::Custody,
        Frame::with_payload(Kind::Call, 1, b"call".to_vec()),
    );
    scene.dies(PartKind::Custody);
    assert!(!scene.router.calls.is_wanted(1));
    scene.says(
        PartKind::Custody,
        Frame::with_payload(Kind::Call, 1, b"call".to_vec()),
    );
    assert_eq!(scene.router.calls.in_hand(), [1, 2]);
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 1));
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 2));
    // One that nobody asked for.
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 9));
    assert!(scene.router.calls.is_empty());
    scene.says(PartKind::Custody, reply(1));
    assert_eq!(scene.answer().id, 71);
}

#[test]
fn what_custody_gives_back_before_it_ends_is_no_suspect() {
    let config = config(1);
    let mut scene = Scene::new(&config);
    scene.asks(&[71]);
    scene.says(PartKind::Custody, Frame::bare(Kind::GivenBack, 1));
    assert!(scene.router.custody_lane.in_hand().is_empty());
    scene.dies(PartKind::Custody);
    assert_eq!(scene.router.custody_lane.in_hand(), [1]);
    scene.says(PartKind::Custody, reply(1));
    assert_eq!(scene.answer().id, 71);
}

#[test]
fn a_caller_that_goes_away_takes_its_requests_with_it() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72, 73, 74, 75]);
    assert_eq!(scene.router.custody_lane.in_hand(), [1, 2, 3, 4]);
    scene.caller.shutdown(std::net::Shutdown::Both).unwrap();
    scene.until(|router| router.requests.len() == 0);
    // Only what custody has begun is still in its hand; the fifth is never handed out.
    for id in 1..=4 {
        scene.says(PartKind::Custody, reply(id));
    }
    assert!(scene.router.custody_lane.in_hand().is_empty());
}

#[test]
fn what_custody_asks_about_a_use_of_the_key_goes_on_though_nobody_waits_for_the_request() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks(&[71, 72, 73]);
    let call = |kind, request| Frame::with_payload(kind, request, b"call".to_vec());
    scene.says(PartKind::Custody, call(Kind::LongCall, 1));
    scene.says(PartKind::Custody, call(Kind::Call, 2));
    scene.caller.shutdown(std::net::Shutdown::Both).unwrap();
    scene.until(|router| router.requests.len() == 0);
    assert!(scene.router.calls.is_wanted(1));
    assert!(!scene.router.calls.is_wanted(2));
    // Asked only after the caller had gone.
    scene.says(PartKind::Custody, call(Kind::LongCall, 3));
    scene.says(PartKind::Custody, call(Kind::Call, 3));
    assert_eq!(scene.router.calls.in_hand(), [1, 2, 3]);
    assert!(scene.router.calls.is_wanted(3));
    // It outlives processes of formats, as often as a request would, and alone at last.
    scene.dies(PartKind::Formats);
    assert_eq!(scene.router.calls.in_hand(), [1, 3]);
    scene.dies(PartKind::Formats);
    assert_eq!(scene.router.calls.in_hand(), [1]);
    scene.dies(PartKind::Formats);
    assert!(!scene.router.calls.is_wanted(1));
    assert_eq!(scene.router.calls.in_hand(), [3]);
    scene.says(PartKind::Formats, Frame::bare(Kind::Return, 3));
    assert!(scene.router.calls.is_empty());
}

impl Scene<'_> {
    /// Asks for reports, which the router takes one by one.
    fn asks_for_reports(&mut self, ids: std::ops::RangeInclusive<u64>) {
        for id in ids {
            write_frame(&mut self.caller, &Frame::bare(Kind::Status, id)).unwrap();
            let asked = self.events.recv_timeout(PATIENCE).unwrap();
            self.router.handle(asked, Instant::now());
        }
    }

    /// The parts say what they say; formats says nothing that is understood.
    fn parts_report(&mut self) {
        let said = Frame::json(Kind::Status, 0, &CustodyReport::silent()).unwrap();
        self.says(PartKind::Custody, said);
        self.says(PartKind::Formats, Frame::bare(Kind::Status, 0));
    }
}

#[test]
fn of_one_connection_few_reports_are_waited_for_and_all_are_answered_with_the_same_one() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene.asks_for_reports(1..=7);
    for id in 5..=7 {
        assert_eq!(scene.failure(), (id, FailureCode::Busy));
    }
    scene.parts_report();
    let answers: Vec<_> = (0..4).map(|_| scene.answer()).collect();
    for (answer, id) in answers.iter().zip(1..) {
        assert_eq!(answer.id, id);
        assert_eq!(answer.payload, answers[0].payload);
    }
    scene.asks_for_reports(8..=8);
    scene.parts_report();
    assert_eq!(scene.answer().id, 8);
}

#[test]
fn for_who_does_not_read_its_reports_no_more_are_made() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    // Each is tens of kilobytes; it is the first caller.
    for id in 1..=10_000 {
        if scene.router.callers.is_behind(1) {
            break;
        }
        scene.asks_for_reports(id..=id);
        scene.parts_report();
    }
    assert!(scene.router.callers.is_behind(1));
    scene.asks_for_reports(10_001..=10_001);
    assert_eq!(scene.router.reports.until(), None, "nobody is asked");
}

/// A supervisor that has nothing to do any more must not turn round and round until somebody restarts it.
#[test]
fn after_a_failure_of_the_module_nobody_waits_for_a_part_that_is_not_started_again() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    scene
        .router
        .module_failed(super::super::module_fault::fault("test", "a test"));
    for kind in [PartKind::Custody, PartKind::Formats] {
        let generation = scene.generation[usize::from(kind == PartKind::Formats)];
        scene
            .router
            .handle(Event::PartGone(kind, generation), Instant::now());
    }
    // Reaped, and the pauses after which they would have been started are over.
    scene.until(|router| router.next_tick(Instant::now()) > Instant::now());
    assert_eq!(scene.router.custody.restarts(), 0);
    assert_eq!(scene.part(PartKind::Custody).pid(), None);
    assert_eq!(scene.part(PartKind::Formats).pid(), None);
}

#[test]
fn only_the_engines_own_user_may_have_records_re_encrypted_to_another_key() {
    let other = rustix::process::geteuid().as_raw() + 1;
    let mut config = config(3);
    config.allowed_uids = vec![other];
    let mut scene = Scene::new(&config);
    let own = scene.caller.try_clone().unwrap();
    let (theirs, caller) = UnixStream::pair().unwrap();
    caller.set_read_timeout(Some(PATIENCE)).unwrap();
    scene
        .router
        .handle(Event::ClientNew(theirs, other), Instant::now());
    scene.caller = caller;
    let ask = |scene: &mut Scene<'_>| {
        let frame = asking(Verb::Reencrypt, 7);
        write_frame(&mut scene.caller, &frame).unwrap();
    };
    write_frame(&mut scene.caller, &Frame::hello()).unwrap();
    let greeting = scene.events.recv_timeout(PATIENCE).unwrap();
    scene.router.handle(greeting, Instant::now());
    assert_eq!(scene.answer().kind, Kind::Hello);

    ask(&mut scene);
    let asked = scene.events.recv_timeout(PATIENCE).unwrap();
    scene.router.handle(asked, Instant::now());
    assert_eq!(scene.failure(), (7, FailureCode::BadRequest));
    assert_eq!(scene.router.requests.len(), 0);
    // What connectors ask for is taken from that user as before.
    scene.asks(&[8]);

    // The other stays connected: what a caller asked for goes with it.
    let _other = std::mem::replace(&mut scene.caller, own);
    ask(&mut scene);
    scene.until(|router| router.requests.len() == 2);
}

#[test]
fn who_asks_is_the_kernels_word_whatever_the_frame_says() {
    let config = config(3);
    let mut scene = Scene::new(&config);
    let mut frame = asking(Verb::Recrypt, 71);
    frame.caller = Caller {
        uid: Some(64_123),
        certificate: Some([9; 32]),
    };
    write_frame(&mut scene.caller, &frame).unwrap();
    scene.until(|router| router.requests.len() == 1);
    let asker = scene.router.requests.get(1).unwrap().asker;
    assert_eq!(asker.uid, Some(rustix::process::geteuid().as_raw()));
    assert_eq!(asker.certificate, Some([9; 32]));
}

#[test]
fn of_all_verbs_a_connector_gets_those_of_the_rule_through_and_the_engines_user_too() {
    let other = rustix::process::geteuid().as_raw() + 1;
    let mut config = config(3);
    config.allowed_uids = vec![other];
    for (uid, who) in [
        (other, CallerKind::Connector),
        (other - 1, CallerKind::EngineUser),
    ] {
        for verb in Verb::ALL.iter().copied() {
            let mut scene = Scene::new(&config);
            let (theirs, caller) = UnixStream::pair().unwrap();
            caller.set_read_timeout(Some(PATIENCE)).unwrap();
            scene
                .router
                .handle(Event::ClientNew(theirs, uid), Instant::now());
            let _first = std::mem::replace(&mut scene.caller, caller);
            for frame in [Frame::hello(), asking(verb, 7)] {
                write_frame(&mut scene.caller, &frame).unwrap();
                let event = scene.events.recv_timeout(PATIENCE).unwrap();
                scene.router.handle(event, Instant::now());
            }
            assert_eq!(scene.answer().kind, Kind::Hello);
            if verb.rule().admits(who) {
                assert_eq!(scene.router.requests.len(), 1, "{verb} {who:?}");
            } else {
                assert_eq!(scene.failure(), (7, FailureCode::BadRequest), "{verb}");
                assert_eq!(scene.router.requests.len(), 0, "{verb} {who:?}");
            }
        }
    }
}
