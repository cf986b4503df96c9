//! Frames of the engine's sockets and the messages in them.

use pfx_connector::engine::api::{EngineReply, EngineRequest};
use pfx_connector::engine::formats_process;
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::engine::ipc::decode;

/// A stream of frames.
pub(crate) fn run(data: &[u8]) {
    let mut stream = data;
    let mut at = 0_usize;
    while let Ok(Incoming::Frame(frame)) = read_frame(&mut stream) {
        // Both readers see the same frames, and a frame is written as it was read.
        let (again, taken) = decode(&data[at..]).unwrap().unwrap();
        assert_eq!(again, frame);
        let mut written = Vec::new();
        write_frame(&mut written, &frame).unwrap();
        assert_eq!(written, &data[at..at + taken]);
        at += taken;
        message(&frame.payload);
    }
    message(data);
}

fn message(payload: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<EngineRequest>(payload) {
        let text = serde_json::to_vec(&request).unwrap();
        assert_eq!(request, serde_json::from_slice(&text).unwrap());
    }
    let _ = serde_json::from_slice::<EngineReply>(payload);
    let _ = formats_process::answer(payload);
}
