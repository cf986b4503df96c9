//! A storage in memory that writes down what is done to it.

use crate::power::{FileId, Files, Op};
use audit::storage::Storage;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;

#[derive(Default)]
struct State {
    names: BTreeMap<String, FileId>,
    contents: Vec<Vec<u8>>,
    ops: Vec<Op>,
}

impl State {
    fn repeat(&mut self, op: &Op) {
        match op {
            Op::Create { name, file } => {
                assert_eq!(*file, self.contents.len());
                self.contents.push(Vec::new());
                self.names.insert(name.clone(), *file);
            }
            Op::Write {
                file,
                offset,
                bytes,
            } => {
                assert_eq!(self.contents[*file].len(), *offset, "it only appends");
                self.contents[*file].extend_from_slice(bytes);
            }
            Op::Truncate { file, length } => self.contents[*file].truncate(*length),
            Op::Rename { from, to } => {
                let file = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), file);
            }
            Op::Sync { .. } | Op::SyncFolder { .. } | Op::Mark(_) => {}
            Op::Link { .. } | Op::Remove { .. } => panic!("no operation of a log: {op:?}"),
        }
    }
}

/// What a log is kept in, and the recording of it.
pub(crate) struct Recorder(Mutex<State>);

impl Recorder {
    /// Of what is in the memory of the system after these operations, which a killed process has done: they go on being recorded.
    pub(crate) fn after(start: &Files, ops: Vec<Op>) -> Self {
        let mut state = State {
            names: start.keys().cloned().zip(0..).collect(),
            contents: start.values().cloned().collect(),
            ops: Vec::new(),
        };
        for op in &ops {
            state.repeat(op);
        }
        state.ops = ops;
        Self(Mutex::new(state))
    }

    /// Notes what is known now.
    pub(crate) fn mark(&self, text: String) {
        self.0.lock().unwrap().ops.push(Op::Mark(text));
    }

    pub(crate) fn files(&self) -> Files {
        let state = self.0.lock().unwrap();
        let content = |file: &FileId| state.contents[*file].clone();
        let names = state.names.iter();
        names
            .map(|(name, file)| (name.clone(), content(file)))
            .collect()
    }

    pub(crate) fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().ops.clone()
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(FileId, &mut State) -> T) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(act(file, &mut state))
    }
}

impl Storage for Recorder {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let content = self.with(name, |file, state| state.contents[file].clone())?;
        Ok(Box::new(Cursor::new(content)))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        if self.truncate(name, 0).is_ok() {
            return Ok(());
        }
        let mut state = self.0.lock().unwrap();
        let file = state.contents.len();
        state.contents.push(Vec::new());
        state.names.insert(name.to_owned(), file);
        state.ops.push(Op::Create {
            name: name.to_owned(),
            file,
        });
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(name, |file, state| {
            let offset = state.contents[file].len();
            state.contents[file].extend_from_slice(bytes);
            state.ops.push(Op::Write {
                file,
                offset,
                bytes: bytes.to_vec(),
            });
        })
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let length = usize::try_from(len).unwrap();
        self.with(name, |file, state| {
            state.contents[file].truncate(length);
            state.ops.push(Op::Truncate { file, length });
        })
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.with(name, |file, state| state.ops.push(Op::Sync { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        state.ops.push(Op::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let folder = String::new();
        self.0.lock().unwrap().ops.push(Op::SyncFolder { folder });
        Ok(())
    }
}
