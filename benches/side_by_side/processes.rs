//! What Linux tells of a process: its memory and its processor time. A process may hide its memory's contents, not these.

use super::Fallible;
use std::fs;
use std::time::Duration;

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Fallible<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("a process without VmRSS")?;
    Ok(kibibytes.parse::<u64>()?.saturating_mul(1024))
}

/// Processor time that the process's living threads have used (schedstat counts nanoseconds; the usual counters 10 ms).
pub(crate) fn processor_time(pid: u32) -> Fallible<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = text.split_whitespace().next().ok_or("schedstat is empty")?;
        total += Duration::from_nanos(nanoseconds.parse()?);
    }
    Ok(total)
}

/// Runnable processes on the machine, averaged over the last minute: who measures on a busy machine should know.
pub(crate) fn load_average() -> Fallible<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text
        .split_whitespace()
        .next()
        .ok_or("loadavg is empty")?
        .parse()?)
}

/// Processes that are watched during a measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    processes: Vec<(String, u32)>,
}

impl Watched {
    pub(crate) fn add(&mut self, name: &str, pid: u32) {
        self.processes.push((name.to_owned(), pid));
    }

    pub(crate) fn memory(&self) -> Fallible<Vec<(String, u64)>> {
        self.processes
            .iter()
            .map(|(name, pid)| Ok((name.clone(), resident_bytes(*pid)?)))
            .collect()
    }

    pub(crate) fn processor(&self) -> Fallible<Vec<(String, Duration)>> {
        self.processes
            .iter()
            .map(|(name, pid)| Ok((name.clone(), processor_time(*pid)?)))
            .collect()
    }
}
