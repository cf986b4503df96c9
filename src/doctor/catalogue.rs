//! Every check: its stable id, what it asks, and what to do when the answer is no. docs/doctor.md is made from it.

use super::finding::Group;

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Check {
    /// Its stable id: the group's name, a point, its own.
    pub id: &'static str,
    /// Where it belongs.
    pub group: Group,
    /// What it looks at.
    pub asks: &'static str,
    /// What to do, where the finding itself does not know it better.
    pub remedy: &'static str,
}

impl Check {
    /// The check of that id.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        ALL.iter().find(|check| check.id == id).copied()
    }

    /// Its id without the group's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(_, name)| name)
    }
}

macro_rules! checks {
    ($($constant:ident, $group:ident, $id:literal, $asks:literal, $remedy:literal;)*) => {
        $(
            #[doc = $asks]
            pub const $constant: Check = Check {
                id: $id,
                group: Group::$group,
                asks: $asks,
                remedy: $remedy,
            };
        )*
        /// Every check, in the order of the report.
        pub const ALL: &[Check] = &[$($constant),*];
    };
}

checks! {
    CONFIGURATION_FILE, Configuration, "configuration.file",
        "The configuration file: which sections it has, and who may change it.",
        "have the file owned by root or by the user who runs the process, and take the right to write it away from everybody else";
    CONFIGURATION_VALUES, Configuration, "configuration.values",
        "Values that contradict each other.",
        "docs/configuration.md describes every key";
    CONFIGURATION_EXCEPTION, Configuration, "configuration.exception",
        "Exceptions of trust in `engine.exceptions`.",
        "take the exception out of `engine.exceptions` when it is not needed any more";
    CONFIGURATION_PKCS1, Configuration, "configuration.pkcs1",
        "Custody keys that decrypt PKCS#1 v1.5 (`engine.pkcs1_keys`), and the days that are left.",
        "have the records with that padding re-encrypted (`key rotate`) or imported again, and take the key out of `engine.pkcs1_keys`";

    FILES_SECRET, Files, "files.secret",
        "Files with secrets: there, readable, and nobody else's to read.",
        "chmod 600 the file, and have it owned by the user who runs the process; if it belongs to another user on purpose, run `doctor` as that user";
    FILES_READABLE, Files, "files.readable",
        "Files that are read: there, and readable.",
        "put the file there, or correct the path; the user who runs the process must be able to read it";
    FILES_TRUSTED, Files, "files.trusted",
        "Files that say who is trusted: nobody else may change them.",
        "have the file owned by root or by the user who runs the process, and take the right to write it away from group and others";
    FILES_FOLDER, Files, "files.folder",
        "Folders in which something is made or written: there, and writable.",
        "make the folder, and have it owned by the user who runs the process";
    FILES_ROOM, Files, "files.room",
        "Free space for journal, database and logs, against what the configuration lets them grow to.",
        "free some space, give them a larger file system, or lower `connector.journal_max_bytes` and `connector.log.archives_max_bytes`";
    FILES_INODES, Files, "files.inodes",
        "Free inodes where journal, database and logs are.",
        "delete small files there, or give the data a file system of its own";

    LIMITS_USER, Limits, "limits.user",
        "The user: everything is seen with this user's eyes.",
        "give each process a user of its own: root can be kept from nothing";
    LIMITS_MEMLOCK, Limits, "limits.memlock",
        "Whether memory with secrets can be kept out of swap space (RLIMIT_MEMLOCK).",
        "LimitMEMLOCK=infinity in the unit (`ulimit -l unlimited` in a shell): with a smaller limit only what secrets are kept in is locked, and below 8M not all of that";
    LIMITS_FILES, Limits, "limits.files",
        "Open files and connections (RLIMIT_NOFILE), against what the configuration allows at once.",
        "LimitNOFILE= in the unit (`ulimit -n` in a shell), or fewer connections at once";
    LIMITS_CORE, Limits, "limits.core",
        "Core dumps: processes with secrets switch them off for themselves.",
        "look at what the system says; without this no process of ours reads a secret";
    LIMITS_SANDBOX, Limits, "limits.sandbox",
        "What this kernel has for the engine's sandbox, and whether that is what `[engine]` demands.",
        "use Linux 5.19 or newer with `landlock` among the security modules and seccomp; or say `sandbox = \"available\"` in [engine]";
    LIMITS_SWAP, Limits, "limits.swap",
        "Swap space, which may keep what was in memory.",
        "encrypt the swap space, switch it off, or let the memory be locked (see `limits.memlock`)";

    CLOCK_PLAUSIBLE, Clock, "clock.plausible",
        "Whether the clock can be right: not before these sources were written.",
        "set the clock: certificates are judged by it";
    CLOCK_SYNCHRONISED, Clock, "clock.synchronised",
        "Whether the clock is kept right by NTP, as far as the system tells.",
        "run systemd-timesyncd, chrony or ntpd: leases, certificates and logs depend on the clock";

    FIPS_MODULE, Fips, "fips.module",
        "The cryptographic module: its version, its self-tests, the sources that it was built from.",
        "install the program again from a source that you trust; nothing starts without its module";
    FIPS_MODE, Fips, "fips.mode",
        "The mode of this configuration, and whether the system itself demands FIPS mode.",
        "`mode = \"strict\"` in [fips], or no [fips] at all";
    FIPS_EXCEPTION, Fips, "fips.exception",
        "Exceptions in force in strict mode.",
        "take the exception out of `fips.exceptions` when it is not needed any more";
    FIPS_CLAIM, Fips, "fips.claim",
        "What can be claimed of the whole: the running service where it answers, else this command.",
        "`pfx-connector fips status --config F` says what each part leaves possible, and why";
    FIPS_TOKEN, Fips, "fips.token",
        "Whether the operator states a CMVP certificate of the token.",
        "`fips_certificate` in [engine.token], if the token has one";
    FIPS_ADVISORY, Fips, "fips.advisory",
        "Known problems of this version of the module.",
        "`pfx-connector fips status` names them, with the reason why this program does or does not use what they are in";

    CERTIFICATES_FILE, Certificates, "certificates.file",
        "Files with certificates and public keys: they can be read as such.",
        "put certificates in PEM form into the file, a chain with its own certificate first";
    CERTIFICATES_EXPIRY, Certificates, "certificates.expiry",
        "When the certificates in files expire: a note from 90 days before, a warning from 30 days before.",
        "renew the certificate in time, and replace the file";
    CERTIFICATES_CALENDAR, Certificates, "certificates.calendar",
        "The calendar of everything with an end that the files name, the first end first (`facts` of `--json` has all of it).",
        "renew in time what ends first, and replace its file";
    CERTIFICATES_KEY, Certificates, "certificates.key",
        "Private keys in files: they can be used, and belong to the certificate.",
        "give the private key (PKCS#8, PEM, not encrypted) of the first certificate in the chain's file";
    CERTIFICATES_CHAIN, Certificates, "certificates.chain",
        "Chains in files: each certificate is issued by the next.",
        "put the certificates into the file in order: its own first, then the one that issued it, and so on";
    CERTIFICATES_ANCHOR, Certificates, "certificates.anchor",
        "Device anchors: authorities' certificates that may issue.",
        "name the certificate of the authority that issues to devices";
    CERTIFICATES_REVOCATION, Certificates, "certificates.revocation",
        "Revocation lists of devices' authorities (`engine.device_policy.crls`): they can be used, and are of this time.",
        "fetch the authority's new list into the file, in time and by itself: `nextUpdate` says until when";
    CERTIFICATES_IMPORTER, Certificates, "certificates.importer",
        "Importers' public keys.",
        "`pfx-connector import signer` makes a key and writes its public half";
    CERTIFICATES_CUSTODY, Certificates, "certificates.custody",
        "The custody key's public half that importing uses: it is the pinned one.",
        "ask the operator of the engine for the right one (`key show`): a key that somebody slipped in could read every password";

    ENDPOINTS_PROXY, Endpoints, "endpoints.proxy",
        "Which proxy applies.",
        "name the proxy in [connector.proxy]: the environment's proxy variables are not read";
    ENDPOINTS_NAME, Endpoints, "endpoints.name",
        "Whether the host's name is known.",
        "check the name in the configuration, and the system's resolver";
    ENDPOINTS_CONNECT, Endpoints, "endpoints.connect",
        "Whether somebody listens there.",
        "check that the service runs, its port, and what lies between: routes and firewalls";
    ENDPOINTS_TLS, Endpoints, "endpoints.tls",
        "TLS with the peer as the program does it, and an answer over HTTP. docs/tls.md explains each code.",
        "docs/tls.md explains each code";
    ENDPOINTS_CERTIFICATE, Endpoints, "endpoints.certificate",
        "When the peer's certificate expires.",
        "have the peer's certificate renewed in time";
    ENDPOINTS_LISTEN, Endpoints, "endpoints.listen",
        "Addresses to listen on: this machine has them, and they are free or taken by the running service.",
        "take an address of this machine and a port that is free; ports below 1024 need a right of their own";

    AUTHORITIES_REACHABLE, Authorities, "authorities.reachable",
        "Whether each authority of `[[connector.ca]]`, and that of `[gateway.enrolment]`, answers, and is the one that is configured: asked as the connector does, without ordering anything. One whose key is on the token is asked for at the engine.",
        "check address, port and what lies between, `server_ca`, and for CMP whose signatures are believed (`signers`)";
    AUTHORITIES_ENROLL, Authorities, "authorities.enroll",
        "Whether the connector's credential may enrol, as far as the protocol lets one ask without doing it.",
        "have the authority give the credential the right to enrol, or give the connector the credential that has it";
    AUTHORITIES_REVOKE, Authorities, "authorities.revoke",
        "Whether the authority revokes at all, and whether the same credential may, as far as the protocol lets one ask.",
        "have the authority give the credential the right to revoke: one credential issues and revokes";
    AUTHORITIES_COLOCATED, Authorities, "authorities.colocated",
        "Authorities whose keys are used on the connector's own host, and the name of the acknowledgement.",
        "give the authority a host of its own and speak CMP or EST to it; for a small company or a test the acknowledgement `co-located-ca` may be enough";
    AUTHORITIES_STATE, Authorities, "authorities.state",
        "How the running connector fares with each authority: breaker, calls in flight, pending orders, what was issued and what failed.",
        "`pfx-connector status` and `pfx-connector events` say more";

    SERVICE_ENGINE, Service, "service.engine",
        "Whether the engine runs, answers, and has its token.",
        "the engine's log says more; `fips status` and `status` show what it reports";
    SERVICE_CONNECTOR, Service, "service.connector",
        "Whether the connector runs and is healthy.",
        "`pfx-connector status` and `pfx-connector events` say more";
    SERVICE_RESTARTS, Service, "service.restarts",
        "Parts of the engine that died and were replaced.",
        "the engine's log says how each ended; a PKCS#11 module that crashes or hangs is the usual reason";
    SERVICE_SANDBOX, Service, "service.sandbox",
        "The sandbox of each process of the engine: what it says is in force, what the kernel confirms and lacks (docs/sandbox.md).",
        "use a kernel with Landlock and seccomp (Linux 5.19 or newer), and take `sandbox = \"off\"` out of [engine]";
    SERVICE_AUDIT, Service, "service.audit",
        "The log of uses of the key: whether it can be written, is sealed and anchored, and has a past. A log that is younger than seven days knows nothing of what was before it, of failures, quarantine and approvals neither.",
        "find out who began it and why (another folder, a folder that was emptied, `no-receipts` until then), and hold the one before against the anchors that were kept elsewhere";
    SERVICE_EXPIRY, Service, "service.expiry",
        "What the running services have in use and ends soon: less than 30 days or a third of a shorter life (soon), less than 7 days or a tenth of it (urgent), or over.",
        "renew it, replace the file or enter the new one, and have the service take it over: the connector by SIGHUP, engine and gateway by a restart";
    SERVICE_PROTECTION, Service, "service.protection",
        "What the engine's parts could not do to protect themselves.",
        "raise the limits in the unit, such as LimitMEMLOCK=infinity";

    TOKEN_MODULE_FILE, Token, "token.module-file",
        "The PKCS#11 module's file: there, and nobody else's to write.",
        "give the absolute path of the vendor's PKCS#11 library, owned by root or by the user who runs the process, and not writable by group or others";
    TOKEN_MODULE_FOLDERS, Token, "token.module-folders",
        "The folders on the way to the module: nobody else can put another file in its place.",
        "have these folders owned by root, and take the right to write them away from group and others: whoever exchanges the module gets the PIN";
    TOKEN_MODULE_DIGEST, Token, "token.module-digest",
        "SHA-256 of the module's file, and the package that it is from, to compare with the vendor's.",
        "the file has to be readable";
    TOKEN_MODULE_LOADS, Token, "token.module-loads",
        "Whether the module can be loaded and initialised, in a process of its own with the environment of the token's section alone, and which version it says it is.",
        "give the absolute path of the vendor's PKCS#11 library; its own configuration, libraries and daemon must be there, and variables that it needs be in `environment` of the token's section";
    TOKEN_FOUND, Token, "token.found",
        "Whether the configured token is in one of the module's slots.",
        "compare the label with the tokens that are there; check that the token is connected and that the module reads the right configuration";
    TOKEN_STATE, Token, "token.state",
        "The token's flags: initialised, no failed self-test.",
        "have the token looked at by whoever supports it";
    TOKEN_MECHANISMS, Token, "token.mechanisms",
        "The mechanisms that the token lists. What really works is tried with the key: see `token.decryption` and `token.encryption`.",
        "have CKM_RSA_PKCS_OAEP (or CKM_RSA_X_509) switched on at the token";
    TOKEN_QUIRKS, Token, "token.quirks",
        "What is known about this kind of token before it is tried, and how: by trying it, or from its documentation alone.",
        "`--json` shows all of it in `facts`; what is found by trying wins over it";
    TOKEN_TOGETHER, Token, "token.together",
        "Whether one process, as the engine's custody is, can have all of its tokens open: each is looked at in a process of its own.",
        "give the tokens modules of their own, or each an engine of its own";
    TOKEN_PIN_SOURCE, Token, "token.pin-source",
        "Where the PIN comes from, and whether it can be read there.",
        "put the PIN into a file that only its owner can read (mode 0600 or 0400), or into a systemd credential";
    TOKEN_PIN_TRIES, Token, "token.pin-tries",
        "The flags of the PIN: set, not locked, all its tries left.",
        "log in once with the right PIN, by the vendor's tool or `pfx-connector key list`, to give the token its tries back";
    TOKEN_LOGIN, Token, "token.login",
        "Whether the PIN opens the token: tried once, only while the token has all its tries, and not if it was refused before.",
        "put the right PIN into its source";
    TOKEN_KEY, Token, "token.key",
        "Custody keys on the token, and whether their attributes let them be used.",
        "generate a key with `pfx-connector key generate`: sensitive, not extractable, for decryption alone";
    TOKEN_KEY_ORIGIN, Token, "token.key-origin",
        "Where a custody key came from: generated on this token, never extractable.",
        "a key that was generated elsewhere is as secret as the place and the way that it came from";
    TOKEN_KEY_COPIES, Token, "token.key-copies",
        "On how many tokens a custody key is. Passwords in Intune's records cannot be read back: with the only token everything imported is lost.",
        "back the key up by the vendor's means, or replicate it to a second token, before anything is imported for it";
    TOKEN_SIGNING_KEY, Token, "token.signing-key",
        "The key of `fips.report_token_key` on the engine's token: there, and for signing alone.",
        "`pfx-connector key generate-signing` makes one; `key list` shows those that are there";
    TOKEN_DECRYPTION, Token, "token.decryption",
        "Paddings that the token really removes, natively or with the help of this program, found by trying.",
        "use a token that does RSAES-OAEP itself; for one with CKM_RSA_X_509 alone name the exception `oaep-unpadding-in-software`";
    TOKEN_ENCRYPTION, Token, "token.encryption",
        "Whether the token encrypts to public keys (C_Encrypt), which strict FIPS mode needs for RSA devices.",
        "use a token that does, or name the exception `rsa-key-transport-in-module`";
    TOKEN_ROUND_TRIP, Token, "token.round-trip",
        "How long a decryption takes: median and 99th percentile.",
        "look at the way to the token and at who else uses it";
    TOKEN_CONCURRENCY, Token, "token.concurrency",
        "How many decryptions at once the token gains from, up to the configured `threads`.",
        "set `threads` of the token's section as recommended";
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_id_is_unique_and_begins_with_its_group() {
        let ids: BTreeSet<_> = ALL.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for check in ALL {
            let group = check.id.strip_suffix(check.name());
            let expected = format!("{}.", check.group.name());
            assert_eq!(group, Some(expected.as_str()), "{}", check.id);
            assert!(!check.asks.is_empty() && !check.remedy.is_empty());
            assert_eq!(Check::named(check.id), Some(*check));
        }
    }

    #[test]
    fn checks_of_a_group_stand_together_and_in_the_order_of_the_groups() {
        assert!(ALL.is_sorted_by_key(|check| check.group));
        for group in Group::ALL {
            assert!(ALL.iter().any(|check| check.group == group));
        }
    }
}
