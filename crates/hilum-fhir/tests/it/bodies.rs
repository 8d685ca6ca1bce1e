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

fn all(bytes: &[u8]) {
    fuzz_bodies::json(bytes);
    fuzz_bodies::xml(bytes);
    fuzz_bodies::patch(bytes);
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
    fn any_bytes_break_no_promise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }
}
