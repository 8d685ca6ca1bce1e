//! The bodies of the fuzz targets over seeds, whole and damaged.

use hilum_fhir::fuzz_bodies;
use proptest::prelude::*;

const SEEDS: &[&str] = &[
    r##"{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a<br/>&lt;</div>"},
      "contained":[{"resourceType":"Organization","id":"o"}],"_birthDate":{"extension":[{"url":"u","valueDecimal":1.50}]},"birthDate":"2000-02-29",
      "name":[{"given":["a\u00e9\n",null],"_given":[null,{"id":"x"}]}],"managingOrganization":{"reference":"#o"}}"##,
    r#"<Patient xmlns="http://hl7.org/fhir"><id value="p"/><text><status value="generated"/><!-- x --><div xmlns="http://www.w3.org/1999/xhtml">a</div></text>
      <name><given id="x" value="a&#10;&quot;"><extension url="u"><valueDecimal value="1.0"/></extension></given></name><contained><Basic><code><text value="c"/></code></Basic></contained></Patient>"#,
    r#"[{"op":"add","path":"/name/0/given/-","value":"D"},{"op":"copy","from":"/name/0","path":"/name/1"},{"op":"move","from":"/name","path":"/contact"}]"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"move"},{"name":"path","valueString":"Patient.name.given"},{"name":"source","valueInteger":0},{"name":"destination","valueInteger":1}]}]}"#,
];

/// A profile that slices, slices again, and goes into types, references and itself.
const DEFINITION: &str = r##"{"resourceType":"StructureDefinition","url":"urn:p","name":"P","status":"draft","kind":"resource","abstract":false,"type":"Patient",
  "baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[
  {"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"closed"}},
  {"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a","min":1,"slicing":{"discriminator":[{"type":"exists","path":"use"}],"rules":"open"}},
  {"id":"Patient.identifier:a.system","path":"Patient.identifier.system","fixedUri":"urn:a"},
  {"id":"Patient.identifier:a/b","path":"Patient.identifier","sliceName":"a/b","max":"1"},
  {"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}]},
  {"id":"Patient.link.other","path":"Patient.link.other","type":[{"code":"Reference","targetProfile":["urn:p"]}]},
  {"id":"Patient.contained","path":"Patient.contained","type":[{"code":"Patient","profile":["urn:p"]}]},
  {"id":"Patient.name","path":"Patient.name","constraint":[{"key":"k","severity":"error","human":"h","expression":"given.count() > 1"}]}]}}"##;

/// What XML has and FHIR has not, and what is near to it.
const HOSTILE: &[&str] = &[
    r#"<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>"#,
    r#"<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;&x;&x;&x;&x;&x;">]>"#,
    "&x;",
    "&z;",
    "&#0;",
    "&#x1F600;",
    "&#xD800;",
    "&#99999999999;",
    "&amp;",
    "<?xml-stylesheet href='a'?>",
    r#"<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="a"/>"#,
    "<![CDATA[<id value='b'/>]]>",
    "<!-- -- -->",
    "]]>",
    r#" xmlns:f="http://hl7.org/fhir""#,
    r#" xmlns="urn:other""#,
    r#"<extension url="a"><extension url="b"/></extension>"#,
    "<div>",
    "</",
    "\u{FEFF}",
    "\u{0}",
];

fn all(bytes: &[u8]) {
    fuzz_bodies::json(bytes);
    fuzz_bodies::xml(bytes);
    fuzz_bodies::patch(bytes);
}

#[test]
fn a_definition_keeps_every_promise() {
    fuzz_bodies::definition(DEFINITION.as_bytes());
}

#[test]
fn seeds_keep_every_promise_whole_and_cut() {
    for seed in SEEDS {
        let bytes = seed.as_bytes();
        all(bytes);
        for end in 0..bytes.len() {
            fuzz_bodies::json(&bytes[..end]);
            fuzz_bodies::xml(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_seeds_break_no_promise(
        seed in 0..SEEDS.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        all(&bytes);
    }

    #[test]
    fn exchanged_parts_break_no_promise(
        seed in 0..SEEDS.len(),
        parts in proptest::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let bytes = SEEDS[seed].as_bytes();
        let mut cuts: Vec<_> = parts.iter().map(|at| at.index(bytes.len())).collect();
        cuts.sort_unstable();
        let (a, b, c) = (cuts[0], cuts[1], cuts[2]);
        all(&[&bytes[..a], &bytes[b..c], &bytes[a..b], &bytes[c..]].concat());
    }

    #[test]
    fn what_xml_has_and_fhir_has_not_breaks_no_promise(
        parts in proptest::collection::vec((any::<prop::sample::Index>(), 0..HOSTILE.len()), 1..6),
    ) {
        let mut text = SEEDS[1].to_owned();
        for (at, part) in parts {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            text.insert_str(places[at.index(places.len())], HOSTILE[part]);
        }
        fuzz_bodies::xml(text.as_bytes());
    }

    #[test]
    fn damaged_definitions_break_no_promise(
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        // Texts change their places, so that what comes out is still JSON.
        let mut parts: Vec<&str> = DEFINITION.split('"').collect();
        for (one, other) in swaps {
            let texts = parts.len() / 2;
            parts.swap(one.index(texts) * 2 + 1, other.index(texts) * 2 + 1);
        }
        let mut bytes = parts.join("\"").into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz_bodies::definition(&bytes);
    }

    #[test]
    fn any_bytes_break_no_promise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }
}
