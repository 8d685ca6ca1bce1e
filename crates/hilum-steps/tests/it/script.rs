use crate::channel::{Channel, Files, outcome, problems};

const TEXT: &str =
    "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7^^^X~8||Doe^Jane\nOBX|1|NM|A\nOBX|2|NM|B\n";

fn run_with(format: &str, code: &str, text: &str) -> Vec<String> {
    let files: &[(&str, &str)] = &[("s.js", code)];
    let mut channel = Channel::new(format, files, "script: s.js");
    let processed = channel.run(text);
    let flags = processed
        .findings
        .iter()
        .filter(|finding| finding.step == "0 script");
    let flags = flags.map(|finding| format!("{} {:?}", finding.code, finding.path));
    outcome(&processed).into_iter().chain(flags).collect()
}

fn run(code: &str) -> Vec<String> {
    run_with(
        "hl7v2",
        &format!("function transform(msg, ctx) {{ {code} }}"),
        TEXT,
    )
}

/// What an expression of JavaScript gives, by way of PID-9.
fn value(expression: &str) -> String {
    let found = run(&format!("msg.set('PID-9', String({expression}));"));
    let line = found[0]
        .lines()
        .find(|line| line.starts_with("PID"))
        .unwrap_or(&found[0])
        .to_owned();
    line.split('|').nth(9).map_or(line.clone(), str::to_owned)
}

#[test]
fn places_are_read_and_written() {
    for (expression, expected) in [
        ("msg.get('PID-5.1')", "Doe"),
        ("msg.get('PID-30')", "null"),
        ("msg.getAll('PID-3.1').join('+')", "7+8"),
        ("msg.getAll('OBX-3').length", "2"),
        (
            "msg.segments('OBX').map(s => s.id + s.path + s.get(3)).join()",
            "OBXOBX[1]A,OBXOBX[2]B",
        ),
        ("msg.segments().length", "4"),
        ("msg.text.length", "82"),
        ("(msg.setMeta('a', 7), msg.meta('a'))", "7"),
        ("msg.meta('none')", "null"),
        ("ctx.channel", "test"),
        ("ctx.id.length", "26"),
        ("ctx.arrived.toISOString()", "2023-11-14T22:13:20.000Z"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
    let set = |code: &str| run(code).remove(0);
    assert_eq!(
        set("msg.set('PID-3[*].1', ['5', 6]);"),
        TEXT.replace("7^", "5^").replace("~8", "~6")
    );
    assert_eq!(set("msg.set('PID-5', null);"), TEXT.replace("Doe^Jane", ""));
    assert_eq!(
        set("msg.segments('OBX')[1].delete();"),
        TEXT.replace("OBX|2|NM|B\n", "")
    );
    assert_eq!(
        set("for (const s of msg.segments('OBX')) s.set(3, s.get(3) + '1');"),
        TEXT.replace("|A", "|A1").replace("|B", "|B1")
    );
    assert_eq!(
        set("msg.text = msg.text.replace('Doe', 'Roe');"),
        TEXT.replace("Doe", "Roe")
    );
}

#[test]
fn what_is_returned_decides() {
    let unchanged = [TEXT.to_owned()];
    assert_eq!(run(""), unchanged);
    assert_eq!(run("return true;"), unchanged);
    assert_eq!(run("return msg;"), unchanged);
    assert_eq!(run("return false;"), ["filtered: s.js returned false"]);
    assert_eq!(run("return [];"), ["filtered: split into no message"]);
    assert_eq!(run("return [msg, msg];").len(), 2);
    let split = run("const c = msg.copy(); c.set('PID-5.1', 'Roe'); return [c, msg];");
    assert_eq!(split, [TEXT.replace("Doe", "Roe"), TEXT.to_owned()]);
    assert_eq!(run("return 'x';"), ["rejected: TypeError in s.js"]);
    assert_eq!(
        run("ctx.reject('no-order');"),
        ["rejected: rejected by s.js: no-order"]
    );
    assert_eq!(
        run("ctx.reject('Jane Doe');"),
        ["rejected: rejected by s.js"]
    );
    assert_eq!(
        run("ctx.flag('odd-name', 'PID-5'); ctx.flag('Jane Doe');")[1..],
        ["odd-name Some(\"PID-5\")", "script None",]
    );
}

#[test]
fn an_error_names_its_kind_and_line_but_never_its_text() {
    let code = "export default function (msg) {\n  const name = msg.get('PID-5.1');\n  throw new RangeError(name);\n}\n";
    assert_eq!(
        run_with("hl7v2", code, TEXT),
        ["rejected: RangeError in s.js:3"]
    );
    assert_eq!(run("throw 'Jane Doe';"), ["rejected: a value in s.js"]);
    assert_eq!(run("msg.set('PID-x', 1);"), ["rejected: Error in s.js:1"]);
    assert_eq!(run("msg.nothing();"), ["rejected: TypeError in s.js:1"]);
}

#[test]
fn nothing_survives_a_call() {
    let code = "let count = 0;\nconst seen = [];\nexport default function (msg) {\n  count += 1; seen.push(1);\n  msg.set('PID-9', `${count} ${seen.length}`);\n}\n";
    let mut channel = Channel::new("hl7v2", &[("s.js", code)], "script: s.js");
    let first = outcome(&channel.run(TEXT));
    assert!(first[0].contains("|1 1\n"), "{first:?}");
    assert_eq!(outcome(&channel.run(TEXT)), first);
}

#[test]
fn the_world_is_frozen_and_has_no_way_out() {
    for code in [
        "globalThis.x = 1;",
        "Object.prototype.x = 1;",
        "Array.prototype.map = null;",
        "msg.constructor.prototype.get = null;",
        "ctx.x = 1;",
        "Math.random = () => 1;",
        "Date.now = () => 1;",
        "[].concat.x = 1;",
        "Object.getPrototypeOf(new Map().entries()).x = 1;",
        "Object.getPrototypeOf(/x/).x = 1;",
        "undeclared = 1;",
    ] {
        let found = run(code);
        assert!(found[0].starts_with("rejected: "), "{code} {found:?}");
    }
    for expression in [
        "typeof eval",
        "typeof Function",
        "typeof require",
        "typeof process",
        "typeof fetch",
        "typeof console",
        "typeof WeakRef",
        "typeof setTimeout",
        "typeof performance",
        "(() => 1).constructor",
        "(function* () {}).constructor",
        "(async () => 1).constructor",
        "(async function* () {}).constructor",
        "(class {}).constructor",
        "Math.max.constructor",
    ] {
        assert_eq!(value(expression), "undefined", "{expression}");
    }
    assert!(run("return import('./x.js');")[0].starts_with("rejected: "));
}

#[test]
fn time_and_chance_come_from_the_message() {
    for (expression, expected) in [
        ("Date.now()", "1700000000000"),
        (
            "new Date().getHours() + new Date().getTimezoneOffset()",
            "22",
        ),
        (
            "new Date(2024, 1, 29).toISOString()",
            "2024-02-29T00:00:00.000Z",
        ),
        (
            "new Date('2024-02-29T10:00:00').toISOString()",
            "2024-02-29T10:00:00.000Z",
        ),
        ("new Date('2024-02-29T10:00:00+02:00').getDate()", "29"),
        ("Math.random() === Math.random()", "false"),
        ("Date() === new Date().toString()", "true"),
        ("new Date() instanceof Date", "true"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
    assert_eq!(value("Math.random()"), value("Math.random()"));
}

#[test]
fn limits_end_a_script_and_the_next_message_is_fine() {
    let code = "export default function (msg) {\n  const how = msg.get('PID-5.1');\n  if (how === 'loop') for (;;) {}\n  if (how === 'memory') { const a = []; for (;;) a.push('x'.repeat(100000) + a.length); }\n  if (how === 'stack') { const f = () => 1 + f(); f(); }\n  if (how === 'copies') for (;;) msg.copy();\n  if (how === 'catch') for (;;) try { for (;;) {} } catch { }\n}\n";
    let mut channel = Channel::new("hl7v2", &[("s.js", code)], "script: s.js");
    for (how, expected) in [
        ("loop", "the steps took longer"),
        ("catch", "the steps took longer"),
        ("memory", "rejected: "),
        ("stack", "rejected: "),
        ("copies", "rejected: Error in s.js:6"),
    ] {
        let found = outcome(&channel.run(&TEXT.replace("Doe", how)));
        assert!(found[0].contains(expected), "{how} {found:?}");
        assert_eq!(outcome(&channel.run(TEXT)), [TEXT], "after {how}");
    }
}

#[test]
fn json_is_an_object() {
    let code = "export default (msg) => { const o = msg.json; o.b = o.a.map((x) => x * 2); msg.json = o; msg.set('c', 'd'); };";
    let found = run_with("json", code, r#"{"a":[1,2]}"#);
    assert_eq!(found, [r#"{"a":[1,2],"b":[2,4],"c":"d"}"#]);
    let found = run_with("json", "function transform(msg) { msg.text = '{'; }", "{}");
    assert_eq!(found, ["rejected: Error in s.js:1"]);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let check = |code: &str| problems("hl7v2", &Files::of(&[("s.js", code)]), "script: s.js");
    let found = check("export default function (msg) {\n  const x = ;\n}\n");
    assert!(found[0].starts_with("file: s.js: line 2: "), "{found:?}");
    assert_eq!(
        check("const x = 1;"),
        ["file: s.js: it has no `export default function` and no function `transform`"]
    );
    assert!(
        check("import x from 'y';\nfunction transform() {}")[0].starts_with("file: s.js: line 1"),
        "imports"
    );
    assert_eq!(
        problems("hl7v2", &Files::default(), "script: {}"),
        [": a script needs either `file` or `code`"]
    );
}

#[test]
fn the_message_that_asked_is_read_changed_and_returned() {
    let run = |format: &str, code: &str, reply: &str| {
        let code = code.replace('\n', " ");
        let step = format!("script: {{ code: \"function transform(msg, ctx) {{ {code} }}\" }}");
        outcome(&Channel::of_replies(format, TEXT, &step).run(reply))
    };
    let json = r#"{"city":"Springfield"}"#;
    assert_eq!(
        run(
            "json",
            "ctx.original.set('PID-11.3', msg.get('city')); return ctx.original;",
            json
        ),
        [
            "MSH|^~\\&|LIS|H|||||ORU^R01|1|P|2.5\nPID|1||7^^^X~8||Doe^Jane||||||^^Springfield\nOBX|1|NM|A\nOBX|2|NM|B\n"
        ]
    );
    assert_eq!(
        run(
            "json",
            "msg.set('city', ctx.original.get('PID-5.1') + ctx.original.segments('OBX').length)",
            json
        ),
        [r#"{"city":"Doe2"}"#]
    );
    let v2 = "MSH|^~\\&|IDX|H|||||RSP^K22|9|P|2.5\nPID|1||7\n";
    assert_eq!(
        run(
            "hl7v2",
            "msg.set('PID-5', ctx.original.get('PID-3[2].1'))",
            v2
        ),
        ["MSH|^~\\&|IDX|H|||||RSP^K22|9|P|2.5\nPID|1||7||8\n"]
    );
    assert_eq!(value("ctx.original"), "null");
}

#[test]
fn expressions_of_steps_read_the_message_that_asked() {
    let step = "set: { city: \"%original.PID-5.1 & '/' & city\" }";
    let json = r#"{"city":"Springfield"}"#;
    let found = outcome(&Channel::of_replies("json", TEXT, step).run(json));
    assert_eq!(found, [r#"{"city":"Doe/Springfield"}"#]);
}
