//! Whose signatures are believed: of OpenSSL's mock server with certificates of every kind.

use super::mock::MockServer;
use super::openssl::{Issuance, KeyAlgorithm, Workshop};
use super::strict;
use super::world::{SPEAKER, SPEAKING_AUTHORITY, World, client, extensions};
use ca::{CertificationAuthority as _, ErrorClass};
use pki::cmp::Trust;
use std::path::Path;

/// What becomes of a question to a server that signs with this certificate.
async fn believed(
    world: &World<'_>,
    signer: (&Path, &Path),
    trust: Trust,
    more: &[&str],
) -> Result<(), ca::Error> {
    let root = &world.root.certificate;
    let server = MockServer::signing(signer, root, &world.device.certificate, more);
    let mut settings = world.settings(&server.url);
    settings.credential = world.signature(trust);
    client(settings).health().await.map(drop)
}

fn refused(answer: Result<(), ca::Error>, why: &str) {
    let error = answer.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Credential, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[tokio::test]
async fn an_authority_speaks_for_itself_and_for_those_below_it() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let below = world.root.intermediate_with(
        "Issuing",
        KeyAlgorithm::P384,
        &extensions(SPEAKING_AUTHORITY),
    );
    let signer = (below.certificate.as_path(), below.key.as_path());
    believed(&world, signer, world.trust(), &[]).await.unwrap();

    let speaker = below.device_with("Below", KeyAlgorithm::P256, &extensions(SPEAKER));
    let signer = (speaker.certificate.as_path(), speaker.key.as_path());
    // Its chain is configured here.
    let trust = Trust::new(&[world.root.der()], &[], &[below.der()]).unwrap();
    believed(&world, signer, trust, &[]).await.unwrap();
    // Or comes along.
    let chain = below.certificate.to_str().unwrap();
    believed(&world, signer, world.trust(), &["-srv_untrusted", chain])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_certificate_that_anybody_gets_from_the_authority_does_not_speak_for_it() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let signer = (
        world.connector.certificate.as_path(),
        world.connector.key.as_path(),
    );
    refused(
        believed(&world, signer, world.trust(), &[]).await,
        "neither id-kp-cmcCA nor id-kp-cmcRA",
    );
    // Unless it is named itself.
    let pinned = Trust::new(&[], &[world.connector.der()], &[]).unwrap();
    believed(&world, signer, pinned, &[]).await.unwrap();
    // Which is what it means to name it among the anchors.
    let named = Trust::new(&[world.connector.der()], &[], &[]).unwrap();
    believed(&world, signer, named, &[]).await.unwrap();
}

#[tokio::test]
async fn signers_that_are_strangers_expired_or_not_for_signing_are_refused() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let stranger = workshop.authority("Company Root", KeyAlgorithm::P256);
    let impostor = stranger.device_with("Registration", KeyAlgorithm::P256, &extensions(SPEAKER));
    let expired = world.root.device_with(
        "Late",
        KeyAlgorithm::P256,
        &Issuance {
            not_after: "20210101000000Z".to_owned(),
            ..extensions(SPEAKER)
        },
    );
    let mute = world.root.device_with(
        "Mute",
        KeyAlgorithm::P256,
        &extensions("keyUsage = critical, keyAgreement\nextendedKeyUsage = 1.3.6.1.5.5.7.3.28"),
    );
    let restricted = world.root.device_with(
        "Restricted",
        KeyAlgorithm::P256,
        &extensions(&format!("{SPEAKER}\n1.2.3.4 = critical, DER:0500")),
    );
    let (certificate, key) = (world.speaker.certificate.clone(), world.speaker.key.clone());
    let no_authority = workshop.authority_of(certificate, key);
    let below_nobody =
        no_authority.device_with("Below Nobody", KeyAlgorithm::P256, &extensions(SPEAKER));
    for (signer, why) in [
        (&impostor, "does not chain to a configured anchor"),
        (&expired, "expired"),
        (&mute, "no digitalSignature"),
        (&restricted, "critical extension 1.2.3.4"),
        (&below_nobody, "is not an authority's"),
    ] {
        let pair = (signer.certificate.as_path(), signer.key.as_path());
        let chain = world.speaker.certificate.to_str().unwrap();
        let more = ["-srv_untrusted", chain];
        refused(believed(&world, pair, world.trust(), &more).await, why);
    }
    assert!(Trust::new(&[], &[], &[]).is_err());
}

#[tokio::test]
async fn what_is_not_protected_is_not_believed_errors_neither() {
    strict();
    let workshop = Workshop::new();
    let world = World::new(&workshop, KeyAlgorithm::P256);
    let signer = (
        world.speaker.certificate.as_path(),
        world.speaker.key.as_path(),
    );
    let root = &world.root.certificate;
    for more in [
        &["-send_unprotected"][..],
        &["-send_unprot_err", "-send_error"],
    ] {
        let server = MockServer::signing(signer, root, &world.device.certificate, more);
        let error = world.client(&server.url).enroll(&world.order()).await;
        let error = error.unwrap_err();
        // Whether it issued, nobody knows.
        assert_eq!(error.class(), ErrorClass::Unknown, "{more:?}: {error}");
        assert!(error.to_string().contains("no protection"), "{error}");
        if more.len() > 1 {
            assert!(
                error
                    .to_string()
                    .contains("it claims to be a refusal: badRequest"),
                "{error}"
            );
        }
    }
}
