//! A small authority of OpenSSL's behind the trait, which does what a script says.

use ca::{
    Answer, Capabilities, CertificationAuthority, Enrolment, Error, ErrorClass, Health, Issued,
    Order, Pending, Recovered, Revocation, Revoked,
};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the authority does at its next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Issues.
    Issue(Made),
    /// Issues, and the answer is lost.
    IssueAndLose,
    /// The order is lost on its way.
    Lose,
    /// Decides later.
    Pend,
    /// Fails in this way.
    Fail(ErrorClass),
}

/// How what it issues is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Well,
    ForAnotherKey,
    WithMoreNames,
    WithoutNames,
    WithAnotherSubject,
    WithSha1,
    ByStrangers,
    ForLogon,
    ForAnything,
    AsAnAuthority,
    ForTenYears,
    OtherKeyUsage,
    WithoutKeyUsage,
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl (scripts/bootstrap.sh)");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with two authorities, one of them a stranger.
pub(super) struct Workshop {
    folder: tempfile::TempDir,
    files: AtomicUsize,
}

impl Workshop {
    pub(super) fn new() -> Self {
        let workshop = Self {
            folder: tempfile::tempdir().unwrap(),
            files: AtomicUsize::new(0),
        };
        for name in ["root", "stranger"] {
            let (key, certificate) = (workshop.named(name, "key"), workshop.named(name, "pem"));
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=Root",
                "-days",
                "3650",
                "-keyout",
                text(&key),
                "-out",
                text(&certificate),
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ]);
        }
        workshop
    }

    fn named(&self, name: &str, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{suffix}"))
    }

    fn fresh(&self, suffix: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::SeqCst);
        self.named(&format!("f{number}"), suffix)
    }

    pub(super) fn root(&self) -> Vec<u8> {
        openssl(&[
            "x509",
            "-in",
            text(&self.named("root", "pem")),
            "-outform",
            "DER",
        ])
    }

    /// A device's certificate, for so many days from now.
    pub(super) fn device(&self, days: u32) -> Vec<u8> {
        let key = self.fresh("key");
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=device",
            "-days",
            &days.to_string(),
            "-outform",
            "DER",
            "-keyout",
            text(&key),
        ])
    }

    /// A CSR for a new key.
    pub(super) fn csr(&self, subject: &str, alt_names: &str) -> Vec<u8> {
        self.csr_for(subject, alt_names, "digitalSignature")
    }

    /// The same with another key usage.
    pub(super) fn csr_for(&self, subject: &str, alt_names: &str, usage: &str) -> Vec<u8> {
        let (key, out) = (self.fresh("key"), self.fresh("csr"));
        let alt_names = format!("subjectAltName={alt_names}");
        let usage = format!("keyUsage=critical,{usage}");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-addext",
            &alt_names,
            "-addext",
            &usage,
            "-addext",
            "extendedKeyUsage=emailProtection",
            "-outform",
            "DER",
            "-keyout",
            text(&key),
            "-out",
            text(&out),
        ]);
        std::fs::read(out).unwrap()
    }

    pub(super) fn issue(&self, csr: &[u8], made: Made) -> Vec<u8> {
        let own = if made == Made::ForAnotherKey {
            self.csr("/CN=anna", "email:anna@example.com")
        } else {
            csr.to_vec()
        };
        let (request, extensions, out) = (self.fresh("csr"), self.fresh("cnf"), self.fresh("der"));
        std::fs::write(&request, own).unwrap();
        let names = match made {
            Made::WithMoreNames => "email:anna@example.com,email:boss@example.com",
            _ => "email:anna@example.com",
        };
        let usage = match made {
            Made::ForLogon => "extendedKeyUsage=emailProtection,clientAuth",
            Made::ForAnything => "",
            _ => "extendedKeyUsage=emailProtection",
        };
        let key_usage = match made {
            Made::OtherKeyUsage => "keyUsage=critical,keyAgreement",
            Made::WithoutKeyUsage => "",
            _ => "keyUsage=critical,digitalSignature",
        };
        let mut lines = vec![usage, key_usage];
        let names = format!("subjectAltName={names}");
        if made != Made::WithoutNames {
            lines.push(&names);
        }
        if made == Made::AsAnAuthority {
            lines.push("basicConstraints=critical,CA:TRUE");
        }
        std::fs::write(&extensions, lines.join("\n")).unwrap();
        let signer = if made == Made::ByStrangers {
            "stranger"
        } else {
            "root"
        };
        let (certificate, key) = (self.named(signer, "pem"), self.named(signer, "key"));
        let mut arguments = vec![
            "x509",
            "-req",
            "-inform",
            "DER",
            "-in",
            text(&request),
            "-CA",
            text(&certificate),
            "-CAkey",
            text(&key),
            "-extfile",
            text(&extensions),
            "-outform",
            "DER",
            "-out",
            text(&out),
            if made == Made::WithSha1 {
                "-sha1"
            } else {
                "-sha256"
            },
            "-days",
            if made == Made::ForTenYears {
                "3000"
            } else {
                "99"
            },
        ];
        if made == Made::WithAnotherSubject {
            arguments.extend(["-subj", "/CN=boss"]);
        }
        openssl(&arguments);
        std::fs::read(out).unwrap()
    }
}

impl Workshop {
    /// An authority below another one, always with the same name and key.
    pub(super) fn between(&self, signer: &str) -> Vec<u8> {
        self.between_with(signer, "")
    }

    /// The same with another extension.
    pub(super) fn between_with(&self, signer: &str, extension: &str) -> Vec<u8> {
        let (key, request) = (self.named("between", "key"), self.fresh("csr"));
        let (extensions, out) = (self.fresh("cnf"), self.named("between", "pem"));
        if !key.exists() {
            let curve = "ec_paramgen_curve:P-256";
            openssl(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                curve,
                "-out",
                text(&key),
            ]);
        }
        let (subject, name) = ("/CN=Between", text(&request));
        openssl(&[
            "req",
            "-new",
            "-key",
            text(&key),
            "-subj",
            subject,
            "-out",
            name,
        ]);
        let lines = format!(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n{extension}"
        );
        std::fs::write(&extensions, lines).unwrap();
        self.sign(&[name, "PEM"], signer, &extensions, &out);
        openssl(&["x509", "-in", text(&out), "-outform", "DER"])
    }

    /// A certificate of that authority's.
    pub(super) fn below(&self, csr: &[u8]) -> Vec<u8> {
        self.below_with(csr, "")
    }

    /// The same with another extension.
    pub(super) fn below_with(&self, csr: &[u8], extension: &str) -> Vec<u8> {
        let (request, extensions) = (self.fresh("csr"), self.fresh("cnf"));
        std::fs::write(&request, csr).unwrap();
        let lines = format!("extendedKeyUsage=emailProtection\n{extension}");
        std::fs::write(&extensions, lines).unwrap();
        let out = self.fresh("pem");
        self.sign(&[text(&request), "DER"], "between", &extensions, &out);
        openssl(&["x509", "-in", text(&out), "-outform", "DER"])
    }

    fn sign(&self, [request, form]: &[&str; 2], signer: &str, extensions: &Path, out: &Path) {
        let (certificate, key) = (self.named(signer, "pem"), self.named(signer, "key"));
        openssl(&[
            "x509",
            "-req",
            "-inform",
            form,
            "-in",
            request,
            "-CA",
            text(&certificate),
            "-CAkey",
            text(&key),
            "-extfile",
            text(extensions),
            "-days",
            "99",
            "-out",
            text(out),
        ]);
    }
}

/// The authority.
pub(super) struct Scripted {
    workshop: Arc<Workshop>,
    script: Mutex<VecDeque<Act>>,
    /// By order: everything that was ever issued for it.
    pub(super) issued: Mutex<BTreeMap<String, Vec<Vec<u8>>>>,
    pending: Mutex<BTreeMap<String, ()>>,
    pub(super) revoked: Mutex<Vec<Revocation>>,
    /// How the next revocations fail.
    pub(super) revocations_fail: Mutex<VecDeque<Error>>,
    pub(super) enrolments: AtomicUsize,
    /// Whether each recovery was told what was known of a pending order.
    pub(super) recoveries: Mutex<Vec<bool>>,
    /// References of orders that have nothing to do with this one, and what was issued for them.
    pub(super) elsewhere: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    capabilities: Capabilities,
}

/// An authority that knows orders by name.
pub(super) const KNOWS_ORDERS: Capabilities = Capabilities {
    revokes: true,
    pends: true,
    polls_by_reference: true,
    recovers: true,
};
/// One that knows pending orders by number, as AD CS.
pub(super) const KNOWS_NUMBERS: Capabilities = Capabilities {
    recovers: false,
    ..KNOWS_ORDERS
};
/// One that knows nothing but requests, as EST.
pub(super) const KNOWS_NOTHING: Capabilities = Capabilities {
    polls_by_reference: false,
    ..KNOWS_NUMBERS
};

impl Scripted {
    pub(super) fn new(
        workshop: &Arc<Workshop>,
        script: &[Act],
        capabilities: Capabilities,
    ) -> Self {
        Self {
            workshop: Arc::clone(workshop),
            script: Mutex::new(script.iter().copied().collect()),
            issued: Mutex::default(),
            pending: Mutex::default(),
            revoked: Mutex::default(),
            revocations_fail: Mutex::default(),
            enrolments: AtomicUsize::new(0),
            recoveries: Mutex::default(),
            elsewhere: Mutex::default(),
            capabilities,
        }
    }

    fn next(&self) -> Act {
        self.script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Act::Issue(Made::Well))
    }

    fn do_issue(&self, order: &Order, made: Made) -> Issued {
        let der = self.workshop.issue(&order.csr_der, made);
        self.issued
            .lock()
            .unwrap()
            .entry(order.id.clone())
            .or_default()
            .push(der.clone());
        self.pending.lock().unwrap().remove(&order.id);
        Issued {
            certificate_der: der,
            others: vec![self.workshop.root()],
        }
    }

    fn act(&self, order: &Order) -> Result<Enrolment, Error> {
        match self.next() {
            Act::Issue(made) => Ok(Enrolment::Issued(self.do_issue(order, made))),
            Act::IssueAndLose => {
                self.do_issue(order, Made::Well);
                Err(Error::new(ErrorClass::Unknown, "the answer was lost"))
            }
            Act::Lose => Err(Error::new(ErrorClass::Unknown, "the connection broke")),
            Act::Pend => {
                self.pending.lock().unwrap().insert(order.id.clone(), ());
                Ok(self.waits())
            }
            Act::Fail(class) => Err(Error::new(class, "as the script says")),
        }
    }

    fn waits(&self) -> Enrolment {
        Enrolment::Pending(Pending {
            reference: b"reference".to_vec(),
            ask_again_in: Duration::from_secs(3600),
        })
    }
}

impl CertificationAuthority for Scripted {
    fn name(&self) -> &str {
        "company"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn enroll<'a>(&'a self, order: &'a Order) -> Answer<'a, Enrolment> {
        Box::pin(async {
            self.enrolments.fetch_add(1, Ordering::SeqCst);
            self.act(order)
        })
    }

    fn poll<'a>(&'a self, order: &'a Order, pending: &'a Pending) -> Answer<'a, Enrolment> {
        Box::pin(async {
            if let Some(der) = self.elsewhere.lock().unwrap().get(&pending.reference) {
                return Ok(Enrolment::Issued(Issued {
                    certificate_der: der.clone(),
                    others: vec![self.workshop.root()],
                }));
            }
            assert_eq!(pending.reference, b"reference");
            if !self.capabilities.polls_by_reference {
                self.enrolments.fetch_add(1, Ordering::SeqCst);
            }
            // What it has issued it gives out again.
            let issued = self.issued.lock().unwrap().get(&order.id).cloned();
            if let Some(certificate_der) = issued.and_then(|all| all.last().cloned()) {
                return Ok(Enrolment::Issued(Issued {
                    certificate_der,
                    others: vec![self.workshop.root()],
                }));
            }
            self.act(order)
        })
    }

    fn recover<'a>(
        &'a self,
        order: &'a Order,
        pending: Option<&'a Pending>,
    ) -> Answer<'a, Recovered> {
        Box::pin(async move {
            self.recoveries.lock().unwrap().push(pending.is_some());
            let issued = self.issued.lock().unwrap().get(&order.id).cloned();
            Ok(match issued.and_then(|all| all.last().cloned()) {
                Some(certificate_der) => Recovered::Known(Enrolment::Issued(Issued {
                    certificate_der,
                    others: vec![self.workshop.root()],
                })),
                None if self.pending.lock().unwrap().contains_key(&order.id) => {
                    Recovered::Known(self.waits())
                }
                None => Recovered::NeverAsked,
            })
        })
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> Answer<'a, Revoked> {
        Box::pin(async {
            if let Some(error) = self.revocations_fail.lock().unwrap().pop_front() {
                return Err(error);
            }
            self.revoked.lock().unwrap().push(revocation.clone());
            Ok(Revoked::Now)
        })
    }

    fn chain(&self) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(async { Ok(vec![self.workshop.root()]) })
    }

    fn health(&self) -> Answer<'_, Health> {
        Box::pin(async {
            Ok(Health {
                answered: true,
                may_enroll: None,
                may_revoke: None,
                credential_expires: None,
                revocation_list: None,
                note: String::new(),
            })
        })
    }
}
