//! TerminologyCapabilities: what of terminology this server does (FHIR R4
//! terminologycapabilities.html).

use hilum_fhir::json::write_string;

use crate::call::Call;
use crate::time::instant;

/// Parameters of `$expand` that count, beside `url` and `valueSet`.
const PARAMETERS: [&str; 18] = [
    "activeOnly",
    "check-system-version",
    "count",
    "default-valueset-version",
    "designation",
    "displayLanguage",
    "excludeNested",
    "excludeNotForUI",
    "filter",
    "force-system-version",
    "includeDefinition",
    "includeDesignations",
    "offset",
    "property",
    "system-version",
    "tx-resource",
    "useSupplement",
    "versionsMatch",
];

/// How the text of an expansion's filter is compared.
const FILTER: &str = "Each word of the text has to begin a word of one of the names of a code, or a \
                      name or the code begins with the text. Case does not matter.";

fn pair(name: &str, value: &str, out: &mut Vec<u8>) {
    write_string(name, out);
    out.push(b':');
    write_string(value, out);
}

/// What this server does.
pub(crate) fn statement(call: &Call) -> Vec<u8> {
    let mut out = Vec::with_capacity(4_096);
    let raw = |text: &str, out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
    raw("{\"resourceType\":\"TerminologyCapabilities\",", &mut out);
    let url = format!("{}/metadata?mode=terminology", call.base);
    for (name, value) in [
        ("url", url.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
        ("name", "HilumTerminology"),
        ("title", "Terminology of the hilum FHIR server"),
        ("status", "active"),
        ("date", &instant((call.fhir.clock)())),
        ("kind", "instance"),
    ] {
        pair(name, value, &mut out);
        out.push(b',');
    }
    raw("\"software\":{\"name\":\"hilum\",", &mut out);
    pair("version", env!("CARGO_PKG_VERSION"), &mut out);
    raw(
        "},\"implementation\":{\"description\":\"hilum FHIR server\",",
        &mut out,
    );
    pair("url", &call.base, &mut out);
    raw("},\"codeSystem\":[{", &mut out);
    pair("uri", hilum_terminology::UCUM, &mut out);
    raw(
        "}],\"expansion\":{\"hierarchical\":true,\"paging\":true,\"incomplete\":false,\"parameter\":[",
        &mut out,
    );
    for (at, name) in PARAMETERS.iter().enumerate() {
        raw(if at == 0 { "{" } else { ",{" }, &mut out);
        pair("name", name, &mut out);
        out.push(b'}');
    }
    raw("],", &mut out);
    pair("textFilter", FILTER, &mut out);
    raw(
        "},\"codeSearch\":\"all\",\"validateCode\":{\"translations\":true},\"translation\":{\"needsMap\":false},\"closure\":{\"translation\":false}}",
        &mut out,
    );
    out
}
