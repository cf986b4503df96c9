#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]
use super::blocking::{Incoming, read_frame, write_frame};
use super::*;
use std::io::Read;

/// SplitMix64: the same bytes in every run, so that a failure can be repeated from its seed.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    fn frame(&mut self) -> Frame {
        let length = self.below(200_000);
        Frame {
            kind: Kind::ALL[self.below(Kind::ALL.len())],
            verb: Verb::from_code(self.next().to_be_bytes()[0] % 20),
            id: self.next(),
            time_left_ms: u32::try_from(self.next() >> 32).unwrap(),
            caller: Caller {
                uid: Some(u32::try_from(self.next() >> 33).unwrap()),
                certificate: (self.below(2) == 0).then_some([7; 32]),
            },
            payload: self.bytes(length).into(),
        }
    }
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, frame).unwrap();
    bytes
}

/// Gives out what it has in pieces of random size.
struct Trickle<'a>(&'a [u8], Generator);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (1 + self.1.below(70_000))
            .min(self.0.len())
            .min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn frames_survive_any_cutting_of_the_stream() {
    let mut generator = Generator(1);
    let frames: Vec<_> = (0..20).map(|_| generator.frame()).collect();
    let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
    let mut stream = Trickle(&bytes, Generator(2));
    for frame in &frames {
        assert_eq!(
            read_frame(&mut stream).unwrap(),
            Incoming::Frame(frame.clone())
        );
    }
    assert_eq!(read_frame(&mut stream).unwrap(), Incoming::Closed);
}

#[tokio::test]
async fn both_codecs_write_and_read_the_same() {
    let mut generator = Generator(3);
    for _ in 0..10 {
        let frame = generator.frame();
        let mut bytes = Vec::new();
        asynchronous::write_frame(&mut bytes, &frame).await.unwrap();
        assert_eq!(bytes, encode(&frame));
        let read = asynchronous::read_frame(&mut bytes.as_slice())
            .await
            .unwrap();
        assert_eq!(read, Some(frame));
    }
    assert!(
        asynchronous::read_frame(&mut [].as_slice())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_is_an_error_at_every_place() {
    let bytes = encode(&Frame::with_payload(Kind::Request, 7, b"{}".to_vec()));
    for end in 1..bytes.len() {
        let mut short = &bytes[..end];
        assert!(
            matches!(read_frame(&mut short), Err(FrameError::Truncated)),
            "{end}"
        );
        let mut short = &bytes[..end];
        let read = asynchronous::read_frame(&mut short).await;
        assert!(matches!(read, Err(FrameError::Truncated)), "{end}");
        assert!(decode(&bytes[..end]).unwrap().is_none(), "{end}");
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_allocated() {
    let mut bytes = encode(&Frame::bare(Kind::Request, 1));
    bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(decode(&bytes), Err(FrameError::TooLong(_))));
    assert!(matches!(
        read_frame(&mut bytes.as_slice()),
        Err(FrameError::TooLong(_))
    ));
    let long = Frame::with_payload(Kind::Request, 1, vec![0; MAX_PAYLOAD_BYTES + 1]);
    assert!(matches!(
        write_frame(&mut Vec::new(), &long),
        Err(FrameError::TooLong(_))
    ));
}

#[test]
fn another_version_and_unknown_kinds_and_verbs_are_refused() {
    let good = encode(&Frame::hello());
    for version in (0..=u8::MAX).filter(|version| *version != PROTOCOL_VERSION) {
        let mut bytes = good.clone();
        bytes[4] = version;
        assert!(matches!(
            decode(&bytes),
            Err(FrameError::ProtocolVersion(_))
        ));
    }
    for kind in (0..=u8::MAX).filter(|kind| Kind::from_code(*kind).is_none()) {
        let mut bytes = good.clone();
        bytes[5] = kind;
        assert!(matches!(decode(&bytes), Err(FrameError::UnknownKind(_))));
    }
    for verb in (1..=u8::MAX).filter(|verb| Verb::from_code(*verb).is_none()) {
        let mut bytes = good.clone();
        bytes[6] = verb;
        assert!(matches!(decode(&bytes), Err(FrameError::UnknownVerb(_))));
    }
}

#[test]
fn a_greeting_of_another_version_of_the_messages_is_refused() {
    assert!(Frame::hello().expect_hello().is_ok());
    assert!(matches!(
        Frame::bare(Kind::Hello, 99).expect_hello(),
        Err(FrameError::MessagesVersion(99))
    ));
    assert!(matches!(
        Frame::bare(Kind::Ping, 1).expect_hello(),
        Err(FrameError::NoGreeting)
    ));
}

#[test]
fn random_bytes_are_never_a_panic_and_never_more_than_the_bound() {
    let mut generator = Generator(4);
    for _ in 0..20_000 {
        let length = generator.below(64);
        let mut bytes = generator.bytes(length);
        // Half of them look like a frame at first sight, so that the parser gets further.
        if generator.below(2) == 0 && bytes.len() >= 6 {
            bytes[0] = 0;
            bytes[1] = 0;
            bytes[4] = PROTOCOL_VERSION;
            bytes[5] = Kind::ALL[generator.below(Kind::ALL.len())].code();
        }
        if let Ok(Some((frame, taken))) = decode(&bytes) {
            assert!(taken <= bytes.len());
            assert_eq!(encode(&frame), bytes[..taken]);
        }
        let _ = read_frame(&mut bytes.as_slice());
    }
}

#[test]
fn frames_beyond_what_the_socket_takes_arrive_whole_and_in_order() {
    const FRAMES: u64 = 2000;
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let link = Duplex::start("test", ours, 64 * 1024 * 1024).unwrap();
    // Several MiB before anybody reads: the socket takes some, one of them in part.
    for id in 0..FRAMES {
        let payload = vec![u8::try_from(id % 251).unwrap(); 3001];
        assert!(link.send(Frame::with_payload(Kind::Reply, id, payload)));
    }
    assert!(!link.is_drained());
    for id in 0..FRAMES {
        let Incoming::Frame(frame) = read_frame(&mut theirs).unwrap() else {
            panic!("the connection ended before frame {id}");
        };
        assert_eq!(frame.id, id);
        assert_eq!(*frame.payload, vec![u8::try_from(id % 251).unwrap(); 3001]);
    }
}

#[test]
fn who_asks_is_in_the_header_and_nobody_is_nobody() {
    let mut frame = Frame::bare(Kind::Request, 1);
    let read = |frame: &Frame| Header::parse(&frame.header().unwrap()).unwrap().caller;
    assert_eq!(read(&frame), Caller::default());
    for uid in [0, 1000, u32::MAX - 1] {
        frame.caller = Caller {
            uid: Some(uid),
            certificate: Some([uid.to_be_bytes()[3] | 1; 32]),
        };
        assert_eq!(read(&frame), frame.caller);
    }
}
