//! Through gateway and connector to the contract server of AD CS, in strict FIPS mode without any exception. No Microsoft authority was asked.

use super::company::{Company, Twist};
use super::contract::{self, Fault, What};
use super::device::open;
use super::openssl::{Authority, KeyAlgorithm, Workshop, text};
use super::site::{Issuing, Setup};
use super::stack::write_private;
use super::support::{Server, server_certificate};
// The contract server, which is the crate ca's, reads its requests with it.
use roxmltree as _;
use std::collections::HashMap;
use std::sync::Mutex;

/// `[[connector.ca]]` of the authority `company`.
pub(crate) fn settings(workshop: &Workshop, root: &Authority<'_>, url: &str) -> String {
    let password = workshop.fresh(".password");
    write_private(&password, b"correct horse");
    format!(
        "[[connector.ca]]\nname = \"company\"\nkind = \"adcs\"\nurl = \"{url}/CA_CES/service.svc/CES\"\nroots = {0:?}\nserver_ca = {0:?}\n\
         profile = \"SmimeUser\"\nusername = 'CORP\\connector'\npassword_file = {1:?}\npause_ms = 50\nlongest_pause_ms = 300\n",
        text(&root.certificate),
        text(&password),
    )
}

/// Requests that wait for their manager: the CSR, and how often it was asked for.
type Waiting = Mutex<HashMap<String, (Vec<u8>, usize)>>;

#[test]
fn the_contract_server_issues_at_once_after_a_while_and_not_at_all() {
    let workshop = Workshop::new();
    let root = workshop.authority("Company Root", KeyAlgorithm::P256);
    let company = Company::of(&root);
    let signer = (root.certificate.clone(), root.key.clone());
    let waiting = Waiting::default();
    let server = Server::start(&server_certificate(&root), None, move |seen| {
        let asked = contract::read_request(seen);
        assert_eq!(
            asked.login,
            Some(("CORP\\connector".to_owned(), "correct horse".to_owned()))
        );
        let issued = |csr: &[u8]| {
            let certificate = company.issue(csr, Twist::Honest);
            let message = contract::full_response((&signer.0, &signer.1), &certificate);
            contract::issued(&asked, &certificate, &message)
        };
        let mut waiting = waiting.lock().unwrap();
        match &asked.what {
            What::Issue(csr, template) => match template.as_deref() {
                Some("SmimeUser") => issued(csr),
                Some("SmimeManaged") => {
                    let id = (77 + waiting.len()).to_string();
                    waiting.insert(id.clone(), (csr.clone(), 0));
                    contract::pending(&asked, &id, None)
                }
                _ => {
                    let denied = Fault {
                        code: "Receiver",
                        subcode: "MessageContextFault",
                        // CERTSRV_E_UNSUPPORTED_CERT_TYPE.
                        detail: Some((0x8009_4800_u32.cast_signed(), false)),
                    };
                    denied.reply(&asked.message_id)
                }
            },
            What::Status(id) => {
                let (csr, questions) = waiting.get_mut(id).unwrap();
                *questions += 1;
                match *questions {
                    1..4 => contract::pending(&asked, id, None),
                    _ => issued(csr),
                }
            }
        }
    });
    let settings = settings(&workshop, &root, &server.url());
    let issuing = Issuing::with(Setup::strict(settings));
    issuing.allow_ca_profiles(&["SmimeManaged", "Other"]);
    let mut running = issuing.start();
    issuing.enrol();
    for template in ["SmimeManaged", "Other"] {
        issuing.add_profile(&format!("smime-{template}"), |profile| {
            profile.ca_profile = Some(template.to_owned());
        });
    }
    let device = issuing.device(0);
    let at_once = issuing.ask("anna@example.com", &device, "windows");
    issuing.settled(&at_once);
    let managed = issuing.ask("ben@example.com", &device, "SmimeManaged");
    issuing.event_of("operational", 1061, &managed);
    running.kill_connector();
    let denied = issuing.ask("anna@example.com", &device, "Other");
    for (request, user) in [(&at_once, "anna"), (&managed, "ben")] {
        let opened = open(&device, &issuing.delivered(request), &root.certificate);
        assert!(opened.certificate.contains(&format!("CN = {user}")));
    }
    let (code, message) = issuing.failure(&denied);
    assert_eq!(code, "rejected", "{message}");
    issuing.assert_strict();
    running.stop();
}
