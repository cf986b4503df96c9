//! Runs the store in a process of its own under strace, and keeps what it did and what it knew.
//!
//! The process is this test program again, with one of the tests named `..._recorded_here`: the store's own code on a real file
//! system. It says before and after each step that it does so (`begin 7`, `end 7`), and after each notes all rows of the database.

use crate::power::{Disk, Files, Op};
use crate::rows::{Rows, rows_of};
use crate::trace::{CALLS, Reader};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was recorded.
pub(crate) struct Recording {
    pub(crate) start: Files,
    pub(crate) ops: Vec<Op>,
    /// The rows after each step.
    pub(crate) rows: Vec<Rows>,
}

/// Where a recorded process has its folders: the store's, and one for what the test wants to know.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

const PLACE: &str = "CRASH_PLACE";
const PHASE: &str = "CRASH_PHASE";

impl Place {
    pub(crate) fn new() -> Self {
        let folder = memory_folder();
        for name in ["store", "side"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store").canonicalize().unwrap()
    }

    fn side(&self) -> PathBuf {
        self.folder.path().join("side").canonicalize().unwrap()
    }

    /// Runs the test `name` for each of its phases, each in a process that goes on where the last one was killed.
    pub(crate) fn record(self, name: &str, phases: u32) -> Recording {
        self.record_with(name, phases, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn record_with(
        self,
        name: &str,
        phases: u32,
        environment: &[(&str, &Path)],
    ) -> Recording {
        let (store, side) = (self.store(), self.side());
        let start = files_in(&store);
        let mut reader = Reader::new(&store, &side.join("marks"), &start);
        for phase in 0..phases {
            let output = side.join(format!("strace-{phase}"));
            let ran = Command::new("strace")
                .args(["-f", "-xx", "-s", "100000000", "-e"])
                .arg(format!("trace={CALLS}"))
                .arg("-o")
                .arg(&output)
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture", "--test-threads=1"])
                .env(PLACE, self.folder.path())
                .env(PHASE, phase.to_string())
                .envs(environment.iter().copied())
                .output()
                .unwrap_or_else(|error| {
                    panic!("this test needs the program `strace` (scripts/bootstrap.sh test installs it): {error}")
                });
            let marks = std::fs::read_to_string(side.join("marks")).unwrap_or_default();
            assert!(
                marks.ends_with(&format!("over {phase}\n")),
                "{name} did not come to the end of phase {phase}; it ended with {}: {}{}",
                ran.status,
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            );
            reader.read(&std::fs::read_to_string(&output).unwrap());
            // What was recorded is all that was done.
            let mut disk = Disk::new(&start, &reader.ops);
            while disk.advance().is_some() {}
            assert!(disk.now() == files_in(&store), "the recording is not whole");
        }
        let rows = (0..)
            .map_while(|step| std::fs::read(side.join(format!("rows-{step}"))).ok())
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .collect();
        Recording {
            start,
            ops: reader.ops,
            rows,
        }
    }
}

/// A folder in memory where there is one: nothing here depends on what a disk does.
pub(crate) fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// For its owner only, as the stores demand it.
pub(crate) fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Everything in a folder and the folders in it, but SQLite's shared memory.
pub(crate) fn files_in(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let inside = files_in(&path).into_iter();
            files.extend(inside.map(|(file, content)| (format!("{name}/{file}"), content)));
        } else if !name.ends_with("-shm") {
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

/// The recorded process's side: its steps. Outside of a recording they are done as well, all phases in one process.
pub(crate) struct Steps {
    store: PathBuf,
    side: PathBuf,
    marks: File,
    database: &'static str,
    next: usize,
    own: Option<Place>,
}

impl Steps {
    /// For the database of this name.
    pub(crate) fn new(database: &'static str, prepare: impl FnOnce(&Path)) -> Self {
        let (root, own) = match std::env::var_os(PLACE) {
            Some(root) => (PathBuf::from(root), None),
            None => {
                let place = Place::new();
                prepare(&place.store());
                (place.folder.path().to_owned(), Some(place))
            }
        };
        let side = root.join("side").canonicalize().unwrap();
        let marks = File::options()
            .create(true)
            .append(true)
            .open(side.join("marks"))
            .unwrap();
        let next = (0..)
            .find(|step| !side.join(format!("rows-{step}")).exists())
            .unwrap();
        Self {
            store: root.join("store").canonicalize().unwrap(),
            side,
            marks,
            database,
            next,
            own,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.store.join(name)
    }

    /// Whether this process does one phase of a recording, at the end of which it is killed.
    pub(crate) fn is_recorded(&self) -> bool {
        self.own.is_none()
    }

    /// Whether this phase is to be done by this process.
    pub(crate) fn is_phase(&self, phase: u32) -> bool {
        !self.is_recorded() || std::env::var(PHASE).unwrap() == phase.to_string()
    }

    /// The end of a phase: in a recording the process is killed with everything open.
    pub(crate) fn killed(&mut self, phase: u32) {
        self.over(phase);
        if self.is_recorded() {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
        }
    }

    /// The end of a phase.
    pub(crate) fn over(&mut self, phase: u32) {
        self.mark(&format!("over {phase}"));
    }

    /// One change that is there as a whole or not at all.
    pub(crate) fn whole<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.step("whole", work)
    }

    /// Several changes, each of which is there or not.
    pub(crate) fn parts<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.step("parts", work)
    }

    fn step<T>(&mut self, kind: &str, work: impl FnOnce() -> T) -> T {
        let step = self.next;
        self.next += 1;
        self.mark(&format!("begin {step} {kind}"));
        let done = work();
        self.mark(&format!("end {step}"));
        let rows = rows_of(&self.store.join(self.database)).unwrap();
        let text = serde_json::to_vec(&rows).unwrap();
        std::fs::write(self.side.join(format!("rows-{step}")), text).unwrap();
        done
    }

    fn mark(&mut self, text: &str) {
        // One call of the kernel for each.
        self.marks
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    }
}
