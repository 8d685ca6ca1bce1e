//! What a call of a script costs: a message with one (split a field, map five codes, join) beside
//! the same message without.
#![expect(clippy::expect_used, reason = "a bench may fail by panic")]

#[expect(
    dead_code,
    reason = "the door of the tests, of which a bench needs little"
)]
#[path = "../tests/it/channel.rs"]
mod channel;
#[path = "../tests/it/yaml.rs"]
mod yaml;

use channel::Channel;

fn main() {
    divan::main();
}

const MESSAGE: &str =
    "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7||Doe^Jane\nOBR|1|||K NA CL GLU CREA\n";

const SCRIPT: &str = "script:\n  code: |
    const LOINC = { K: '2823-3', NA: '2951-2', CL: '2075-0', GLU: '2345-7', CREA: '2160-0' };
    function transform(msg) {
      const codes = msg.get('OBR-4').split(' ').map((code) => LOINC[code] ?? code);
      msg.set('OBR-4', codes.join(' '));
    }
";

fn bench(bencher: divan::Bencher<'_, '_>, steps: &str, expected: &str) {
    let mut channel = Channel::new("hl7v2", &[], steps);
    let found = channel::outcome(&channel.run(MESSAGE)).join("");
    assert!(found.contains(expected), "{found}");
    bencher.bench_local(|| channel.run(MESSAGE));
}

#[divan::bench]
fn with_script(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, SCRIPT, "2823-3 2951-2 2075-0 2345-7 2160-0");
}

#[divan::bench]
fn without(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, "filter: 'true'\n", "K NA CL GLU CREA");
}
