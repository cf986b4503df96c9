//! docs/fips/policy-table.md, made from the table in `fips::policy`.

use fips::policy::{
    Bound, Entry, Exception, IndicatorReading, Performer, Service, Standing, TABLE_VERSION,
};
use std::fmt::Write;

const BEGINNING: &str = "# The policy table

<!-- Made from fips/src/policy: `UPDATE_DOCS=1 cargo test --test fips_docs` -->

Every cryptographic service of the program, as `fips::policy::Service::ALL` has it: the program performs these and no others (F-11 of
[verify.md](verify.md)). A use is decided by its row before it happens, from the very arguments of the call, and counted under its name. `policy.json` of
an evidence bundle is the same table with the counts of each process.

- **performer**: the validated `module`; the `token` behind PKCS#11, approved as far as the token is validated for it, which is the operator's statement; the `program`
  itself, with primitives of the other two, which is never approved (F-13).
- **standing**: approved, or the exception without which strict mode refuses it.
- **indicator**: what the module's service indicator does over one successful use. `moves` and `stands-still` are checked at every use, and anything else is a fault
  (F-22, F-24). `no-evidence`: it proves nothing, because it counts primitives inside, ignores a bound, or the work is done elsewhere (F-23).
- \"Security policy\" is the one of certificates 5314 and 5298. Its table 8 lists what is \"non-approved, not allowed\". What its list of approved algorithms does not
  name is not approved here either.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = BEGINNING.to_owned();
    let not_approved = Service::ALL
        .iter()
        .filter(|service| !service.entry().standing.is_approved())
        .count();
    let approved = Service::ALL.len() - not_approved;
    write!(
        page,
        "\nVersion {TABLE_VERSION} of the table: {} services, {approved} approved and {not_approved} not.\n\n\
         ## Overview\n\n| service | operation | performer | standing | indicator |\n|---|---|---|---|---|\n",
        Service::ALL.len()
    )
    .unwrap();
    for service in Service::ALL {
        let Entry {
            name,
            operation,
            performer,
            standing,
            indicator,
            ..
        } = service.entry();
        let standing = match standing {
            Standing::Approved => "approved".to_owned(),
            Standing::NotApproved { exception, .. } => format!("not approved: `{exception}`"),
            Standing::OffOnly { .. } => "not approved: in mode off alone".to_owned(),
        };
        writeln!(
            page,
            "| [`{name}`](#{name}) | {operation} | {} | {standing} | {} |",
            Performer::name(performer),
            IndicatorReading::name(indicator)
        )
        .unwrap();
    }
    exceptions(&mut page);
    page.push_str("\n## Row by row\n");
    for service in Service::ALL {
        row(&mut page, &service.entry());
    }
    page
}

fn exceptions(page: &mut String) {
    page.push_str(
        "\n## Exceptions\n\nNamed one by one in `fips.exceptions` of a process' configuration. Each permits its services and no others (F-16).\n\n\
         | exception | permits | services |\n|---|---|---|\n",
    );
    for exception in Exception::ALL {
        let services: Vec<_> = exception
            .services()
            .map(|service| format!("`{}`", service.name()))
            .collect();
        writeln!(
            page,
            "| `{exception}` | {} | {} |",
            exception.permits(),
            services.join(", ")
        )
        .unwrap();
    }
}

fn row(page: &mut String, entry: &Entry) {
    // Without `..`: a column that is added does not compile until it is on the page.
    let Entry {
        name,
        operation,
        parameters,
        bounds,
        performer,
        standing,
        source,
        remedy,
        indicator,
        functions,
    } = *entry;
    writeln!(page, "\n### {name}\n").unwrap();
    let mut line = |what: &str, text: &str| writeln!(page, "- {what}: {text}").unwrap();
    line("operation", operation);
    line("parameters", parameters);
    for bound in bounds {
        line("bound", &in_words(bound));
    }
    line("performer", performer.name());
    match standing {
        Standing::Approved => line("standing", "approved"),
        Standing::NotApproved { reason, exception } => {
            line("standing", &format!("not approved: {reason}"));
            line("exception", &format!("`{exception}`"));
        }
        Standing::OffOnly { reason } => {
            line("standing", &format!("not approved: {reason}"));
            line("exception", "none: in mode off alone");
        }
    }
    line("source", source);
    if !remedy.is_empty() {
        line("remedy", remedy);
    }
    line("indicator", indicator.name());
    let functions: Vec<_> = functions
        .iter()
        .map(|function| format!("`{function}`"))
        .collect();
    line("functions", &functions.join(", "));
}

fn in_words(bound: &Bound) -> String {
    let Bound {
        name,
        minimum,
        tested,
    } = bound;
    match tested {
        Some((from, to)) => {
            format!("{name}: {minimum} or more are approved; the laboratory tested {from} to {to}")
        }
        None => format!("{name}: {minimum} or more are approved"),
    }
}
