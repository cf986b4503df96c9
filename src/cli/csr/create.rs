//! `csr create`.

use super::key::{KeyArgs, Source};
use super::{human, refusal};
use crate::cli::output::{self, Failure, Report};
use crate::cli::{Context, files, process};
use crate::config::secret_file;
use clap::Args;
use der::pem::LineEnding;
use fips::secret::Password;
use pki::csr::{Csr, Request, create};
use pki::extension::{self, Extensions, Template};
use pki::inspect::CsrReport;
use pki::name::{Lengths, SubjectTemplate};
use pki::san::{SanTemplate, Sid};
use pki::template::{Values, Variable};
use serde_json::json;
use std::path::PathBuf;
use x509_cert::ext::pkix::KeyUsages;

/// `csr create`.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The subject (RFC 4514), which may hold variables: `CN={{UserName}},O=Example\, Inc.,C=DE`
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Value of a variable of --subject and --san; whatever is in it is text
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// Subject alternative name: email:ADDRESS, upn:NAME, dns:NAME, uri:URI or sid:S-1-5-21-...; may hold variables
    #[arg(long, value_name = "KIND:TEXT")]
    san: Vec<SanTemplate>,
    /// Uses of the key (RFC 5280), such as digitalSignature,keyEncipherment
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    key_usage: Vec<String>,
    /// Purposes (extended key usage): emailProtection, clientAuth, smartcardLogon ..., or object identifiers
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    purpose: Vec<String>,
    /// Name of a Microsoft certificate template, version 1: the short one, not the one that is displayed
    #[arg(long, value_name = "NAME")]
    template_name: Option<String>,
    /// Microsoft certificate template, version 2: its object identifier, with the version where it is wanted (1.3.6...:100:3)
    #[arg(long, value_name = "OID[:MAJOR[:MINOR]]")]
    template: Option<String>,
    /// Security identifier of the account, in Microsoft's extension (1.3.6.1.4.1.311.25.2)
    #[arg(long, value_name = "SID")]
    sid_extension: Option<Sid>,
    /// File with a challenge password (RFC 2985), which stands in the request for everybody to read
    #[arg(long, value_name = "FILE")]
    challenge_password_file: Option<PathBuf>,
    /// Allow common names of up to 256 characters, for authorities that do not enforce the 64 of RFC 5280
    #[arg(long)]
    long_common_name: bool,
    #[command(flatten)]
    key: KeyArgs,
    /// File for the request; one that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write it in DER; PEM without this
    #[arg(long)]
    der: bool,
}

/// Runs it: everything that can be wrong is found before a key is made, and no file is left when something is.
pub(super) fn run(args: &CreateArgs, context: &Context) -> Result<Report, Failure> {
    files::must_be_new(&args.out)?;
    args.key.check(&args.out)?;
    let request = request(args)?;
    process::protect_memory()?;
    let source = args.key.open(context)?;
    let der = create(&request, source.signer()).map_err(|error| refusal(&error))?;
    // What is handed over is what a reader of ours takes.
    let csr = Csr::read(&der).map_err(|error| refusal(&error))?;
    let bytes = match args.der {
        true => der.clone(),
        false => der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, &der)
            .map_err(|error| Failure::failed("encoding", error.to_string()))?
            .into_bytes(),
    };
    let key_file = source.store()?;
    files::place_new(&args.out, &bytes, 0o644).map_err(|failure| match &key_file {
        Some(file) => failure.hint(format!(
            "the key is in {}: make the request again with `--key`",
            file.display()
        )),
        None => failure,
    })?;
    Ok(report(args, &source, key_file, &CsrReport::of(&csr)))
}

fn request(args: &CreateArgs) -> Result<Request, Failure> {
    let values = values(&args.variables)?;
    let lengths = match args.long_common_name {
        true => Lengths::LongCommonName,
        false => Lengths::Rfc5280,
    };
    let subject = SubjectTemplate::parse(args.subject.as_deref().unwrap_or_default())
        .map_err(|error| Failure::usage("subject", format!("--subject: {error}")))?
        .fill(&values, lengths)
        .map_err(|error| Failure::usage("subject", error.to_string()))?;
    let alt_names = args
        .san
        .iter()
        .map(|template| template.fill(&values))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::usage("san", error.to_string()))?;
    let unusable =
        |error: extension::ExtensionError| Failure::usage("extension", error.to_string());
    let mut key_usage = None;
    for name in &args.key_usage {
        let usage: KeyUsages = extension::usage(name.trim()).map_err(unusable)?;
        key_usage = Some(key_usage.unwrap_or_default() | usage);
    }
    let purposes = args
        .purpose
        .iter()
        .map(|name| extension::purpose(name.trim()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unusable)?;
    let challenge_password = match &args.challenge_password_file {
        Some(file) => Some(Password::new(secret_file::read(file)?)),
        None => None,
    };
    Ok(Request {
        subject,
        extensions: Extensions {
            alt_names,
            key_usage,
            purposes,
            template_name: args.template_name.clone(),
            template: args.template.as_deref().map(template).transpose()?,
            sid: args.sid_extension.clone(),
            ..Extensions::default()
        },
        challenge_password,
    })
}

fn values(pairs: &[String]) -> Result<Values, Failure> {
    let mut values = Values::new();
    for pair in pairs {
        let wrong = |problem: String| Failure::usage("variable", format!("--var: {problem}"));
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("write NAME=VALUE".to_owned()))?;
        let variable = Variable::named(name).map_err(|error| wrong(error.to_string()))?;
        values
            .set(variable, value)
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(values)
}

fn template(text: &str) -> Result<Template, Failure> {
    let wrong = || {
        Failure::usage(
            "template",
            "--template is an object identifier, or one with its version: 1.3.6.1.4.1.311.21.8.1:100:3",
        )
    };
    let mut parts = text.split(':');
    let id = parts
        .next()
        .and_then(|id| id.parse().ok())
        .ok_or_else(wrong)?;
    let mut number = || {
        parts
            .next()
            .map(|part| part.parse().map_err(|_| wrong()))
            .transpose()
    };
    let (major, minor) = (number()?, number()?);
    match parts.next() {
        None => Ok(Template { id, major, minor }),
        Some(_) => Err(wrong()),
    }
}

fn report(
    args: &CreateArgs,
    source: &Source,
    key_file: Option<PathBuf>,
    request: &CsrReport,
) -> Report {
    let json = json!({
        "file": args.out,
        "form": if args.der { "der" } else { "pem" },
        "key_file": key_file,
        "key_protection": source.protection(),
        "request": request,
    });
    let mut head = format!(
        "Wrote {}: a request signed by {}.",
        args.out.display(),
        source.words()
    );
    if let Some(file) = &key_file {
        head.push_str(&format!(
            "\nWrote {}: its key, {}.",
            file.display(),
            source.protection().words()
        ));
    }
    let text = format!("{head}\n{}", human::request(request, output::colours()));
    Report::done(json, text).with_fips()
}
