//! Revocation lists beside the path.

use super::*;
use pki::revocation_list::RevocationList;

const NOW: (&str, &str) = ("20261101000000Z", "20261231000000Z");
const OLD: (&str, &str) = ("20260101000000Z", "20260201000000Z");

fn list(path: &Path) -> RevocationList {
    let pem = std::fs::read(path).unwrap();
    let (_, der) = der::pem::decode_vec(&pem).unwrap();
    RevocationList::read(&der).unwrap()
}

struct Scene<'a> {
    root: &'a Authority<'a>,
    issuer: &'a Authority<'a>,
    person: &'a Device<'a>,
}

impl Scene<'_> {
    fn verify(&self, lists: &[&Path]) -> Result<Vec<bool>, Problem> {
        fips::start(Policy::STRICT).unwrap();
        let roots = [certificate(&self.root.certificate)];
        let between = [certificate(&self.issuer.certificate)];
        let lists: Vec<RevocationList> = lists.iter().map(|path| list(path)).collect();
        let leaf = Certificate::read(&self.person.der()).unwrap();
        let verification = Verification {
            roots: &roots,
            intermediates: &between,
            lists: &lists,
            at: AT,
            ..Verification::default()
        };
        verification
            .verify(&leaf)
            .map(|path| path.revocation_checked)
            .map_err(|error| error.problem)
    }

    fn openssl(&self, lists: &[&Path]) -> bool {
        let mut arguments = vec![
            "verify",
            "-attime",
            AT_SECONDS,
            "-crl_check",
            "-CAfile",
            text(&self.root.certificate),
            "-untrusted",
            text(&self.issuer.certificate),
        ];
        for path in lists {
            arguments.extend(["-CRLfile", text(path)]);
        }
        arguments.push(text(&self.person.certificate));
        try_openssl(&arguments).is_ok()
    }
}

#[test]
fn lists_are_believed_when_they_are_current_and_the_issuers_own() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let issuer = root.intermediate("I", KEY);
    let stranger = workshop.authority("I", KEY);
    let person_ = issuer.device_with("a", KEY, &issuance(&person("email:a@b.example")));
    let other = issuer.device_with("b", KEY, &issuance(&person("email:b@b.example")));
    let scene = Scene {
        root: &root,
        issuer: &issuer,
        person: &person_,
    };
    let good = issuer.revocation_list(&[&other], NOW, "");
    let revoked = issuer.revocation_list(&[&person_], NOW, "");
    let stale = issuer.revocation_list(&[&other], OLD, "");
    let stale_revoked = issuer.revocation_list(&[&person_], OLD, "");
    let forged = stranger.revocation_list(&[&other], NOW, "");
    let of_root = root.revocation_list(&[], NOW, "");

    assert_eq!(scene.verify(&[&good]), Ok(vec![true, false]));
    assert!(scene.openssl(&[&good]));
    assert_eq!(scene.verify(&[&good, &of_root]), Ok(vec![true, true]));
    for (lists, problem) in [
        (vec![&revoked], Problem::Revoked),
        (vec![&stale], Problem::RevocationUnknown),
        (vec![&stale_revoked], Problem::Revoked),
        (vec![&forged], Problem::RevocationUnknown),
        (vec![&of_root], Problem::RevocationUnknown),
    ] {
        let lists: Vec<&Path> = lists.into_iter().map(|path| path.as_path()).collect();
        assert_eq!(scene.verify(&lists), Err(problem));
        assert!(!scene.openssl(&lists));
    }
}

#[test]
fn a_revoked_authority_takes_what_it_issued_with_it() {
    let workshop = Workshop::new();
    let root = workshop.authority("R", KEY);
    let issuer = root.intermediate("I", KEY);
    let person_ = issuer.device_with("a", KEY, &issuance(&person("email:a@b.example")));
    let scene = Scene {
        root: &root,
        issuer: &issuer,
        person: &person_,
    };
    let as_device = Device::of(&workshop, issuer.certificate.clone(), issuer.key.clone());
    let own = issuer.revocation_list(&[], NOW, "");
    let of_root = root.revocation_list(&[&as_device], NOW, "");
    assert_eq!(scene.verify(&[&own]), Ok(vec![true, false]));
    assert_eq!(scene.verify(&[&own, &of_root]), Err(Problem::Revoked));
}
