//! The fuzz bodies over seeds, and over seeds that were damaged.

use hilum_tree::fuzz_bodies;
use proptest::prelude::*;

type Seed = (&'static str, fn(&[u8]));

const SEEDS: [Seed; 7] = [
    (
        r#"{ "a": [1.50, null, {"b": "x\u00e9\n"}], "c": true, "d": -1e5 }"#,
        fuzz_bodies::json,
    ),
    (r#"[ "", {}, [], "\ud83d\ude00" ]"#, fuzz_bodies::json),
    (
        "<?xml version='1.0'?><v3:a x=\"1\" y='&lt;'>t<b/><!-- c --><![CDATA[d]]>&#x41;</v3:a>\n",
        fuzz_bodies::xml,
    ),
    ("<a><b>1</b><b>2</b></a>", fuzz_bodies::xml),
    (
        "@mrn,name\r\n1,\"Doe, \"\"J\"\"\"\r\n2,Roe",
        fuzz_bodies::delimited,
    ),
    ("Ca|b\n|\n\n1", fuzz_bodies::delimited),
    ("D1,\"2,3\n", fuzz_bodies::delimited),
];

#[test]
fn seeds_keep_every_promise() {
    for (seed, body) in SEEDS {
        body(seed.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_seeds_keep_every_promise(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..6), 1..5),
    ) {
        for (seed, body) in SEEDS {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, byte, length) in &damage {
                let at = at.index(bytes.len() + 1);
                let end = bytes.len().min(at + length);
                bytes.splice(at..end, [*byte]);
            }
            body(&bytes);
        }
    }
}
