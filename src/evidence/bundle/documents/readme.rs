//! README.txt: what each file is, and how the bundle is verified by this program or without it.

use super::Evidence;
use crate::encoding::printable;
use crate::evidence::bundle::{DOCUMENTS, MANIFEST, ReportKey, SIGNATURE, SIGNER};
use std::fmt::Write;

/// The document. Lines that are indented by four spaces are commands for a shell in the folder of the bundle.
pub(super) fn text(evidence: &Evidence) -> String {
    let status = &evidence.status;
    let mut text = String::from(
        "FIPS evidence bundle of pfx-connector\n=====================================\n\n",
    );
    let _ = writeln!(text, "Made      {}", status.made_at);
    let _ = writeln!(text, "By        pfx-connector {}", status.version);
    let _ = writeln!(text, "Asked     {}", status.source);
    let _ = writeln!(text, "Claim     {}", printable(&status.overall.says));
    let _ = writeln!(
        text,
        "This bundle is {}.\n",
        printable(&evidence.signed_by())
    );

    let _ = writeln!(text, "Files\n-----");
    for document in DOCUMENTS {
        let _ = writeln!(text, "{:<19} {}", document.name, document.holds);
    }
    let _ = writeln!(
        text,
        "{MANIFEST:<19} SHA-256, size and name of every file above, and who signed"
    );
    if evidence.report_key.is_some() {
        let _ = writeln!(text, "{SIGNATURE:<19} the signature over {MANIFEST}");
        let _ = writeln!(text, "{SIGNER:<19} the public key of the signature");
    }

    let _ = write!(text, "{BY_THE_PROGRAM}");
    if evidence.report_key.is_some() {
        let _ = write!(text, "{WITH_THE_KEY}");
    }
    let _ = write!(text, "{DIGESTS}");
    if let Some(key) = &evidence.report_key {
        signature(&mut text, key);
    }
    let _ = write!(text, "{WHAT_IT_PROVES}");
    if evidence.report_key.is_none() {
        let _ = write!(text, "{NOT_SIGNED}");
    }
    text
}

const BY_THE_PROGRAM: &str = "
Verify it with the program, on any machine
------------------------------------------
    pfx-connector fips report --verify .
";

const WITH_THE_KEY: &str = "
and, with the public key that you had before, from a place that you trust:

    pfx-connector fips report --verify . --public-key REPORT-KEY.pem
";

const DIGESTS: &str = "
Verify it without the program
-----------------------------
The digests; every file has to be OK, and there has to be no other file than those that are listed above:

    sed -n 's/^\\([0-9a-f]\\{64\\}\\)  [0-9]*  /\\1  /p' MANIFEST | sha256sum --check --strict
";

fn signature(text: &mut String, key: &ReportKey) {
    let digest = match key.algorithm {
        "ecdsa-p384-sha384" => "-sha384",
        "ecdsa-p521-sha512" => "-sha512",
        _ => "-sha256",
    };
    let padding = if key.algorithm.starts_with("rsa") {
        " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"
    } else {
        ""
    };
    let _ = write!(
        text,
        "
The signature; OpenSSL has to say \"Verified OK\":

    sed -n 's/^signature //p' MANIFEST.sig | base64 -d > ../MANIFEST.signature
    openssl dgst {digest}{padding} -verify SIGNER.pem -signature ../MANIFEST.signature MANIFEST

The fingerprint of the key, which has to be {fingerprint}
and has to be the one that you were told by another way than this bundle:

    openssl pkey -pubin -in SIGNER.pem -outform DER | sha256sum
",
        fingerprint = key.fingerprint
    );
}

const WHAT_IT_PROVES: &str = "
What this proves, and what not
------------------------------
The documents are what the running processes, the token and the program said of themselves when the bundle was made. Digests and
signature prove that nothing was changed since. They do not prove that the machine told the truth: whoever controls the machine
controls what it says. What can be checked elsewhere is named in each document: the digest of the module's source, the build that
can be repeated, the packages with their checksums, the certificates of the module and of the token.
";

const NOT_SIGNED: &str = "
This bundle is NOT SIGNED: it holds digests only. They show an accident; whoever changes a file on purpose can write them anew.
A key is named in the configuration: `report_key` or `report_token_key` of [fips].
";
