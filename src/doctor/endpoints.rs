//! Other machines, and addresses to listen on.
//!
//! ```text
//! the configured proxy, or the host itself ---- name ---- connect ---- TLS as the program does it ---- an answer over HTTP
//!                                               each step with a deadline; all endpoints at once
//! ```
//!
//! The last two steps are made by the very client that the process uses, with its certificate and its proxy: what it cannot do is
//! not found out by another implementation.

use super::catalogue::{
    ENDPOINTS_CERTIFICATE, ENDPOINTS_CONNECT, ENDPOINTS_LISTEN, ENDPOINTS_NAME, ENDPOINTS_PROXY,
    ENDPOINTS_TLS,
};
use super::certificates::Facts;
use super::finding::Finding;
use crate::config::Config;
use crate::connector;
use crate::intune;
use crate::tls::{self, CallFailure};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Url};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a name may take to be resolved, and a connection to be made.
const STEP: Duration = Duration::from_secs(10);
/// How long TLS and an answer may take.
const CALL: Duration = Duration::from_secs(20);
/// What anybody may ask a gateway.
const HEALTH: &str = "healthz";
/// Variables that other programs take a proxy from.
const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A service that a process of the configuration calls.
struct Endpoint {
    /// The key that names it.
    key: &'static str,
    /// Who needs it.
    who: &'static str,
    url: String,
    proxy: Option<String>,
    /// The client, or why there is none (which other groups report in detail).
    client: Result<Client, String>,
}

/// Looks at every endpoint of the configuration, at once; `now_ms` is what certificates are judged by.
#[must_use]
pub fn examine(config: &Config, now_ms: i64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = listeners(config)
        .into_iter()
        .map(|(key, address)| listen(key, address))
        .collect();
    let endpoints = endpoints(config);
    if endpoints.is_empty() {
        return findings;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            findings.push(ENDPOINTS_CONNECT.error("", format!("nothing can be asked: {error}")));
            return findings;
        }
    };
    findings.extend(runtime.block_on(async {
        let mut asking = JoinSet::new();
        for (place, endpoint) in endpoints.into_iter().enumerate() {
            asking.spawn(async move { (place, look_at(endpoint, now_ms).await) });
        }
        let mut found = asking.join_all().await;
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().flat_map(|(_, findings)| findings)
    }));
    // A resolver that hangs holds a thread of its own: it is not waited for.
    runtime.shutdown_background();
    findings
}

fn endpoints(config: &Config) -> Vec<Endpoint> {
    let mut list = Vec::new();
    if let Some(section) = &config.connector {
        list.push(Endpoint {
            key: "connector.gateway",
            who: "the connector (`run`)",
            url: section.gateway.clone(),
            proxy: section.proxy.as_ref().map(|proxy| proxy.url.clone()),
            client: connector::http_client(section)
                .map_err(|error| error.to_string())
                .and_then(build),
        });
    }
    if let Some(section) = &config.import {
        list.push(Endpoint {
            key: "import.gateway",
            who: "imports (`import`)",
            url: section.gateway.clone(),
            proxy: None,
            client: tls::client_config(&section.gateway_ca, None)
                .map_err(|error| error.to_string())
                .and_then(|tls| build(intune::http_client(tls))),
        });
    }
    list
}

fn build(builder: reqwest::ClientBuilder) -> Result<Client, String> {
    builder
        .tls_info(true)
        .timeout(CALL)
        .build()
        .map_err(|error| error.to_string())
}

async fn look_at(endpoint: Endpoint, now_ms: i64) -> Vec<Finding> {
    let key = endpoint.key;
    let mut findings = Vec::new();
    let Ok(url) = Url::parse(&endpoint.url) else {
        return vec![ENDPOINTS_NAME.error(key, format!("{} is no URL", endpoint.url))];
    };
    findings.push(proxy(&endpoint));
    let first_hop = match &endpoint.proxy {
        None => Some(url.clone()),
        Some(proxy) => Url::parse(proxy).ok(),
    };
    let hop = first_hop.as_ref().and_then(|hop| {
        let port = hop.port_or_known_default()?;
        Some((hop.host_str()?.trim_matches(['[', ']']).to_owned(), port))
    });
    let Some((host, port)) = hop else {
        findings.push(ENDPOINTS_NAME.error(key, "neither a host nor a port can be read from it"));
        return findings;
    };
    let who = endpoint.who;
    let addresses = match resolve(&host, port).await {
        Err(problem) => {
            findings.push(
                ENDPOINTS_NAME
                    .error(key, format!("{host}, needed by {who}: {problem}"))
                    .facts(json!({"host": host, "neededBy": who})),
            );
            return findings;
        }
        Ok(addresses) => addresses,
    };
    let mut shown: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
    shown.dedup();
    findings.push(
        ENDPOINTS_NAME
            .ok(
                key,
                if host.parse::<std::net::IpAddr>().is_ok() {
                    format!("{host}, an address")
                } else {
                    format!("{host} is {}", shown.join(", "))
                },
            )
            .facts(json!({"host": host, "addresses": shown, "neededBy": who})),
    );
    let begin = Instant::now();
    let connected = connect(&addresses).await;
    let facts = json!({
        "host": host,
        "port": port,
        "neededBy": who,
        "milliseconds": u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    match connected {
        Err(problem) => {
            let text = format!("{host} port {port}, needed by {who}: {problem}");
            findings.push(ENDPOINTS_CONNECT.error(key, text).facts(facts));
            return findings;
        }
        Ok(address) => findings.push(
            ENDPOINTS_CONNECT
                .ok(
                    key,
                    format!(
                        "{host} port {port} answers at {} in {} ms; needed by {who}",
                        address.ip(),
                        begin.elapsed().as_millis()
                    ),
                )
                .facts(facts),
        ),
    }
    findings.extend(call(&endpoint, &url, now_ms).await);
    findings
}

fn proxy(endpoint: &Endpoint) -> Finding {
    let in_environment: Vec<&str> = PROXY_VARIABLES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .collect();
    match &endpoint.proxy {
        Some(proxy) => ENDPOINTS_PROXY.ok(endpoint.key, format!("through {proxy}, as configured")),
        None if in_environment.is_empty() => {
            ENDPOINTS_PROXY.ok(endpoint.key, "none: directly, as configured")
        }
        None => ENDPOINTS_PROXY
            .note(
                endpoint.key,
                format!(
                    "none: directly, although {} of this shell's environment name one",
                    in_environment.join(", ")
                ),
            )
            .remedy(ENDPOINTS_PROXY.remedy),
    }
    .facts(json!({"proxy": endpoint.proxy, "environment": in_environment}))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    match timeout(STEP, tokio::net::lookup_host((host, port))).await {
        Err(_) => Err(format!(
            "the resolver gave no answer in {} s",
            STEP.as_secs()
        )),
        Ok(Err(error)) => Err(format!("the name is not known: {error}")),
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() {
                return Err("the name has no address".to_owned());
            }
            Ok(addresses)
        }
    }
}

/// The first address that takes a connection, all of them within one deadline.
async fn connect(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let tried = timeout(STEP, async {
        let mut last = "no address".to_owned();
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(*address),
                Err(error) => last = format!("{}: {error}", address.ip()),
            }
        }
        Err(last)
    });
    tried
        .await
        .unwrap_or_else(|_| Err(format!("no connection in {} s", STEP.as_secs())))
}

/// TLS and an answer, by the client of the process.
async fn call(endpoint: &Endpoint, url: &Url, now_ms: i64) -> Vec<Finding> {
    let key = endpoint.key;
    let client = match &endpoint.client {
        Ok(client) => client,
        Err(problem) => {
            return vec![
                ENDPOINTS_TLS
                    .error(key, format!("not tried: {problem}"))
                    .code("tls_configuration")
                    .remedy("put the files of this section right first (groups `files` and `certificates`)"),
            ];
        }
    };
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    let Ok(health) = base.join(HEALTH) else {
        return vec![ENDPOINTS_TLS.error(key, "no address can be made of it")];
    };
    let begin = Instant::now();
    let response = match client.get(health).send().await {
        Ok(response) => response,
        Err(error) => {
            let failure = CallFailure::of(error);
            let found = ENDPOINTS_TLS.error(key, failure.text.clone());
            return vec![match failure.problem {
                Some(problem) => found.code(problem.code()).remedy(problem.hint()),
                None => found.remedy(
                    "the connection broke: see the peer's log; a peer that does not accept our certificate may do so, and a proxy that refuses",
                ),
            }];
        }
    };
    let status = response.status();
    let text = format!(
        "TLS, then {:?} {status} in {} ms",
        response.version(),
        begin.elapsed().as_millis()
    );
    let facts = json!({"status": status.as_u16(), "version": format!("{:?}", response.version())});
    let answered = match status.as_u16() {
        200 => ENDPOINTS_TLS.ok(key, text),
        503 => ENDPOINTS_TLS
            .error(key, format!("{text}: the gateway says that it cannot work"))
            .remedy("see the gateway's log"),
        407 => ENDPOINTS_TLS
            .error(key, format!("{text}: the proxy wants to know who asks"))
            .remedy("`username` and `password_file` of [connector.proxy]"),
        _ => ENDPOINTS_TLS
            .warning(key, format!("{text} for /{HEALTH}: is it a gateway?"))
            .remedy("check the address; a gateway answers /healthz with 200"),
    };
    let mut findings = vec![answered.facts(facts)];
    let certificate = response
        .extensions()
        .get::<TlsInfo>()
        .and_then(TlsInfo::peer_certificate)
        .and_then(Facts::of);
    if let Some(certificate) = certificate {
        findings.push(certificate.judge(ENDPOINTS_CERTIFICATE, key, now_ms));
    }
    findings
}

fn listeners(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let gateway = config
        .gateway
        .iter()
        .flat_map(|section| {
            let metrics = section.metrics_listen;
            [
                Some(("gateway.listen", section.listen)),
                metrics.map(|address| ("gateway.metrics_listen", address)),
            ]
        })
        .flatten();
    let metrics = config
        .connector
        .as_ref()
        .and_then(|section| section.metrics_listen)
        .map(|address| ("connector.metrics_listen", address));
    gateway.chain(metrics).collect()
}

/// Binds and does not listen: a service that starts meanwhile is not in the way, nor is this in its way.
fn listen(key: &'static str, address: SocketAddr) -> Finding {
    match try_bind(address) {
        Ok(()) if address.port() == 0 => ENDPOINTS_LISTEN.ok(
            key,
            format!(
                "{} is an address of this machine; the port will be any free one",
                address.ip()
            ),
        ),
        Ok(()) => ENDPOINTS_LISTEN.ok(key, format!("{address} is free")),
        Err(Errno::ADDRINUSE) => ENDPOINTS_LISTEN
            .note(
                key,
                format!("{address} is taken: by the running service, or by another program"),
            )
            .remedy("if the service does not run: find out who listens there (`ss -ltnp`)"),
        Err(Errno::ADDRNOTAVAIL) => {
            ENDPOINTS_LISTEN.error(key, format!("{address} is no address of this machine"))
        }
        Err(errno) => ENDPOINTS_LISTEN.error(key, format!("{address} cannot be taken: {errno}")),
    }
    .facts(json!({"address": address.to_string()}))
}

fn try_bind(address: SocketAddr) -> Result<(), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket(family, SocketType::STREAM, None)?;
    // As the services do: a port that connections have just left is free.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::doctor::finding::Severity;
    use std::net::TcpListener;

    #[test]
    fn an_address_is_free_taken_or_none_of_this_machine() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(listen("k", address).severity, Severity::Note);
        drop(taken);
        // Other tests take free addresses as well, and a process that they start holds ours until it is another program.
        let is_free = |_| {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            listen("k", address).severity == Severity::Ok
        };
        assert!((0..100).any(is_free));
        // TEST-NET-1 (RFC 5737).
        let foreign = "192.0.2.1:80".parse().unwrap();
        assert_eq!(listen("k", foreign).severity, Severity::Error);
    }
}
