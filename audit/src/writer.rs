//! The one thread that writes: lines, hashes, and one fdatasync for all who wait.
//!
//! ```text
//!   recording --- a write fails ---> broken: everybody is told at once, entries are kept
//!       ^                              |  every retry_pause: cut off what is not durable, look at the rest,
//!       '------------ it worked -------'  write `recovered` and what was kept
//! ```

mod tail;

use crate::boot;
use crate::chain::Chain;
use crate::entry::{Entry, FORMAT_VERSION, MAX_LINE_BYTES};
use crate::event::{Begin, Closed, Event, Opened, Recovered};
use crate::files;
use crate::opening::{Found, MAX_BATCH_BYTES, Torn};
use crate::queue::{Pending, Shared};
use crate::receipts::{Options, ReceiptError, Written};
use crate::seal::{MAX_SEAL_DISTANCE, Statement};
use crate::sealer::Sealer;
use crate::storage::Storage;
use crate::text::Timestamp;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that are kept while the log cannot be written. The key is not used meanwhile: these are the ones that were under way.
const MAX_KEPT: usize = 8192;
/// How long the end waits for the last seal.
const LAST_SEAL: Duration = Duration::from_secs(5);

pub(crate) struct Writer {
    storage: Arc<dyn Storage>,
    options: Options,
    shared: Arc<Shared>,
    sealer: Arc<Sealer>,
    boot: String,
    /// After the last durable line.
    chain: Chain,
    /// The file that is written; empty before the first.
    name: String,
    /// Durable bytes of it.
    len: u64,
    begin_len: u64,
    opened: Option<Opened>,
    trouble: Option<Trouble>,
    kept: VecDeque<Pending>,
    /// Entries after the last one that a seal was asked for, and since when there are some.
    unsealed: u64,
    unsealed_since: Option<Instant>,
    seal_now: bool,
}

/// Why nothing can be written, and what has to be done first when it can.
struct Trouble {
    why: String,
    again_at: Instant,
    /// Something may stand behind the durable bytes.
    cut: bool,
    /// The next file may or may not have its name.
    rotation: bool,
    /// It is told in the log.
    told: bool,
}

impl Writer {
    /// Brings the log into order, if that is possible at once, and starts the thread.
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        options: Options,
        found: Found,
        shared: Arc<Shared>,
        sealer: Arc<Sealer>,
    ) -> io::Result<()> {
        let mut writer = Self {
            storage,
            options,
            shared,
            sealer,
            boot: boot::id()?,
            name: if found.chain.file == 0 {
                String::new()
            } else {
                files::name(found.chain.file)
            },
            unsealed: found.unsealed,
            unsealed_since: None,
            seal_now: true,
            chain: found.chain,
            len: found.len,
            begin_len: found.begin_len,
            opened: found.opened,
            trouble: Some(Trouble {
                why: "an unfinished write at its end, from a crash".to_owned(),
                again_at: Instant::now(),
                cut: found.torn.is_some(),
                rotation: false,
                told: found.torn.is_none(),
            }),
            kept: VecDeque::new(),
        };
        if writer.chain.log.is_none() {
            writer.chain.log = Some(boot::random()?);
        }
        writer.try_again();
        std::thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || {
                // Dropped after the writer, which has then let go of the folder.
                let _ended = Ended {
                    shared: Arc::clone(&writer.shared),
                    sealer: Arc::clone(&writer.sealer),
                };
                writer.run();
            })
            .map(drop)
    }

    fn run(mut self) {
        loop {
            let taken = self.shared.take(self.wake_at());
            if self
                .trouble
                .as_ref()
                .is_some_and(|trouble| trouble.again_at <= Instant::now())
            {
                self.try_again();
            }
            self.write(taken.batch);
            self.ask_for_seal(false);
            if let Some(why) = taken.closing {
                self.finish(why);
                return;
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        match &self.trouble {
            Some(trouble) => Some(trouble.again_at),
            None => self
                .unsealed_since
                .and_then(|since| since.checked_add(self.options.seal_after)),
        }
    }

    fn finish(&mut self, why: String) {
        // No file is begun behind the last seal.
        self.options.max_file_bytes = u64::MAX;
        let rest = self.shared.take_last(Instant::now());
        self.write(rest);
        let closed = Event::Closed(Closed { why });
        self.write(vec![Pending::without_ticket(closed, Timestamp::now())]);
        self.seal_now = true;
        self.ask_for_seal(true);
        let Some(until) = Instant::now().checked_add(LAST_SEAL) else {
            return;
        };
        let last = self.chain.seq;
        while self.trouble.is_none() && self.shared.status().sealed_upto < last {
            let batch = self.shared.take_last(until);
            if batch.is_empty() {
                break;
            }
            self.write(batch);
        }
    }

    /// Writes all of it, or tells everybody that it cannot be.
    fn write(&mut self, batch: Vec<Pending>) {
        let mut batch = VecDeque::from(batch);
        let all = batch.len();
        let oldest = self.chain.seq.saturating_sub(MAX_SEAL_DISTANCE);
        batch.retain(|pending| !matches!(&pending.event, Event::Seal(seal) if seal.upto < oldest));
        // One that took so long is made anew.
        self.seal_now |= batch.len() < all;
        self.unsealed = self.unsealed.max(u64::from(self.seal_now));
        while self.trouble.is_none() && !batch.is_empty() {
            if let Err(error) = self.commit(&mut batch) {
                self.fails(&error, true, false);
            }
            self.rotate_when_full();
        }
        if let Some(trouble) = &self.trouble {
            let error = ReceiptError::Broken(trouble.why.clone());
            for mut pending in batch {
                pending.answer(Err(error.clone()));
                self.keep(pending);
            }
        }
    }

    fn keep(&mut self, pending: Pending) {
        if matches!(pending.event, Event::Seal(_)) {
            return;
        }
        if self.kept.len() < MAX_KEPT {
            self.kept.push_back(pending);
        } else {
            let mut status = self.shared.status();
            status.lost = status.lost.saturating_add(1);
        }
    }

    fn fails(&mut self, error: &io::Error, cut: bool, rotation: bool) {
        let before = self.trouble.take();
        let of_before = |what: fn(&Trouble) -> bool| before.as_ref().is_some_and(what);
        let why = error.to_string();
        self.shared.status().problem = Some(why.clone());
        self.trouble = Some(Trouble {
            why,
            again_at: Instant::now()
                .checked_add(self.options.retry_pause)
                .unwrap_or_else(Instant::now),
            cut: cut || of_before(|trouble| trouble.cut),
            rotation: rotation || of_before(|trouble| trouble.rotation),
            told: false,
        });
    }

    /// One append and one fdatasync for as many entries as go into one write. What is not durable afterwards stays in `batch`.
    fn commit(&mut self, batch: &mut VecDeque<Pending>) -> io::Result<()> {
        let begun = Instant::now();
        let mut chain = self.chain.clone();
        let mut bytes = Vec::new();
        let mut made = Vec::new();
        for pending in batch.iter() {
            if bytes.len() >= MAX_BATCH_BYTES {
                break;
            }
            let entry = self.entry(&chain, pending.time, pending.event.clone());
            let line = line_of(&entry)?;
            chain.advance(&entry, line.as_bytes());
            made.push((
                entry,
                Written {
                    seq: chain.seq,
                    hash: chain.head,
                },
            ));
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        self.storage.append(&self.name, &bytes)?;
        self.storage.sync(&self.name)?;
        self.chain = chain;
        self.len = self.len.saturating_add(to_u64(bytes.len()));
        {
            let mut status = self.shared.status();
            status.seq = self.chain.seq;
            status.head = Some(self.chain.head);
            status.entries = status.entries.saturating_add(to_u64(made.len()));
            status.commits = status.commits.saturating_add(1);
            status.largest_commit = status.largest_commit.max(to_u64(made.len()));
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            status.commit_us = status.commit_us.saturating_add(took);
        }
        for (entry, written) in made {
            self.take_in(&entry);
            if let Some(mut pending) = batch.pop_front() {
                pending.answer(Ok(written));
            }
        }
        Ok(())
    }

    fn entry(&self, chain: &Chain, time: Timestamp, event: Event) -> Entry {
        Entry {
            v: FORMAT_VERSION,
            seq: chain.seq.saturating_add(1),
            time,
            boot: self.boot.clone(),
            prev: chain.head,
            event,
        }
    }

    /// What follows from a durable entry.
    fn take_in(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Seal(seal) => {
                let mut status = self.shared.status();
                status.sealed_upto = status.sealed_upto.max(seal.upto);
                drop(status);
                self.shared.sealed(seal.upto);
            }
            event => {
                if let Event::Opened(opened) = event {
                    self.opened = Some((**opened).clone());
                }
                self.unsealed = self.unsealed.saturating_add(1);
                self.unsealed_since.get_or_insert_with(Instant::now);
            }
        }
        for (_, fold) in &mut self.options.folds {
            fold.apply(entry);
        }
    }

    fn ask_for_seal(&mut self, is_last: bool) {
        let is_old = self
            .unsealed_since
            .is_some_and(|since| since.elapsed() >= self.options.seal_after);
        let is_due = self.seal_now || is_old || self.unsealed >= self.options.seal_entries;
        let Some(log) = self.chain.log.clone() else {
            return;
        };
        if self.trouble.is_some() || self.unsealed == 0 || !is_due {
            return;
        }
        self.shared.seal_asked(self.chain.seq);
        self.sealer.ask(
            Statement {
                log,
                upto: self.chain.seq,
                head: self.chain.head,
                time: Timestamp::now(),
                boot: self.boot.clone(),
            },
            is_last,
        );
        self.unsealed = 0;
        self.unsealed_since = None;
        self.seal_now = false;
    }

    fn rotate_when_full(&mut self) {
        if self.trouble.is_some()
            || self.len.saturating_sub(self.begin_len) < self.options.max_file_bytes
        {
            return;
        }
        let problem = match self.new_file() {
            Ok(()) => None,
            // The old file is still the newest: it grows on.
            Err(NewFileError::Unborn(error)) => Some(error.to_string()),
            Err(NewFileError::Unknown(error)) => {
                self.fails(&error, false, true);
                Some(error.to_string())
            }
        };
        self.shared.status().rotation_problem = problem;
    }

    /// Begins the next file: its first line is durable before it has its name.
    fn new_file(&mut self) -> Result<(), NewFileError> {
        let number = self.chain.file.saturating_add(1);
        let state = self
            .options
            .folds
            .iter()
            .map(|(name, fold)| ((*name).to_owned(), fold.snapshot()))
            .collect();
        let begin = Event::Begin(Box::new(Begin {
            log: self.chain.log.clone().unwrap_or_default(),
            file: number,
            opened: self.opened.clone(),
            state,
        }));
        let entry = self.entry(&self.chain, Timestamp::now(), begin);
        let line = line_of(&entry).map_err(NewFileError::Unborn)?;
        let (unborn, name) = (files::unborn(number), files::name(number));
        let storage = &self.storage;
        storage
            .create(&unborn)
            .and_then(|()| storage.append(&unborn, format!("{line}\n").as_bytes()))
            .and_then(|()| storage.sync(&unborn))
            .map_err(NewFileError::Unborn)?;
        storage
            .rename(&unborn, &name)
            .and_then(|()| storage.sync_names())
            .map_err(NewFileError::Unknown)?;
        self.chain.advance(&entry, line.as_bytes());
        self.len = to_u64(line.len()).saturating_add(1);
        self.begin_len = self.len;
        self.name = name;
        self.seal_now = true;
        {
            let mut status = self.shared.status();
            status.rotation_problem = None;
            if number == 1 {
                // What a later start reads.
                status.begins = Some(entry.time);
            }
        }
        self.tell_place();
        self.take_in(&entry);
        Ok(())
    }

    fn tell_place(&self) {
        let mut status = self.shared.status();
        status.log = self.chain.log.clone().unwrap_or_default();
        status.file.clone_from(&self.name);
        status.seq = self.chain.seq;
        status.head = Some(self.chain.head);
    }

    /// Tries to get out of trouble, and writes what was kept.
    fn try_again(&mut self) {
        let Some(mut trouble) = self.trouble.take() else {
            return;
        };
        let file = self.chain.file;
        match self.repair(&trouble) {
            Ok(()) => {
                self.shared.status().problem = None;
                self.tell_place();
            }
            Err(error) => {
                // A file that the attempt has begun has its name: the next one cuts off what this one left in it, and begins no other.
                trouble.rotation &= self.chain.file == file;
                // What the attempt itself has left behind is known already.
                let (cut, rotation) = self
                    .trouble
                    .as_ref()
                    .map_or((false, self.chain.file == 0), |of_attempt| {
                        (of_attempt.cut, of_attempt.rotation)
                    });
                self.trouble = Some(trouble);
                self.fails(&error, cut, rotation);
            }
        }
    }

    fn repair(&mut self, trouble: &Trouble) -> io::Result<()> {
        let mut torn = None;
        if self.chain.file == 0 || trouble.rotation {
            self.new_file()
                .map_err(|(NewFileError::Unborn(error) | NewFileError::Unknown(error))| error)?;
        } else {
            // Who was killed may have given this file its name and not made that durable: nothing is promised in a file that a power
            // cut could take away.
            self.storage.sync_names()?;
            if trouble.cut {
                torn = self.cut()?;
            }
        }
        let mut batch: VecDeque<Pending> = VecDeque::new();
        if !trouble.told || torn.is_some() {
            let event = recovered(trouble, torn, self.kept.len());
            batch.push_back(Pending::without_ticket(event, Timestamp::now()));
        }
        batch.extend(self.kept.drain(..));
        while !batch.is_empty() {
            if let Err(error) = self.commit(&mut batch) {
                // Not the entry that would have told of this repair.
                batch.retain(|pending| !matches!(pending.event, Event::Recovered(_)));
                self.kept = batch;
                // Whatever the reason was before: now there may be something behind the durable bytes.
                self.fails(&error, true, false);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Cuts off what is behind the durable bytes, and sees that these are what was written.
    fn cut(&self) -> io::Result<Option<Torn>> {
        let torn = tail::check(&*self.storage, &self.name, self.len, self.chain.head)?;
        if torn.is_some() {
            self.storage.truncate(&self.name, self.len)?;
            self.storage.sync(&self.name)?;
        }
        Ok(torn)
    }
}

/// Tells everybody that nothing will be written any more.
struct Ended {
    shared: Arc<Shared>,
    sealer: Arc<Sealer>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.sealer.end();
        self.shared.writer_ended();
    }
}

/// Why the next file is not there.
enum NewFileError {
    /// It has no name yet: nothing is changed.
    Unborn(io::Error),
    /// It may have its name.
    Unknown(io::Error),
}

fn recovered(trouble: &Trouble, torn: Option<Torn>, late: usize) -> Event {
    Event::Recovered(Recovered {
        why: trouble.why.clone(),
        cut_bytes: torn.map_or(0, |torn| torn.bytes),
        cut: torn.map(|torn| torn.hash),
        late: to_u64(late),
    })
}

fn line_of(entry: &Entry) -> io::Result<String> {
    let line = entry.to_line().map_err(io::Error::other)?;
    if line.len() > MAX_LINE_BYTES {
        return Err(io::Error::other(format!(
            "an entry is longer than {MAX_LINE_BYTES} bytes"
        )));
    }
    Ok(line)
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
