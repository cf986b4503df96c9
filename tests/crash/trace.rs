//! What a process did to the files of one folder, read from the output of strace.
//!
//! Everything that could change a file is traced, and what this reader does not understand is an error: a recording that left out
//! a write would prove nothing. After each recording what it says is compared with the folder itself ([`super::record`]).

use crate::power::{FileId, Files, Op};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls that strace is to show. A question mark: not on every machine.
pub(crate) const CALLS: &str = "openat,?open,?creat,close,dup,?dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,?pwritev2,ftruncate,truncate,\
fallocate,fsync,fdatasync,?sync_file_range,?unlink,unlinkat,?rename,?renameat,renameat2,?link,linkat,copy_file_range,sendfile,mmap";

/// What a descriptor stands for.
#[derive(Clone)]
enum Open {
    File {
        file: FileId,
        position: usize,
        append: bool,
    },
    Folder(String),
    /// SQLite's index of the write-ahead log: shared memory, made anew by whoever comes first. No content that lasts.
    SharedMemory,
    /// The file that takes the marks.
    Marks,
}

/// Reads one process after the other.
pub(crate) struct Reader {
    folder: PathBuf,
    marks: PathBuf,
    pub(crate) ops: Vec<Op>,
    names: HashMap<String, FileId>,
    files: FileId,
    open: HashMap<i64, Open>,
    lengths: HashMap<FileId, usize>,
}

impl Reader {
    /// Of a folder (as the kernel knows it: no links in its path) that holds `start`.
    pub(crate) fn new(folder: &Path, marks: &Path, start: &Files) -> Self {
        Self {
            folder: folder.to_owned(),
            marks: marks.to_owned(),
            ops: Vec::new(),
            names: start.keys().cloned().zip(0..).collect(),
            files: start.len(),
            open: HashMap::new(),
            lengths: start.values().map(Vec::len).enumerate().collect(),
        }
    }

    /// Reads what one process did.
    pub(crate) fn read(&mut self, output: &str) {
        self.open.clear();
        // A call that another thread interrupted stands in two parts.
        let mut begun: HashMap<&str, (String, usize)> = HashMap::new();
        for line in output.lines() {
            let (thread, rest) = line
                .split_once(' ')
                .unwrap_or_else(|| panic!("no line of strace: {line}"));
            let rest = rest.trim_start();
            if rest.starts_with("+++") || rest.starts_with("---") {
                continue;
            }
            if let Some(first) = rest.strip_suffix("<unfinished ...>") {
                begun.insert(thread, (first.trim_end().to_owned(), self.ops.len()));
            } else if let Some(rest) = rest.strip_prefix("<... ") {
                let (_, second) = rest.split_once(" resumed>").expect("a resumed call");
                let (first, since) = begun.remove(thread).expect("its first part");
                // A comma may stand at the end of the first part.
                self.call(&format!("{first} {}", second.trim_start()), since);
            } else {
                self.call(rest, self.ops.len());
            }
        }
    }

    fn call(&mut self, text: &str, since: usize) {
        let Some((call, result)) = text.rsplit_once(" = ") else {
            panic!("no call of strace: {text}");
        };
        let (name, arguments) = call
            .trim_end()
            .strip_suffix(')')
            .and_then(|call| call.split_once('('))
            .unwrap_or_else(|| panic!("no call of strace: {text}"));
        let result = result.split(' ').next().unwrap_or_default();
        // Failed, or cut off by the end of the process.
        let Ok(result) = parse(result) else {
            assert_eq!(result, "?", "{text}");
            return;
        };
        if result < 0 {
            return;
        }
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        match name {
            "openat" => self.opened(arguments[0], &bytes(arguments[1]), arguments[2], result),
            "open" => self.opened("AT_FDCWD", &bytes(arguments[0]), arguments[1], result),
            "close" => {
                self.open.remove(&number(arguments[0]));
            }
            "dup" | "dup2" | "dup3" => self.copied(number(arguments[0]), result),
            "fcntl" if arguments[1].starts_with("F_DUPFD") => {
                self.copied(number(arguments[0]), result);
            }
            "fcntl" => {}
            "unlink" => self.removed(&bytes(arguments[0])),
            "unlinkat" => self.removed(&at(arguments[0], arguments[1])),
            "rename" => self.renamed(&bytes(arguments[0]), &bytes(arguments[1])),
            "renameat" | "renameat2" => {
                self.renamed(
                    &at(arguments[0], arguments[1]),
                    &at(arguments[2], arguments[3]),
                );
            }
            "link" => self.linked(&bytes(arguments[0]), &bytes(arguments[1])),
            "linkat" => self.linked(
                &at(arguments[0], arguments[1]),
                &at(arguments[2], arguments[3]),
            ),
            "mmap" => {
                let writes = arguments[2].contains("PROT_WRITE")
                    && arguments[3].contains("MAP_SHARED")
                    && !arguments[3].contains("MAP_ANONYMOUS");
                let open = writes.then(|| self.open.get(&number(arguments[4])));
                assert!(
                    !matches!(open, Some(Some(Open::File { .. }))),
                    "writes through a mapping are not recorded: {text}"
                );
            }
            _ => self.on_descriptor(name, &arguments, result, since, text),
        }
    }

    fn on_descriptor(
        &mut self,
        name: &str,
        arguments: &[&str],
        result: i64,
        since: usize,
        text: &str,
    ) {
        let descriptor = arguments[0].parse().unwrap_or(-1);
        let Some(open) = self.open.get_mut(&descriptor) else {
            assert!(
                name != "truncate" && name != "creat",
                "not understood: {text}"
            );
            return;
        };
        let result = usize::try_from(result).unwrap();
        match (name, open) {
            (_, Open::SharedMemory) => {}
            (
                "write",
                Open::File {
                    file,
                    position,
                    append,
                },
            ) => {
                let file = *file;
                let length = self.lengths.entry(file).or_default();
                let offset = if *append { *length } else { *position };
                *position = offset + result;
                *length = (*length).max(offset + result);
                let mut bytes = bytes(arguments[1]);
                bytes.truncate(result);
                self.ops.push(Op::Write {
                    file,
                    offset,
                    bytes,
                });
            }
            ("pwrite64", Open::File { file, .. }) => {
                let file = *file;
                let offset = usize::try_from(number(arguments[3])).unwrap();
                let length = self.lengths.entry(file).or_default();
                *length = (*length).max(offset + result);
                let mut bytes = bytes(arguments[1]);
                bytes.truncate(result);
                self.ops.push(Op::Write {
                    file,
                    offset,
                    bytes,
                });
            }
            ("lseek", Open::File { position, .. }) => *position = result,
            ("ftruncate", Open::File { file, .. }) => {
                let length = usize::try_from(number(arguments[1])).unwrap();
                self.lengths.insert(*file, length);
                self.ops.push(Op::Truncate {
                    file: *file,
                    length,
                });
            }
            ("fsync" | "fdatasync", Open::File { file, .. }) => {
                let file = *file;
                let overlaps = self.ops[since..].iter().any(|op| match op {
                    Op::Write { file: other, .. } | Op::Truncate { file: other, .. } => {
                        *other == file
                    }
                    _ => false,
                });
                assert!(!overlaps, "whether a sync covers a write is not known");
                self.ops.push(Op::Sync { file });
            }
            ("fsync" | "fdatasync", Open::Folder(folder)) => {
                let folder = folder.clone();
                self.ops.push(Op::SyncFolder { folder });
            }
            ("write", Open::Marks) => {
                let text = String::from_utf8(bytes(arguments[1])).unwrap();
                self.ops.push(Op::Mark(text.trim_end().to_owned()));
            }
            ("lseek", _) => {}
            _ => panic!("not understood: {text}"),
        }
    }

    /// The name of a path inside the folder; the folder itself is the empty name.
    fn name(&self, path: &[u8]) -> Option<String> {
        let path = Path::new(std::str::from_utf8(path).ok()?);
        let inside = path.strip_prefix(&self.folder).ok()?;
        Some(inside.to_str()?.trim_end_matches('/').to_owned())
    }

    fn opened(&mut self, folder: &str, path: &[u8], flags: &str, descriptor: i64) {
        self.open.remove(&descriptor);
        if path == self.marks.as_os_str().as_encoded_bytes() {
            self.open.insert(descriptor, Open::Marks);
            return;
        }
        let Some(name) = self.name(path) else {
            assert!(
                folder == "AT_FDCWD" || path.starts_with(b"/"),
                "a path relative to a folder"
            );
            return;
        };
        let open = if name.ends_with("-shm") {
            Open::SharedMemory
        } else if let Some(file) = self.names.get(&name) {
            let file = *file;
            if flags.contains("O_TRUNC") && self.lengths.insert(file, 0) != Some(0) {
                self.ops.push(Op::Truncate { file, length: 0 });
            }
            let append = flags.contains("O_APPEND");
            Open::File {
                file,
                position: 0,
                append,
            }
        } else if flags.contains("O_CREAT") {
            let file = self.files;
            self.files += 1;
            self.names.insert(name.clone(), file);
            self.ops.push(Op::Create { name, file });
            let append = flags.contains("O_APPEND");
            Open::File {
                file,
                position: 0,
                append,
            }
        } else {
            Open::Folder(name)
        };
        self.open.insert(descriptor, open);
    }

    fn copied(&mut self, from: i64, to: i64) {
        match self.open.get(&from).cloned() {
            Some(open) => {
                // The position would be one for both.
                assert!(
                    !matches!(open, Open::File { position, .. } if position > 0),
                    "a copied descriptor in use"
                );
                self.open.insert(to, open);
            }
            None => {
                self.open.remove(&to);
            }
        }
    }

    fn removed(&mut self, path: &[u8]) {
        if let Some(name) = self.name(path)
            && self.names.remove(&name).is_some()
        {
            self.ops.push(Op::Remove { name });
        }
    }

    fn renamed(&mut self, from: &[u8], to: &[u8]) {
        match (self.name(from), self.name(to)) {
            (Some(from), Some(to)) => {
                let file = self.names.remove(&from).expect("a known file");
                self.names.insert(to.clone(), file);
                self.ops.push(Op::Rename { from, to });
            }
            (None, None) => {}
            _ => panic!("a rename into the folder or out of it"),
        }
    }

    fn linked(&mut self, from: &[u8], to: &[u8]) {
        if let (Some(from), Some(name)) = (self.name(from), self.name(to)) {
            let file = self.names[&from];
            self.names.insert(name.clone(), file);
            self.ops.push(Op::Link { name, file });
        }
    }
}

fn parse(text: &str) -> Result<i64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map(u64::cast_signed),
        None => text.parse(),
    }
}

fn number(text: &str) -> i64 {
    parse(text).unwrap_or_else(|_| panic!("no number: {text}"))
}

/// The path of a call that names a folder's descriptor beside it: only whole ones are used.
fn at(folder: &str, path: &str) -> Vec<u8> {
    let path = bytes(path);
    assert!(
        folder == "AT_FDCWD" || path.starts_with(b"/"),
        "a path relative to a folder"
    );
    path
}

/// A string of strace in hexadecimal digits.
fn bytes(text: &str) -> Vec<u8> {
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_else(|| panic!("no whole string: {}", &text[..text.len().min(80)]));
    inside
        .split("\\x")
        .skip(1)
        .map(|digits| u8::from_str_radix(digits, 16).expect("two digits"))
        .collect()
}
