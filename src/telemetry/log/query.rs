//! Reading the logs: archives and files as they were at one moment, filtered.

use super::LogError;
use super::archive::Archive;
use crate::telemetry::catalogue::{EventKind, Log};
use crate::telemetry::event::Event;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Longest line that is read; longer ones are skipped.
const MAX_LINE_BYTES: u64 = 256 * 1024;

/// Which events are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Only of this log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Only with one of these numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u16>,
    /// Only of this category, in any case of letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only of this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only from this moment on, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Only the last so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Filter {
    /// Whether an event is wanted (the limit aside).
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        self.log.is_none_or(|log| event.log == log)
            && (self.ids.is_empty() || self.ids.contains(&event.id))
            && self
                .category
                .as_ref()
                .is_none_or(|category| event.category.eq_ignore_ascii_case(category))
            && self
                .request_id
                .as_ref()
                .is_none_or(|request| event.request_id.as_ref() == Some(request))
            && self.since_ms.is_none_or(|since| {
                crate::clock::parse_rfc3339(&event.time).is_none_or(|time| time >= since)
            })
    }
}

/// A part of the logs, opened.
#[derive(Debug)]
pub(super) enum Part {
    /// An archive.
    Archived(Archive, File),
    /// A file that is being written: this many bytes of it count.
    Current(Log, File, u64),
}

impl Part {
    fn log(&self) -> &str {
        match self {
            Self::Archived(archive, _) => archive.log(),
            Self::Current(log, ..) => file_stem(*log),
        }
    }
}

/// Name of a log's file without its ending.
pub(super) fn file_stem(log: Log) -> &'static str {
    match log {
        Log::Admin => "admin",
        Log::Operational => "operational",
        Log::Debug => "debug",
    }
}

/// The logs as they were at one moment; reading it sees every event up to then and none after.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) parts: Vec<Part>,
}

impl Snapshot {
    /// Calls `take` with every wanted event, oldest first within a log and merged by time over the logs; with a limit the last ones
    /// of them. Stops when `take` returns `false`. Lines that are no events are skipped.
    ///
    /// # Errors
    /// [`LogError::Io`] when a file cannot be read.
    pub fn read(
        self,
        filter: &Filter,
        mut take: impl FnMut(Event) -> bool,
    ) -> Result<(), LogError> {
        let mut sources: Vec<Source> = (0..3)
            .map(|_| Source {
                lines: VecDeque::new(),
                next: None,
            })
            .collect();
        for part in self.parts {
            let Some(index) = [Log::Admin, Log::Operational, Log::Debug]
                .iter()
                .position(|log| file_stem(*log) == part.log())
            else {
                continue;
            };
            let wanted = filter.log.is_none_or(|log| file_stem(log) == part.log());
            if let (true, Some(source)) = (wanted, sources.get_mut(index)) {
                source.lines.push_back(part.lines());
            }
        }
        let mut last: VecDeque<Event> = VecDeque::new();
        loop {
            let mut oldest: Option<(usize, String)> = None;
            for (index, source) in sources.iter_mut().enumerate() {
                let Some(event) = source.peek(filter) else {
                    continue;
                };
                if oldest.as_ref().is_none_or(|(_, time)| event.time < *time) {
                    oldest = Some((index, event.time.clone()));
                }
            }
            let Some(event) = oldest
                .and_then(|(index, _)| sources.get_mut(index))
                .and_then(|source| source.next.take())
            else {
                break;
            };
            match filter.limit {
                Some(limit) => {
                    last.push_back(event);
                    if last.len() > limit {
                        last.pop_front();
                    }
                }
                None => {
                    if !take(event) {
                        return Ok(());
                    }
                }
            }
        }
        for event in last {
            if !take(event) {
                break;
            }
        }
        Ok(())
    }

    /// Which of these requests have their Admin event (1000 or 1001, 2000 or 2001, 3000 or 3001) already. Archives that were closed before `since_ms` are not
    /// opened: a request leased after that cannot be in them.
    ///
    /// # Errors
    /// When a file cannot be read to its end: what was not found may be there then.
    pub fn reported(
        self,
        requests: &HashSet<String>,
        since_ms: i64,
    ) -> std::io::Result<HashSet<String>> {
        let wanted = [
            EventKind::PkcsImportRequestSuccess.id(),
            EventKind::PkcsImportRequestFailure.id(),
            EventKind::PkcsRequestSuccess.id(),
            EventKind::PkcsRequestFailure.id(),
            EventKind::RevokeRequestSuccess.id(),
            EventKind::RevokeRequestFailure.id(),
        ];
        let oldest = super::archive::archived_path(std::path::Path::new(""), "admin", since_ms);
        let oldest = oldest.to_string_lossy().into_owned();
        let mut found = HashSet::new();
        for part in self.parts {
            if part.log() != file_stem(Log::Admin) {
                continue;
            }
            if let Part::Archived(archive, _) = &part
                && archive.stem.as_str() < oldest.trim_end_matches("-0000.log")
            {
                continue;
            }
            let mut lines = part.lines();
            while let Some(event) = lines.next_event()? {
                if let Some(request) = event.request_id
                    && wanted.contains(&event.id)
                    && requests.contains(&request)
                {
                    found.insert(request);
                }
            }
        }
        Ok(found)
    }
}

struct Source {
    lines: VecDeque<Lines>,
    next: Option<Event>,
}

impl Source {
    fn peek(&mut self, filter: &Filter) -> Option<&Event> {
        while self.next.is_none() {
            let lines = self.lines.front_mut()?;
            match lines.next_event() {
                Ok(Some(event)) if filter.wants(&event) => self.next = Some(event),
                Ok(Some(_)) => {}
                // A damaged archive shows what it has.
                Ok(None) | Err(_) => {
                    self.lines.pop_front();
                }
            }
        }
        self.next.as_ref()
    }
}

impl Part {
    fn lines(self) -> Lines {
        let reader: Box<dyn Read + Send> = match self {
            Self::Archived(archive, file) if archive.compressed => {
                Box::new(MultiGzDecoder::new(BufReader::new(file)))
            }
            Self::Archived(_, file) => Box::new(file),
            Self::Current(_, file, length) => Box::new(file.take(length)),
        };
        Lines {
            reader: BufReader::with_capacity(64 * 1024, reader),
        }
    }
}

struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
}

impl Lines {
    fn next_event(&mut self) -> std::io::Result<Option<Event>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            if let Ok(event) = serde_json::from_slice(&line) {
                return Ok(Some(event));
            }
        }
    }
}
