//! The log as it is written: durable before it is said to be, chained, sealed, over several files and starts.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use audit::event::Event;
use audit::storage::{Folder, Storage};
use audit::{
    AuditKey, Entry, Fold, Hash, Log, OpenError, Options, ReceiptError, Receipts, Signed, Signer,
    SignerError, Trouble,
};
use serde_json::Value;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::{check, expecting, key_use, module, open, opened, soon, write};

#[test]
fn what_was_waited_for_is_in_the_file_and_chained() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let receipts = open(folder.path(), &key, Options::default());
    let written = receipts.record(key_use(1)).wait(soon()).unwrap();
    let text = fs::read_to_string(folder.path().join("00000001.receipts")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(Hash::of(lines[1].as_bytes()), written.hash);
    let first = Entry::from_line(lines[0]).unwrap();
    let second = Entry::from_line(lines[1]).unwrap();
    assert_eq!((first.seq, first.prev), (1, Hash::NONE));
    assert_eq!(
        (second.seq, second.prev),
        (2, Hash::of(lines[0].as_bytes()))
    );
    assert_eq!((written.seq, second.event), (2, key_use(1)));
    assert!(receipts.close("done", soon()));
    assert_eq!(
        receipts.record(key_use(2)).wait(soon()),
        Err(ReceiptError::Closed)
    );
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    // Everything is under the last seal.
    assert_eq!(report.unsealed, 0, "{report:?}");
}

#[test]
fn since_when_a_log_is_there_is_the_time_of_its_first_entry() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let begins = || {
        let receipts = open(folder.path(), &key, Options::default());
        receipts.record(key_use(1)).wait(soon()).unwrap();
        let begins = receipts.status().begins;
        assert!(receipts.close("done", soon()));
        begins
    };
    let (first, again) = (begins(), begins());
    let text = fs::read_to_string(folder.path().join("00000001.receipts")).unwrap();
    let entry = Entry::from_line(text.lines().next().unwrap()).unwrap();
    assert_eq!((first, again), (Some(entry.time), Some(entry.time)));
}

#[test]
fn an_entry_does_not_wait_for_uses_that_never_end() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let receipts = open(folder.path(), &key, Options::default());
    let under_way: Vec<_> = (0..100).map(|_| receipts.expect()).collect();
    receipts.record(key_use(1)).wait(soon()).unwrap();
    drop(under_way);
    receipts.record(key_use(2)).wait(soon()).unwrap();
    let _never_ends = receipts.expect();
    assert!(receipts.close("done", soon()));
}

#[test]
fn many_who_wait_share_one_write_and_each_gets_its_own_entry() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let receipts = open(folder.path(), &key, Options::default());
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let receipts = receipts.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    receipts
                        .record(key_use(thread * 1000 + number))
                        .wait(soon())
                        .unwrap();
                }
            });
        }
    });
    assert!(receipts.close("done", soon()));
    let status = receipts.status();
    assert!(status.commits < status.entries, "{status:?}");
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.events["keyUse"], 800);
    assert!(report.seals >= 3, "one for each 256 entries: {report:?}");
}

#[test]
fn a_full_file_is_followed_by_another_and_a_start_goes_on_with_the_newest() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let small = || Options {
        max_file_bytes: 4096,
        ..Options::default()
    };
    write(folder.path(), &key, small(), 0..40);
    write(folder.path(), &key, small(), 40..60);
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    assert!(report.files > 5, "{report:?}");
    assert_eq!(
        (
            report.events["keyUse"],
            report.events["opened"],
            report.events["closed"]
        ),
        (60, 2, 2)
    );

    // A later file alone is verified when it is said that the others are elsewhere.
    let last = report.files;
    for number in 1..last {
        fs::remove_file(folder.path().join(audit::files::name(number))).unwrap();
    }
    assert!(!check(folder.path(), &expecting(&key)).is_sound());
    let mut expected = expecting(&key);
    expected.first_file = Some(last);
    let report = check(folder.path(), &expected);
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn an_unfinished_write_is_cut_off_and_told_and_nothing_before_it_is_lost() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    write(folder.path(), &key, Options::default(), 0..5);
    let path = folder.path().join("00000001.receipts");
    let whole = fs::read(&path).unwrap();
    for torn in [
        b"{\"v\":1,\"seq\":99,\"ti".as_slice(),
        b"\0\0\0\0\0\0\0\0",
        b"\0\0\0\n{\"v\":1}\n\xff\xff",
    ] {
        fs::write(&path, [&whole[..], torn].concat()).unwrap();
        write(folder.path(), &key, Options::default(), 5..6);
        let report = check(folder.path(), &expecting(&key));
        assert!(report.is_sound(), "{:?}", report.findings);
        assert_eq!(
            (report.events["keyUse"], report.events["recovered"]),
            (6, 1)
        );
        let text = fs::read_to_string(&path).unwrap();
        let recovered = text
            .lines()
            .filter_map(|line| match Entry::from_line(line).unwrap().event {
                Event::Recovered(recovered) => Some(recovered),
                _ => None,
            })
            .next()
            .unwrap();
        assert_eq!(recovered.cut_bytes, torn.len() as u64);
        assert_eq!(recovered.cut, Some(Hash::of(torn)));
    }
}

#[test]
fn a_changed_line_deep_in_the_file_is_no_unfinished_write() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    write(folder.path(), &key, Options::default(), 0..3);
    let path = folder.path().join("00000001.receipts");
    let mut text = fs::read_to_string(&path).unwrap();
    text = text.replace("request-1", "request-X");
    // More than one write behind it.
    let filler = format!("{}\n", "x".repeat(1023)).repeat(6 * 1024);
    fs::write(&path, format!("{text}{filler}")).unwrap();
    let storage = Arc::new(Folder::open(folder.path()).unwrap());
    let error = Log::open(storage, Options::default()).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn only_one_writes_a_log() {
    module();
    let folder = support::folder();
    let first = Folder::open(folder.path()).unwrap();
    let second = Folder::open(folder.path()).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
    drop(first);
    Folder::open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_others_may_read_is_refused_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    module();
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("log");
    let key = Arc::new(AuditKey::generate().unwrap());
    write(&folder, &key, Options::default(), 0..1);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("00000001.receipts")), 0o600);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    let error = Folder::open(&folder).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    // A link to it is not followed either.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let link = parent.path().join("link");
    symlink(&folder, &link).unwrap();
    let error = Folder::open(&link).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    Folder::for_reading(&link).unwrap();
}

#[test]
fn a_log_goes_on_in_no_file_that_others_may_use_and_through_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    write(folder.path(), &key, Options::default(), 0..1);
    let file = folder.path().join("00000001.receipts");
    let refusal = || {
        let storage = Arc::new(Folder::open(folder.path()).unwrap());
        Log::open(storage, Options::default())
            .err()
            .unwrap()
            .to_string()
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
    let refused = refusal();
    assert!(
        refused.contains("00000001.receipts: its mode 0660"),
        "{refused}"
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    let refused = refusal();
    assert!(refused.contains("symbolic link"), "{refused}");
    // An auditor reads what there is.
    assert!(check(folder.path(), &expecting(&key)).is_sound());
}

#[test]
fn seals_are_kept_as_anchors_elsewhere() {
    module();
    let folder = support::folder();
    let elsewhere = tempfile::tempdir().unwrap();
    let key = Arc::new(AuditKey::generate().unwrap());
    let anchors = elsewhere.path().join("anchors");
    let options = || Options {
        anchor_file: Some(anchors.clone()),
        ..Options::default()
    };
    write(folder.path(), &key, options(), 0..3);
    let mut expected = expecting(&key);
    for line in fs::read_to_string(&anchors).unwrap().lines() {
        expected
            .anchors
            .push(audit::Anchor::from_line(line).unwrap());
    }
    let report = check(folder.path(), &expected);
    assert!(report.is_sound(), "{:?}", report.findings);
    // The last one is of the last entry before its own seal.
    assert_eq!(report.anchored_upto + 1, report.last_seq);
}

/// An audit key that signs when it is let.
struct Hanging {
    key: Arc<AuditKey>,
    let_go: Mutex<mpsc::Receiver<()>>,
}

impl Signer for Hanging {
    fn sign(&self, message: &[u8]) -> Result<Signed, SignerError> {
        // Nobody holds it any more: it answers.
        let _ = self.let_go.lock().unwrap().recv();
        self.key.sign(message)
    }
}

#[test]
fn a_log_whose_audit_key_hangs_goes_on_and_says_that_it_is_not_sealed() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let (holds, let_go) = mpsc::channel();
    let options = Options {
        seal_after: Duration::from_millis(1),
        ..Options::default()
    };
    let receipts = Log::open(Arc::new(Folder::open(folder.path()).unwrap()), options)
        .unwrap()
        .start(Arc::new(Hanging {
            key: Arc::clone(&key),
            let_go: Mutex::new(let_go),
        }))
        .unwrap();
    receipts.record(key_use(1)).wait(soon()).unwrap();
    let wait_for = |troubles: &[Trouble]| {
        while receipts.status().troubles() != troubles {
            receipts.record(key_use(2)).wait(soon()).unwrap();
        }
    };
    wait_for(&[Trouble::Unsealed]);
    let told = receipts.status();
    assert_eq!(told.problem, None, "entries are written");
    assert_eq!(told.sealed_upto, 0);
    assert!(told.seal_waited_ms > 0);
    drop(holds);
    wait_for(&[]);
    assert!(receipts.close("done", soon()));
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
}

/// Counts uses, and says what it counted in each file's first line.
#[derive(Default)]
struct Count(u64);

impl Fold for Count {
    fn apply(&mut self, entry: &Entry) {
        self.0 += u64::from(matches!(entry.event, Event::KeyUse(_)));
    }

    fn snapshot(&self) -> Value {
        self.0.into()
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), String> {
        self.0 = snapshot.as_u64().ok_or("not a number")?;
        Ok(())
    }
}

#[test]
fn what_follows_from_the_log_is_there_again_after_a_start_that_reads_one_file() {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let count = Arc::new(Mutex::new(Count::default()));
    let options = |count: &Arc<Mutex<Count>>| {
        Options {
            max_file_bytes: 4096,
            ..Options::default()
        }
        .with_fold("count", Arc::clone(count))
    };
    write(folder.path(), &key, options(&count), 0..30);
    assert_eq!(count.lock().unwrap().0, 30);
    let again = Arc::new(Mutex::new(Count::default()));
    let storage = Arc::new(Folder::open(folder.path()).unwrap());
    let log = Log::open(storage, options(&again)).unwrap();
    assert_eq!(again.lock().unwrap().0, 30);
    assert_eq!(log.opened().unwrap().program, "0.1.0");
}

/// A disk that is full when it is told to be.
struct Disk {
    folder: Folder,
    /// Bytes that still go in.
    room: AtomicU64,
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }
    fn read(&self, name: &str) -> io::Result<Box<dyn io::Read + '_>> {
        self.folder.read(name)
    }
    fn create(&self, name: &str) -> io::Result<()> {
        self.folder.create(name)
    }
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let room = self.room.load(Ordering::SeqCst);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.folder.append(name, &bytes[..fits])?;
        // Unless the test has said something else meanwhile.
        let _ = self.room.compare_exchange(
            room,
            room - fits as u64,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.folder.truncate(name, len)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        self.folder.sync(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_names()
    }
}

/// A log on a disk with so much room that is tried again at once, its folder and its key.
fn on_a_disk(room: u64) -> (tempfile::TempDir, Arc<AuditKey>, Arc<Disk>, Receipts) {
    module();
    let folder = support::folder();
    let key = Arc::new(AuditKey::generate().unwrap());
    let disk = Arc::new(Disk {
        folder: Folder::open(folder.path()).unwrap(),
        room: AtomicU64::new(room),
    });
    let options = Options {
        retry_pause: Duration::from_millis(1),
        ..Options::default()
    };
    let receipts = Log::open(Arc::clone(&disk) as Arc<dyn Storage>, options)
        .unwrap()
        .start(Arc::clone(&key) as Arc<dyn Signer>)
        .unwrap();
    (folder, key, disk, receipts)
}

impl Disk {
    /// As much room as one likes, and waits until the log has found that.
    fn has_room_again(&self, receipts: &Receipts) {
        self.room.store(u64::MAX, Ordering::SeqCst);
        while receipts.check().is_err() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_full_disk_is_told_at_once_and_what_could_not_be_written_is_when_there_is_room() {
    let (folder, key, disk, receipts) = on_a_disk(u64::MAX);
    receipts.record(opened()).wait(soon()).unwrap();
    receipts.record(key_use(1)).wait(soon()).unwrap();
    disk.room.store(100, Ordering::SeqCst);
    let error = receipts.record(key_use(2)).wait(soon()).unwrap_err();
    assert!(matches!(error, ReceiptError::Broken(_)), "{error}");
    assert!(matches!(receipts.check(), Err(ReceiptError::Broken(_))));
    assert!(receipts.record(key_use(3)).wait(soon()).is_err());
    disk.has_room_again(&receipts);
    receipts.record(key_use(4)).wait(soon()).unwrap();
    assert!(receipts.close("done", soon()));
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.events["keyUse"], 4, "nothing is lost: {report:?}");
    assert_eq!(report.events["recovered"], 1);
}

#[test]
fn a_log_that_cannot_be_begun_says_so_and_begins_when_there_is_room() {
    let (folder, key, disk, receipts) = on_a_disk(0);
    assert!(receipts.check().is_err());
    assert!(receipts.record(opened()).wait(soon()).is_err());
    disk.has_room_again(&receipts);
    receipts.record(key_use(1)).wait(soon()).unwrap();
    assert!(receipts.close("done", soon()));
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.events["opened"], report.events["keyUse"]), (1, 1));
}

#[test]
fn a_file_that_was_begun_late_and_could_not_be_gone_on_with_is_cut_and_no_other_is_begun() {
    let (folder, key, disk, receipts) = on_a_disk(0);
    assert!(receipts.record(opened()).wait(soon()).is_err());
    // Room for the first line of the file, and for a part of what was kept.
    disk.room.store(600, Ordering::SeqCst);
    while disk.room.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
    disk.has_room_again(&receipts);
    receipts.record(key_use(1)).wait(soon()).unwrap();
    assert!(receipts.close("done", soon()));
    let report = check(folder.path(), &expecting(&key));
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.files, 1);
    assert_eq!((report.events["opened"], report.events["keyUse"]), (1, 1));
}

#[test]
fn a_log_that_was_changed_under_the_writer_is_not_written_on() {
    let (folder, _key, disk, receipts) = on_a_disk(u64::MAX);
    receipts.record(key_use(1)).wait(soon()).unwrap();
    disk.room.store(0, Ordering::SeqCst);
    let path = folder.path().join("00000001.receipts");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(receipts.record(key_use(2)).wait(soon()).is_err());
    disk.room.store(u64::MAX, Ordering::SeqCst);
    loop {
        match receipts.check() {
            Err(ReceiptError::Broken(why)) if why.contains("changed by somebody else") => break,
            Err(_) => std::thread::yield_now(),
            Ok(()) => panic!("it went on"),
        }
    }
}
