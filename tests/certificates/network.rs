//! A bad network before an EST server.

use super::openssl::Authority;
use super::partner::Fault;
use super::stack::block_on;
use super::support::{Reply, Request, Server, http, server_certificate};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Passes on what is asked, as the queue of faults says of each order.
pub(crate) fn network(
    root: &Authority<'_>,
    url: String,
    faults: Arc<Mutex<VecDeque<Fault>>>,
) -> Server {
    let trusted = root.certificate.clone();
    Server::start(&server_certificate(root), None, move |seen| {
        let fault = match seen.path.ends_with("/simpleenroll") {
            true => faults.lock().unwrap().pop_front().unwrap_or_default(),
            false => Fault::None,
        };
        match fault {
            Fault::Busy => {
                return Reply::Answer(503, vec![("retry-after", "1".to_owned())], Vec::new());
            }
            Fault::Status(status) => {
                return Reply::Answer(status, vec![("retry-after", "1".to_owned())], Vec::new());
            }
            Fault::TurnedDown => return Reply::status(400),
            Fault::Cut => return Reply::Goodbye,
            Fault::Late(time) => std::thread::sleep(time),
            Fault::None | Fault::Lost => {}
        }
        let answer = pass_on(&trusted, &url, seen);
        match fault {
            Fault::Lost => Reply::Goodbye,
            _ => answer,
        }
    })
}

fn pass_on(trusted: &Path, url: &str, seen: &Request) -> Reply {
    block_on(async {
        let method = reqwest::Method::from_bytes(seen.method.as_bytes()).unwrap();
        let mut asked = http(trusted, None)
            .request(method, format!("{url}{}", seen.path))
            .body(seen.body.clone());
        for name in ["authorization", "content-type"] {
            if let Some(value) = seen.header(name) {
                asked = asked.header(name, value);
            }
        }
        let answer = asked.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers = [
            "content-type",
            "content-transfer-encoding",
            "retry-after",
            "www-authenticate",
        ];
        let headers = headers
            .into_iter()
            .filter_map(|name| {
                let value = answer.headers().get(name)?.to_str().unwrap();
                // It lets nobody ask again within a minute.
                let value = if name == "retry-after" { "1" } else { value };
                Some((name, value.to_owned()))
            })
            .collect();
        Reply::Answer(status, headers, answer.bytes().await.unwrap().to_vec())
    })
}
