//! An engine that speaks the real frames and answers what a test wants; it counts who asked how often.

use pfx_connector::engine::api::{
    EngineReply, EngineRequest, EngineStatus, Failure, FailureCode, Recrypted,
};
use pfx_connector::engine::ipc::asynchronous::{read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, Kind};
use pfx_connector::evidence::process::FaultEvidence;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Recrypt,
    Fail(FailureCode),
    Delay(Duration),
    Never,
}

type Script = dyn Fn(&str, u32) -> Answer + Send + Sync;

#[derive(Clone)]
pub(crate) struct FakeEngine {
    pub(crate) path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    calls: Mutex<HashMap<String, u32>>,
    script: Mutex<Arc<Script>>,
    token: Mutex<bool>,
    module_fails: Mutex<bool>,
}

impl FakeEngine {
    /// Listens; every request is answered as `script` says, which is given its name and how often it was asked before.
    pub(crate) fn start(
        folder: &Path,
        script: impl Fn(&str, u32) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let path = folder.join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = Self {
            path,
            shared: Arc::new(Shared {
                calls: Mutex::new(HashMap::new()),
                script: Mutex::new(Arc::new(script)),
                token: Mutex::new(true),
                module_fails: Mutex::new(false),
            }),
        };
        let shared = Arc::clone(&engine.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(speak(stream, Arc::clone(&shared)));
            }
        });
        engine
    }

    pub(crate) fn calls(&self, request_id: &str) -> u32 {
        self.shared
            .calls
            .lock()
            .unwrap()
            .get(request_id)
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn total_calls(&self) -> u32 {
        self.shared.calls.lock().unwrap().values().sum()
    }

    pub(crate) fn set_script(&self, script: impl Fn(&str, u32) -> Answer + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    pub(crate) fn set_module_fails(&self, fails: bool) {
        *self.shared.module_fails.lock().unwrap() = fails;
    }

    pub(crate) fn set_token(&self, there: bool) {
        *self.shared.token.lock().unwrap() = there;
    }
}

async fn speak(stream: UnixStream, shared: Arc<Shared>) {
    let (mut reading, mut writing) = stream.into_split();
    let hello = read_frame(&mut reading).await.unwrap().unwrap();
    hello.expect_hello().unwrap();
    write_frame(&mut writing, &Frame::hello()).await.unwrap();
    let (answers, mut queue) = tokio::sync::mpsc::unbounded_channel::<Frame>();
    tokio::spawn(async move {
        while let Some(frame) = queue.recv().await {
            if write_frame(&mut writing, &frame).await.is_err() {
                break;
            }
        }
    });
    while let Ok(Some(frame)) = read_frame(&mut reading).await {
        let (shared, answers) = (Arc::clone(&shared), answers.clone());
        tokio::spawn(async move {
            if let Some(reply) = reply(&frame, &shared).await {
                let _ = answers.send(Frame::json(Kind::Reply, frame.id, &reply).unwrap());
            }
        });
    }
}

async fn reply(frame: &Frame, shared: &Shared) -> Option<EngineReply> {
    if frame.kind == Kind::Status {
        let token = *shared.token.lock().unwrap();
        let mut status = status(token);
        if *shared.module_fails.lock().unwrap() {
            status.module_fault = Some(FaultEvidence {
                code: "integrity_failed".to_owned(),
                message: "as the test wants".to_owned(),
                at: "2026-01-01T00:00:00Z".to_owned(),
            });
        }
        return Some(EngineReply::Status(Box::new(status)));
    }
    assert_eq!(frame.kind, Kind::Request);
    let EngineRequest::Recrypt(request) = serde_json::from_slice(&frame.payload).unwrap() else {
        panic!("only recrypt comes in a request frame");
    };
    let before = {
        let mut calls = shared.calls.lock().unwrap();
        let count = calls.entry(request.request_id.clone()).or_insert(0);
        *count += 1;
        *count - 1
    };
    if *shared.module_fails.lock().unwrap() {
        return Some(failed(FailureCode::ModuleOutOfService));
    }
    if !*shared.token.lock().unwrap() {
        return Some(failed(FailureCode::TokenUnavailable));
    }
    let script = Arc::clone(&shared.script.lock().unwrap());
    match script(&request.request_id, before) {
        Answer::Recrypt => {}
        Answer::Fail(code) => return Some(failed(code)),
        Answer::Delay(pause) => tokio::time::sleep(pause).await,
        Answer::Never => std::future::pending().await,
    }
    Some(EngineReply::Recrypted(Recrypted {
        cms: format!("cms of {} number {before}", request.request_id)
            .into_bytes()
            .into(),
        custody_key: "00".repeat(32),
    }))
}

fn failed(code: FailureCode) -> EngineReply {
    EngineReply::Failed(Failure {
        code,
        message: "as the test wants".to_owned(),
    })
}

fn status(token: bool) -> EngineStatus {
    EngineStatus {
        fips: Vec::new(),
        program: None,
        module_fault: None,
        token_certificate: None,
        version: "test".to_owned(),
        module_version: "none".to_owned(),
        token_problem: (!token).then(|| "taken away by the test".to_owned()),
        token: token.then(|| serde_json::json!({"label": "test"})),
        revocation_lists: Vec::new(),
        capabilities: None,
        keys: Vec::new(),
        parts: Vec::new(),
        exceptions: vec!["no-device-anchors".to_owned()],
        deliveries: Vec::new(),
        authorities: Vec::new(),
        key_uses: 0,
        decryptions_shared: 0,
        oracle: None,
        issuance: None,
        audit: None,
        pkcs1_keys: Vec::new(),
        calendar: Vec::new(),
        tokens: Vec::new(),
        switching: Default::default(),
        answered: 0,
        in_flight: 0,
        coarse: false,
    }
}
