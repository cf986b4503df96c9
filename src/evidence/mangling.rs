//! Which crates the mangled names of Rust speak of, in the older scheme (`_ZN...E`) and in the one of RFC 2603 (`_R...`).

/// The crates that a mangled Rust name speaks of: that of the function, and those of the types in it. Nothing for a
/// name that is not Rust's.
pub(super) fn crates_in(symbol: &str) -> Vec<&str> {
    if let Some(path) = symbol.strip_prefix("_ZN") {
        crates_in_legacy(path)
    } else if symbol.starts_with("_R") {
        crates_in_v0(symbol)
    } else {
        Vec::new()
    }
}

/// `_ZN4core3ptr42drop_in_place$LT$rsa..key..RsaPrivateKey$GT$17h0123456789abcdefE`: the first part is the crate, and in
/// the others a path begins behind a sign that is written `$..$`.
fn crates_in_legacy(path: &str) -> Vec<&str> {
    let mut crates = Vec::new();
    if let Some(first) = identifier(path)
        && !first.contains('$')
    {
        crates.push(first);
    }
    crates.extend(path.split('$').skip(1).filter_map(|piece| {
        let name = piece.split_once("..")?.0;
        is_name(name).then_some(name)
    }));
    crates
}

/// `_RNvMNtCsabc_3rsa3keyNtB2_13RsaPrivateKey3new`: a crate is `C`, a number that tells crates of one name apart (`s..._`),
/// and the name.
fn crates_in_v0(symbol: &str) -> Vec<&str> {
    let mut crates = Vec::new();
    for (at, _) in symbol.match_indices('C') {
        let rest = symbol.get(at + 1..).unwrap_or_default();
        let rest = rest
            .strip_prefix('s')
            .and_then(|rest| rest.split_once('_'))
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .map_or(rest, |(_, rest)| rest);
        crates.extend(identifier(rest).filter(|name| is_name(name)));
    }
    crates
}

/// The identifier at the start: its length in decimal digits, then its characters.
fn identifier(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let length: usize = text.get(..digits)?.parse().ok()?;
    text.get(digits..)?.get(..length)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_found_in_both_manglings() {
        for (symbol, crates) in [
            (
                "_ZN3rsa3key13RsaPrivateKey3new17h0123456789abcdefE",
                vec!["rsa"],
            ),
            (
                "_ZN69_$LT$rsa..key..RsaPrivateKey$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE",
                vec!["rsa", "core"],
            ),
            (
                "_ZN4core3ptr42drop_in_place$LT$rsa..key..RsaPrivateKey$GT$17h0123456789abcdefE",
                vec!["core", "rsa"],
            ),
            ("_RNvMNtCsabc_3rsa3keyNtB2_13RsaPrivateKey3new", vec!["rsa"]),
            ("_RNvC4sha26digest", vec!["sha2"]),
            ("EVP_sha256", vec![]),
        ] {
            assert_eq!(crates_in(symbol), crates, "{symbol}");
        }
    }
}
