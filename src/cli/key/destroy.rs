//! `key destroy`: in two steps, by fingerprint only.
//!
//! The code between the steps is no secret and no proof of who asked: whoever has the PIN can destroy keys with any PKCS#11 tool. It is
//! there against mistakes. It holds when it ends and a digest over everything that the first step said, so that the second step does
//! exactly that, soon, or nothing.

use super::approval::Approval;
use super::copies::{Copies, OtherTokens};
use super::transcript::Transcript;
use crate::cli::approve::ApprovalArgs;
use crate::cli::output::{Failure, Report};
use crate::cli::token::{TokenArgs, absolute, open};
use crate::cli::{Context, files};
use crate::clock::{Clock, SystemClock, rfc3339};
use crate::encoding::hex;
use clap::Args;
use fips::digest::{Hash, digest};
use hsm::{Custody, KeyFingerprint, KeyInfo, TokenInfo};
use serde_json::json;
use std::path::PathBuf;

/// How long a confirmation is good, in seconds.
const VALID_SECONDS: i64 = 600;
/// Bytes of the digest in a code.
const CODE_BYTES: usize = 10;

/// `key destroy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pfx-connector key destroy --config engine.toml --fingerprint 5f0c...
      says what would be destroyed and how many copies are known, and prints a code that is good for ten minutes
  pfx-connector key destroy --config engine.toml --fingerprint 5f0c... --confirm CODE --transcript destroyed.json
      destroys both halves, and looks whether they are gone

The last known copy is refused without --last-copy in both steps: what was encrypted to it can then never be read again. Copies on other
tokens are known only where --also names the token.

Where the configuration has [engine.approvals], the engine has to run and to give leave: the second step needs --approval for each
approval (`approve destroy-key`), and they are used by it, whatever becomes of it.")]
pub(super) struct DestroyArgs {
    #[command(flatten)]
    pub(super) token: TokenArgs,
    /// Fingerprint of the key (SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits); nothing else names a key here
    #[arg(long, value_name = "HEX")]
    pub(super) fingerprint: KeyFingerprint,
    #[command(flatten)]
    others: OtherTokens,
    /// Destroy it although no usable copy is known on another token
    #[arg(long)]
    pub(super) last_copy: bool,
    /// The code that the first step printed; without it nothing is destroyed
    #[arg(long, value_name = "CODE")]
    confirm: Option<String>,
    #[command(flatten)]
    pub(super) approvals: ApprovalArgs,
    /// Write what was done to this file as well (JSON); one that exists is not overwritten
    #[arg(long, value_name = "FILE", requires = "confirm")]
    transcript: Option<PathBuf>,
}

/// Runs one of the two steps.
pub(super) fn run(args: &DestroyArgs, context: &Context) -> Result<Report, Failure> {
    let transcript_file = args.transcript.as_deref().map(absolute).transpose()?;
    if let Some(file) = &transcript_file {
        files::must_be_new(file)?;
    }
    let custody = open(args.token.settings("key destroy", &context.args)?)?;
    let token = custody.token();
    let copies = Copies::look(&custody, &args.others.also)?;
    let key = the_one(&custody.keys()?, &args.fingerprint)?;
    let elsewhere = copies.elsewhere(&key.fingerprint, &token);
    if elsewhere == 0 && !args.last_copy {
        return Err(Failure::failed(
            "last_copy",
            format!(
                "no usable copy of {} is known on another token: what was encrypted to it could never be read again",
                key.fingerprint
            ),
        )
        .hint("name tokens that have a copy by `--also`, or say `--last-copy` if that is meant"));
    }
    let rule = Approval::of(args, &token)?;
    let Some(code) = &args.confirm else {
        let mut report = first_step(&token, &key, elsewhere, args.last_copy);
        rule.announce(&mut report);
        return Ok(report);
    };
    check(code, &Said::new(&token, &key, elsewhere, args.last_copy))?;
    let approved_by = rule.ask(args)?;

    let mut transcript = Transcript::begin("key destroy", &token);
    transcript.step(
        "confirmed",
        json!({"code": code, "fingerprint": key.fingerprint, "label": key.label, "copiesElsewhere": elsewhere, "lastCopy": args.last_copy, "approvedBy": approved_by}),
    );
    let destroyed = custody.destroy(&key.fingerprint).map_err(Failure::from);
    match &destroyed {
        Ok(destroyed) => {
            transcript.step("destroyed", json!(destroyed));
            transcript.step("looked for it again", json!({"found": 0}));
        }
        Err(failure) => transcript.step("FAILED", failure.json()),
    }
    let written = match &transcript_file {
        Some(file) => files::write_new(file, &transcript.bytes(), 0o644),
        None => Ok(()),
    };
    let destroyed = destroyed?;
    written.map_err(|failure| {
        failure.doing(format!(
            "{} is destroyed, its transcript is not written",
            key.fingerprint
        ))
    })?;
    let text = format!(
        "Destroyed {} ({}) on {} (serial {}): {} private half, {} public half; neither is found any more.\nUsable copies on the other tokens that \
         were named: {elsewhere}.\n{}",
        key.label,
        key.fingerprint,
        token.label,
        token.serial,
        destroyed.private_halves,
        destroyed.public_halves,
        transcript.text(),
    );
    Ok(Report::done(
        json!({"destroyed": true, "fingerprint": key.fingerprint, "copiesElsewhere": elsewhere, "transcript": transcript.json()}),
        text,
    ))
}

fn the_one(keys: &[KeyInfo], fingerprint: &KeyFingerprint) -> Result<KeyInfo, Failure> {
    let mut fitting = keys.iter().filter(|key| key.fingerprint == *fingerprint);
    match (fitting.next(), fitting.count()) {
        (None, _) => Err(hsm::Error::UnknownKey(*fingerprint).into()),
        (Some(key), 0) => Ok(key.clone()),
        (Some(_), others) => Err(hsm::Error::from(hsm::KeyLifeProblem::Ambiguous {
            fingerprint: *fingerprint,
            count: others + 1,
        })
        .into()),
    }
}

/// What the first step says will be done: the second does it if it would say the same.
struct Said(serde_json::Value);

impl Said {
    fn new(token: &TokenInfo, key: &KeyInfo, elsewhere: usize, last_copy: bool) -> Self {
        Self(json!([
            "pfx-connector key destroy",
            token.manufacturer,
            token.model,
            token.serial,
            token.label,
            key.fingerprint,
            key.label,
            key.attributes.origin(),
            elsewhere,
            last_copy,
        ]))
    }

    /// When it ends, in seconds since 1970, and a digest over what was said.
    fn code(&self, expires: i64) -> String {
        let said = json!([self.0, expires]);
        let digest = digest(Hash::Sha256, said.to_string().as_bytes());
        let short: Vec<u8> = digest.as_ref().iter().take(CODE_BYTES).copied().collect();
        format!("{expires}-{}", hex(&short))
    }
}

fn first_step(token: &TokenInfo, key: &KeyInfo, elsewhere: usize, last_copy: bool) -> Report {
    let expires = SystemClock.now_ms() / 1000 + VALID_SECONDS;
    let code = Said::new(token, key, elsewhere, last_copy).code(expires);
    let text = format!(
        "NOTHING is destroyed yet. This would be destroyed, both halves, with no way back:\n  key     {} ({}, RSA-{})\n  token   {} (serial {})\n  \
         origin  {}\n  usable copies on the other tokens that were named: {elsewhere}{}\nTo do it until {}, say the same with\n  --confirm {code}",
        key.label,
        key.fingerprint,
        key.modulus_bits,
        token.label,
        token.serial,
        key.attributes.origin().words(),
        if elsewhere == 0 {
            " - THE LAST KNOWN COPY"
        } else {
            ""
        },
        rfc3339(expires * 1000),
    );
    Report::done(
        json!({
            "destroyed": false,
            "fingerprint": key.fingerprint,
            "label": key.label,
            "token": token,
            "origin": key.attributes.origin(),
            "copiesElsewhere": elsewhere,
            "confirm": code,
            "expires": rfc3339(expires * 1000),
        }),
        text,
    )
}

fn check(given: &str, said: &Said) -> Result<(), Failure> {
    let refused = |message: &str| {
        Failure::usage("confirmation", message)
            .hint("say the same without `--confirm` to get a new code")
    };
    let expires: i64 = given
        .split_once('-')
        .and_then(|(expires, _)| expires.parse().ok())
        .ok_or_else(|| refused("that is no code of the first step"))?;
    if said.code(expires) != given {
        return Err(refused(
            "the code is for another key, another token, another number of copies, or another choice about the last one",
        ));
    }
    let now = SystemClock.now_ms() / 1000;
    // One that ends later than any that could have been given out was not given out.
    if !(now..=now + VALID_SECONDS).contains(&expires) {
        return Err(refused("the code is not good any more"));
    }
    Ok(())
}
