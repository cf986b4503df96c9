//! Who may speak to the engine, and what happens to those who speak nonsense.

use super::engine::{Engine, Options, wait_until};
use super::openssl::{KeyAlgorithm, Workshop};
use super::requests::DEADLINE;
use super::softhsm::SoftHsm;
use audit::Verb;
use pfx_connector::engine::ipc::blocking::{Incoming, read_frame, write_frame};
use pfx_connector::engine::ipc::{Frame, HEADER_BYTES, Kind, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

pub(super) fn greeted(engine: &Engine) -> UnixStream {
    let mut stream = UnixStream::connect(engine.socket()).unwrap();
    write_frame(&mut stream, &Frame::hello()).unwrap();
    assert!(
        matches!(read_frame(&mut stream).unwrap(), Incoming::Frame(frame) if frame.kind == Kind::Hello)
    );
    stream
}

fn is_closed(mut stream: UnixStream) -> bool {
    let mut rest = Vec::new();
    // A reset is a way of closing, too.
    let _ = stream.read_to_end(&mut rest);
    stream.write_all(&[0]).is_err() || stream.write_all(&[0]).is_err()
}

#[tokio::test]
async fn nonsense_ends_only_the_connection_that_it_came_over() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;

    let mut no_greeting = UnixStream::connect(engine.socket()).unwrap();
    write_frame(&mut no_greeting, &Frame::bare(Kind::Status, 1)).unwrap();
    assert!(
        matches!(read_frame(&mut no_greeting).unwrap(), Incoming::Frame(frame) if frame.kind == Kind::Refused)
    );
    assert!(is_closed(no_greeting));

    let mut other_release = UnixStream::connect(engine.socket()).unwrap();
    write_frame(&mut other_release, &Frame::bare(Kind::Hello, 999)).unwrap();
    assert!(
        matches!(read_frame(&mut other_release).unwrap(), Incoming::Frame(frame) if frame.kind == Kind::Refused)
    );

    let mut garbage = UnixStream::connect(engine.socket()).unwrap();
    garbage
        .write_all(b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n")
        .unwrap();
    assert!(is_closed(garbage));

    let mut oversize = greeted(&engine);
    let mut header = [0u8; HEADER_BYTES];
    header[..4].copy_from_slice(&u32::try_from(MAX_PAYLOAD_BYTES + 1).unwrap().to_be_bytes());
    header[4] = PROTOCOL_VERSION;
    header[5] = 3;
    oversize.write_all(&header).unwrap();
    assert!(is_closed(oversize));

    let mut impostor = greeted(&engine);
    write_frame(&mut impostor, &Frame::bare(Kind::Reply, 1)).unwrap();
    assert!(is_closed(impostor));

    let mut no_json = greeted(&engine);
    write_frame(
        &mut no_json,
        &Frame {
            verb: Some(Verb::Recrypt),
            ..Frame::with_payload(Kind::Request, 5, b"[[[[".to_vec())
        },
    )
    .unwrap();
    let Incoming::Frame(reply) = read_frame(&mut no_json).unwrap() else {
        panic!("no answer")
    };
    assert_eq!((reply.kind, reply.id), (Kind::Reply, 5));
    assert!(String::from_utf8_lossy(&reply.payload).contains("badRequest"));

    let device = authority.device("phone", KeyAlgorithm::P256).der();
    assert!(
        client
            .recrypt(engine.request("good", &token, device), DEADLINE)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn callers_that_stall_or_do_not_read_hinder_nobody() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;

    let mut begun = greeted(&engine);
    begun.write_all(&[0, 0]).unwrap();
    let mut deaf = greeted(&engine);
    for id in 0..2_000 {
        // Who does not read is cut off sooner or later; that it hinders nobody is what counts.
        if write_frame(&mut deaf, &Frame::bare(Kind::Status, id)).is_err() {
            break;
        }
    }
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    assert!(
        client
            .recrypt(engine.request("good", &token, device), DEADLINE)
            .await
            .is_ok()
    );
    assert!(client.status().await.is_ok());
}

#[tokio::test]
async fn a_user_that_is_not_allowed_is_sent_away() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test has to run as root: it calls the engine as another user"
    );
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    // Some other user is allowed, so that the file's mode does not keep everybody out.
    let options = Options {
        engine: "allowed_uids = [64123]".to_owned(),
        ..Options::default()
    };
    let engine = Engine::start(&token, &authority, &options);
    engine.ready_client().await;
    std::fs::set_permissions(engine.path(), std::fs::Permissions::from_mode(0o755)).unwrap();

    // A hello, then what comes back, by a program that any user can run.
    let hello = workshop.path().join("hello");
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &Frame::hello()).unwrap();
    std::fs::write(&hello, bytes).unwrap();
    std::fs::set_permissions(&hello, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(workshop.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let call_as = |uid: &str| {
        let script = "$SIG{PIPE} = 'IGNORE'; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; open(my $f, '<', $ARGV[1]) or die $!; \
                      print $s join('', <$f>); $s->flush; sysread($s, my $told, 4096); print $told;";
        let output = Command::new("setpriv")
            .args(["--reuid", uid, "--regid", uid, "--clear-groups"])
            .args(["perl", "-MIO::Socket::UNIX", "-e", script])
            .arg(engine.socket())
            .arg(&hello)
            .output()
            .expect("this test needs the programs `setpriv` and `perl`");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let told = call_as("64124");
    assert!(
        String::from_utf8_lossy(&told).contains("user 64124 may not call"),
        "{told:?}"
    );
    let told = call_as("64123");
    assert_eq!(
        told.get(5),
        Some(&1),
        "the allowed user is greeted: {told:?}\n{}",
        engine.log()
    );
}

#[test]
fn nobody_but_the_owner_may_open_the_socket_unless_others_are_allowed() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    wait_until("no socket", || engine.socket().exists());
    let mode = std::fs::metadata(engine.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn it_does_not_start_where_it_would_accept_anybody_or_listen_unsafely() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let refusal = |options: &Options, prepare: &dyn Fn(&Engine)| {
        let mut engine = Engine::prepare(&token, &authority, options);
        prepare(&engine);
        engine.launch();
        let status = engine.wait();
        assert_eq!(status.code(), Some(2), "{}", engine.log());
        engine.log()
    };
    let nobody = |exceptions| Options {
        trusts_nobody: true,
        exceptions,
        ..Options::default()
    };
    assert!(refusal(&nobody(vec![]), &|_| ()).contains("no-device-anchors"));
    assert!(refusal(&nobody(vec!["no-device-anchors"]), &|_| ()).contains("unsigned-records"));
    let open_folder = refusal(&Options::default(), &|engine| {
        std::fs::set_permissions(engine.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    });
    assert!(
        open_folder.contains("everybody may put files into the folder"),
        "{open_folder}"
    );
    let occupied = refusal(&Options::default(), &|engine| {
        std::fs::write(engine.socket(), "mine").unwrap()
    });
    assert!(occupied.contains("no socket is in its place"), "{occupied}");
    let unknown_key = refusal(
        &Options {
            engine: "sockett = 1".to_owned(),
            ..Options::default()
        },
        &|_| (),
    );
    assert!(unknown_key.contains("sockett"), "{unknown_key}");
}

#[tokio::test]
async fn there_is_one_engine_on_a_socket_and_a_dead_ones_socket_is_replaced() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let mut engine = Engine::start(&token, &authority, &Options::default());
    engine.ready_client().await;
    let second = Command::new(env!("CARGO_BIN_EXE_pfx-connector"))
        .args(["engine", "--config"])
        .arg(engine.path().join("config.toml"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another engine is running"));

    engine.signal(rustix::process::Signal::KILL);
    engine.wait();
    assert!(engine.socket().exists());
    engine.launch();
    let client = engine.ready_client().await;
    let device = authority.device("phone", KeyAlgorithm::P256).der();
    assert!(
        client
            .recrypt(engine.request("again", &token, device), DEADLINE)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_holds_secrets_or_parses_leaves_no_core_and_gains_no_rights() {
    let workshop = Workshop::new();
    let authority = workshop.authority("Devices", KeyAlgorithm::P256);
    let token = SoftHsm::new();
    let engine = Engine::start(&token, &authority, &Options::default());
    let client = engine.ready_client().await;
    let status = client.status().await.unwrap();
    let parts = status.parts.iter().filter(|part| part.name != "supervisor");
    let mut seen = 0;
    for part in parts {
        let folder = format!("/proc/{}", part.pid.unwrap());
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let words = |text: &str, start: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap();
            line[start.len()..]
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(words(&read("status"), "NoNewPrivs:"), ["1"], "{part:?}");
        let core = words(&read("limits"), "Max core file size");
        assert_eq!(core[..2], ["0", "0"], "{part:?}");
        seen += 1;
    }
    assert_eq!(seen, 2);
}
