//! The way to an authority, which can be closed: then nobody listens at its address, and connections to it are refused.

use super::stack::block_on;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub(crate) struct Way {
    address: SocketAddr,
    /// Host and port of the authority.
    target: String,
    path: String,
    open: Option<JoinHandle<()>>,
    runtime: Runtime,
    /// Keeps the port while nobody listens.
    _reserved: TcpSocket,
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

impl Way {
    /// Closed, to the authority at this address (`http://host:port/path`).
    pub(crate) fn to(url: &str) -> Self {
        let rest = url.strip_prefix("http://").unwrap();
        let (target, path) = rest.split_once('/').unwrap();
        let reserved = socket("127.0.0.1:0".parse().unwrap());
        Self {
            address: reserved.local_addr().unwrap(),
            target: target.to_owned(),
            path: path.to_owned(),
            open: None,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            _reserved: reserved,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.path)
    }

    pub(crate) fn open(&mut self) {
        let (address, target) = (self.address, self.target.clone());
        let listener = self
            .runtime
            .block_on(async move { socket(address).listen(64).unwrap() });
        self.open = Some(self.runtime.spawn(pass_on(listener, target)));
    }

    /// When it returns, nobody listens.
    pub(crate) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            assert!(block_on(open).unwrap_err().is_cancelled());
        }
    }
}

async fn pass_on(listener: TcpListener, target: String) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let target = target.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
