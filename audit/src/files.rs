//! Names of the files of a log: eight digits and `.receipts`.

use crate::storage::Storage;
use std::io;

/// What the name of every file ends in.
pub const EXTENSION: &str = ".receipts";
/// The largest number: eight digits.
const LAST: u64 = 99_999_999;

/// The name of a file by its number, from 1 on.
#[must_use]
pub fn name(number: u64) -> String {
    format!("{number:08}{EXTENSION}")
}

/// A file's name until its first line is durable.
pub(crate) fn unborn(number: u64) -> String {
    format!("{number:08}.new")
}

/// The number in a file's name; `None` where it is none of a log.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(EXTENSION)?;
    let number = digits.parse().ok()?;
    (digits.len() == 8
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=LAST).contains(&number))
    .then_some(number)
}

/// The numbers of the files that are there, the lowest first.
///
/// # Errors
/// Those of the storage.
pub fn numbers(storage: &dyn Storage) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = storage
        .list()?
        .iter()
        .filter_map(|one| number(one))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_exact_form_count() {
        assert_eq!(name(7), "00000007.receipts");
        assert_eq!(number("00000007.receipts"), Some(7));
        for other in [
            "7.receipts",
            "00000000.receipts",
            "+0000007.receipts",
            "00000007.new",
            "000000007.receipts",
            "lock",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
