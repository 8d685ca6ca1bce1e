//! Imports that are killed, and that find the disk full: what answered goes on, nothing that is half
//! made is used, and the same command makes it whole.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;

use crate::kit::{json, json_lines};
use crate::{ends, text};

const URL: &str = "http://st-elsewhere.example/lab";
/// Rows of the release that is broken off.
const ROWS: usize = 30_000;

struct Lab {
    folder: SiteFolder,
    data: String,
    at: String,
}

impl Lab {
    /// A data folder with one release that is active, and a larger one to be imported.
    fn new() -> Self {
        let folder = SiteFolder::new().unwrap();
        let mut table = "code,display,parent,unit\nCHEM,Chemistry,,\n".to_owned();
        for row in 0..ROWS {
            writeln!(table, "C{row},Invented analyte number {row},CHEM,mmol/L").unwrap();
        }
        folder.file("2.csv", table).unwrap();
        folder.file("1.csv", "code,display\nNA,Sodium\n").unwrap();
        let lab = Self {
            data: text(&folder.path().join("data")).to_owned(),
            at: format!("127.0.0.1:{}", free_port().unwrap()),
            folder,
        };
        ends(&lab.import("1"), 0);
        lab
    }

    fn file(&self, version: &str) -> String {
        text(&self.folder.path().join(format!("{version}.csv"))).to_owned()
    }

    fn arguments(&self, version: &str) -> Vec<String> {
        let file = self.file(version);
        let given = [
            "terminology",
            "import",
            "csv",
            &file,
            "--url",
            URL,
            "--version",
            version,
            "--activate",
            "--data",
            &self.data,
            "--at",
            &self.at,
            "--json",
        ];
        given.map(str::to_owned).into()
    }

    fn import(&self, version: &str) -> Vec<&'static str> {
        // Leaked: a few hundred bytes of a test.
        let own = self.arguments(version).into_iter();
        own.map(|one| &*one.leak()).collect()
    }

    /// What is active, first ones first; each of them can be opened, since `doctor` reads them all.
    fn active(&self) -> Vec<String> {
        let listed = json_lines(&["terminology", "list", "--data", &self.data, "--json"]);
        let mut active: Vec<(u64, String)> = listed
            .iter()
            .filter(|one| one["active"] == true)
            .map(|one| {
                let id = one["id"].as_str().unwrap().to_owned();
                (one["place"].as_u64().unwrap(), id)
            })
            .collect();
        active.sort();
        let site = text(self.folder.path());
        let output = crate::hilum(&["doctor", site, "--data", &self.data, "--json"]);
        let output = { output }.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let broken = told
            .lines()
            .filter(|line| line.contains("code systems") && line.contains("\"fail\""));
        assert_eq!(broken.count(), 0, "{told}");
        active.into_iter().map(|(_, id)| id).collect()
    }

    /// The first release answers alone, or both do; then the second one is made whole.
    fn settles(&self, place: &str) {
        let (old, new) = ("st-elsewhere.example-lab-1", "st-elsewhere.example-lab-2");
        let active = self.active();
        assert!(
            active == [old] || active == [new, old],
            "{place}: {active:?}"
        );
        let again = json(&self.import("2"));
        assert_eq!(again["systems"][0]["concepts"], ROWS + 1, "{place}");
        assert_eq!(self.active(), [new, old], "{place}");
        ends(
            &[
                "terminology",
                "deactivate",
                new,
                "--data",
                &self.data,
                "--at",
                &self.at,
            ],
            0,
        );
        ends(&["terminology", "remove", new, "--data", &self.data], 0);
        assert_eq!(self.active(), [old], "{place}");
    }
}

#[test]
fn an_import_that_is_killed_leaves_what_answered() {
    let lab = Lab::new();
    let begun = tokio::time::Instant::now();
    ends(&lab.import("2"), 0);
    let whole = begun.elapsed();
    lab.settles("whole");
    // Seeded places over the time of an import, and a few behind its end.
    let mut seed = 0x5eed_u64;
    for round in 0..12 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let part = (seed >> 33) % 1_100;
        let after = whole * u32::try_from(part).unwrap() / 1_000;
        let arguments = lab.arguments("2");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child = crate::hilum(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        lab.settles(&format!("round {round}, killed after {after:?}"));
    }
}

/// Lines of each file of a release with two files: more than is read between two keepings.
const PRODUCTS: usize = 30_000;

fn release_of_two_files(folder: &SiteFolder) {
    let mut products = "PRODUCTID\tPRODUCTNDC\tPROPRIETARYNAME\tNONPROPRIETARYNAME\n".to_owned();
    let mut packages = "PRODUCTID\tPRODUCTNDC\tNDCPACKAGECODE\tPACKAGEDESCRIPTION\n".to_owned();
    for row in 0..PRODUCTS {
        let (a, b) = (10_000 + row / 9_000, 1_000 + row % 9_000);
        writeln!(
            products,
            "x\t{a}-{b}\tInvented {row}\tphantasol number {row}"
        )
        .unwrap();
        writeln!(
            packages,
            "x\t{a}-{b}\t{a}-{b}-01\t30 TABLET in 1 BOTTLE, {row}"
        )
        .unwrap();
    }
    folder.file("ndc/product.txt", products).unwrap();
    folder.file("ndc/package.txt", packages).unwrap();
}

#[test]
fn an_import_that_is_killed_goes_on_behind_the_files_that_it_has_read() {
    let folder = SiteFolder::new().unwrap();
    release_of_two_files(&folder);
    let release = text(&folder.path().join("ndc")).to_owned();
    let arguments = |data: &str, more: &[&str]| {
        let given = [
            "terminology",
            "import",
            "ndc",
            &release,
            "--version",
            "1",
            "--data",
            data,
        ];
        let given = given.iter().chain(more).map(|one| (*one).to_owned());
        given.collect::<Vec<String>>()
    };
    let table =
        |data: &str| std::fs::read(Path::new(data).join("terminology/ndc-1/system-0.table"));
    let whole = text(&folder.path().join("whole")).to_owned();
    let as_str = |own: &[String]| -> Vec<&'static str> {
        own.iter().map(|one| &*one.clone().leak()).collect()
    };
    ends(&as_str(&arguments(&whole, &[])), 0);
    let expected = table(&whole).unwrap();
    let mut resumed = 0;
    for (round, more) in [&[][..], &[], &["--restart"]].into_iter().enumerate() {
        let data = text(&folder.path().join(format!("data-{round}"))).to_owned();
        let loads = Path::new(&data).join("terminology");
        let own = arguments(&data, &[]);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let mut child = crate::hilum(&own)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed when the first file is kept, or a moment later.
        let kept = || {
            let stagings = std::fs::read_dir(&loads).into_iter().flatten().flatten();
            stagings
                .into_iter()
                .any(|one| one.path().join("state").is_file())
        };
        while !kept() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if table(&data).is_ok() {
            continue;
        }
        let listed = json_lines(&["terminology", "list", "--data", &data, "--json"]);
        assert!(
            listed.iter().any(|one| one["goes-on"] == false),
            "{listed:?}"
        );
        let mut json_too = more.to_vec();
        json_too.push("--json");
        let again = json(&as_str(&arguments(&data, &json_too)));
        let from = again["resumed"].as_u64().unwrap();
        assert_eq!(from > 0, more.is_empty(), "{again}");
        resumed += from;
        assert!(
            table(&data).unwrap() == expected,
            "the same bytes, round {round}"
        );
        let listed = json_lines(&["terminology", "list", "--data", &data, "--json"]);
        assert_eq!(listed.len(), 1, "{listed:?}");
    }
    assert!(resumed > 0, "no import was killed between its files");
}

#[test]
fn an_import_that_finds_the_disk_full_says_so_and_leaves_what_answered() {
    let lab = Lab::new();
    ends(&lab.import("2"), 0);
    let table = Path::new(&lab.data).join("terminology/st-elsewhere.example-lab-2/system-0.table");
    let blocks = std::fs::metadata(&table).unwrap().len() / 512;
    lab.settles("whole");
    // A file may have so many blocks of 512 bytes: none, some, all but the last ones.
    for limit in [0, 1, blocks / 2, blocks.saturating_sub(1)] {
        let program = crate::hilum(&[]);
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
            "sh",
        ]);
        shell.arg(limit.to_string()).arg(program.get_program());
        let output = shell.args(lab.arguments("2")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{limit} blocks: {told}");
        assert!(
            told.contains("cannot write") && told.contains("terminology/"),
            "{told}"
        );
        assert_eq!(
            lab.active(),
            ["st-elsewhere.example-lab-1"],
            "{limit} blocks"
        );
        lab.settles(&format!("{limit} blocks"));
    }
}

#[test]
fn a_release_is_damaged_and_doctor_says_which() {
    let lab = Lab::new();
    let table = Path::new(&lab.data).join("terminology/st-elsewhere.example-lab-1/system-0.table");
    let mut bytes = std::fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    std::fs::create_dir(Path::new(&lab.data).join("terminology/.part-other")).unwrap();
    let (told, _) = {
        let site = text(lab.folder.path());
        let output = crate::hilum(&["doctor", site, "--data", &lab.data])
            .output()
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status)
    };
    for expected in [
        "what is active cannot be used",
        "system-0.table",
        "import the release again",
        "an import was broken off, or goes on",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}
