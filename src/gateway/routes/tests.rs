//! Who may call what, written by hand: a new route does not pass before somebody has written its line.

use super::*;

const PUBLIC: &str = "public";
const CONNECTOR: &str = "connector";

const TABLE: &[(&str, &[&str])] = &[
    ("health", &[PUBLIC]),
    ("describe", &[PUBLIC]),
    ("createRecord", &["importer"]),
    ("listRecords", &["importer", "administrator"]),
    ("getRecord", &["importer", "administrator"]),
    ("updateRecord", &["importer"]),
    ("deleteRecord", &["importer", "administrator"]),
    ("createDeviceRequest", &["mdm"]),
    ("getRequest", &["mdm"]),
    ("collectResult", &["mdm"]),
    ("lease", &[CONNECTOR]),
    ("extendLease", &[CONNECTOR]),
    ("completeRequest", &[CONNECTOR]),
    ("failRequest", &[CONNECTOR]),
    ("heartbeat", &[CONNECTOR]),
    ("getStatus", &["administrator"]),
    ("listConnectors", &["administrator"]),
    ("revokeConnector", &["administrator"]),
    ("forgetConnector", &["administrator"]),
    ("listTokens", &["administrator"]),
    ("revokeToken", &["administrator"]),
    ("listAudit", &["administrator"]),
    ("listRotationRecords", &["rotation"]),
    ("readRotationRecord", &["rotation"]),
    ("replaceRotationRecord", &["rotation"]),
    ("enrolConnector", &["enrolment"]),
    ("renewConnector", &[CONNECTOR]),
    ("createImportProfile", &["administrator"]),
    ("listImportProfiles", &["administrator"]),
    ("getImportProfile", &["administrator"]),
    ("replaceImportProfile", &["administrator"]),
    ("deleteImportProfile", &["administrator"]),
    ("createImportRequest", &["mdm"]),
    ("createPkcsProfile", &["administrator"]),
    ("listPkcsProfiles", &["administrator"]),
    ("getPkcsProfile", &["administrator"]),
    ("replacePkcsProfile", &["administrator"]),
    ("deletePkcsProfile", &["administrator"]),
    ("resumeRenewal", &["administrator"]),
    ("createPkcsRequest", &["mdm"]),
    ("updateDevice", &["mdm"]),
    ("listPkcsCertificates", &["mdm"]),
    ("leasePkcs", &[CONNECTOR]),
    ("keepProgress", &[CONNECTOR]),
    ("createRevocations", &["mdm", "administrator"]),
    ("listRevocations", &["mdm", "administrator"]),
    ("getRevocation", &["mdm", "administrator"]),
    ("retireDevice", &["mdm"]),
    ("releaseRevocation", &["administrator"]),
    ("dropRevocation", &["administrator"]),
    ("leaseRevocations", &[CONNECTOR]),
];

#[test]
fn every_route_is_for_whom_the_table_says() {
    let routes: Vec<_> = ROUTES
        .iter()
        .map(|route| {
            let who: Vec<_> = match route.guard {
                Guard::Anybody => vec![PUBLIC],
                Guard::Connector => vec![CONNECTOR],
                Guard::Bearer(roles) => roles.iter().map(|role| role.name()).collect(),
            };
            (route.operation, who)
        })
        .collect();
    let table: Vec<_> = TABLE
        .iter()
        .map(|(operation, who)| (*operation, who.to_vec()))
        .collect();
    assert_eq!(routes, table);
}
