//! The code systems that steps see: what is active in the data folder, and what ships.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_component::Terminology as _;
use hilum_config::OpenTerminology;
use hilum_terminology::installed::{Folder, Loaded, Opened};
use hilum_terminology::{ForSteps, Shelf, Source, Terminology};

/// Those of the data folder that the environment names, for commands that have no other; what ships
/// alone if it names none.
pub(crate) fn of_environment() -> OpenTerminology {
    of_folder(std::env::var_os("HILUM_DATA").map(PathBuf::from).as_deref())
}

/// Those of a data folder, opened when a step asks for them.
pub(crate) fn of_folder(data: Option<&Path>) -> OpenTerminology {
    let data = data.map(Path::to_owned);
    OpenTerminology::new(move |kept| {
        let shelf = Shelf::default();
        if kept.is_none() {
            let opened = opened(data.as_deref()).map_err(told)?;
            shelf.put(opened.loads, opened.state);
        }
        of(&shelf, data.as_deref(), kept)
    })
}

/// What is active in a data folder; nothing without one.
pub(crate) fn opened(data: Option<&Path>) -> anyhow::Result<Opened> {
    let Some(data) = data else {
        return Ok(Opened::default());
    };
    let mut opened = Folder::of(data).open()?;
    match opened.problems.pop() {
        Some(problem) => Err(problem.into()),
        None => Ok(opened),
    }
}

/// What is active, and what ships.
pub(crate) fn with_shipped(opened: Opened) -> Terminology {
    let shelf = Shelf::default();
    shelf.put(opened.loads, opened.state);
    Terminology::new(shelf.now().to_vec())
}

/// Those that a node answers from.
pub(crate) fn of_node(shelf: &Arc<Shelf>, data: &Path) -> OpenTerminology {
    let (shelf, data) = (Arc::clone(shelf), data.to_owned());
    OpenTerminology::new(move |kept| of(&shelf, Some(&data), kept))
}

fn of(
    shelf: &Shelf,
    data: Option<&Path>,
    kept: Option<&str>,
) -> Result<Arc<dyn hilum_component::Terminology>, String> {
    let (now, state) = shelf.now_with_state();
    let Some(kept) = kept.filter(|kept| *kept != state) else {
        let terminology = Terminology::new(now.to_vec());
        return Ok(Arc::new(ForSteps::new(terminology, state)));
    };
    // A plan of then is made with the releases of then, as long as they are on the disk.
    let data = data.ok_or("the releases of then are in a data folder; name it with --data")?;
    let folder = Folder::of(data);
    let then = Shelf::default();
    let mut loads: Vec<Arc<Loaded>> = Vec::new();
    for line in kept.lines() {
        let (id, fingerprint) = line.split_once(' ').unwrap_or((line, ""));
        let load = folder.load(id).map_err(told)?;
        if load.fingerprint != fingerprint {
            return Err(format!(
                "{id} is another release than the one that the plan was made with"
            ));
        }
        loads.push(Arc::new(folder.open_one(id).map_err(told)?));
    }
    then.put(loads, kept.to_owned());
    let (sources, state) = then.now_with_state();
    let sources: Vec<Arc<dyn Source>> = sources.to_vec();
    let opened = ForSteps::new(Terminology::new(sources), state);
    debug_assert_eq!(opened.state(), kept, "the state is that of then");
    Ok(Arc::new(opened))
}

fn told(error: impl Into<anyhow::Error>) -> String {
    format!("the code systems cannot be used: {:#}", error.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hilum_config::{Loaded, Options, Secrets, load, load_kept};
    use hilum_terminology::import::{self, Kind, Request};
    use hilum_testkit::site::SiteFolder;

    use super::*;

    const CHANNEL: &str = "channel: a\nabout: a\nfrom: { mllp: { system: lis, listen: 127.0.0.1:2575 } }\n\
        format: hl7v2\nsteps:\n  - validate-code:\n      field: OBX-3\n      \
        value-set: http://lab.example/codes/all\n      invalid: hold\n\
        to:\n  out: { file: { folder: out } }\n";

    fn digest(loaded: &Loaded) -> String {
        let told = hilum_config::render(&loaded.diagnostics);
        let plan = loaded.plan.as_ref().expect(&told);
        plan.channels["a"].digest.to_string()
    }

    #[test]
    fn another_release_is_another_plan_and_that_of_then_stays_what_it_was() {
        let folder = SiteFolder::new().unwrap();
        let (site, data) = (folder.path().join("site"), folder.path().join("data"));
        let resources = |version: &str, more: &str| {
            let url = "http://lab.example/codes";
            format!(
                "{{\"resourceType\":\"CodeSystem\",\"url\":\"{url}\",\"version\":\"{version}\",\
                 \"status\":\"active\",\"content\":\"complete\",\"concept\":[{{\"code\":\"NA\"}}{more}]}}\n\
                 {{\"resourceType\":\"ValueSet\",\"url\":\"{url}/all\",\"version\":\"{version}\",\
                 \"status\":\"active\",\"compose\":{{\"include\":[{{\"system\":\"{url}\"}}]}}}}\n"
            )
        };
        for (name, text) in [
            ("site/hilum.yaml", "site: a\n".to_owned()),
            (
                "site/systems/lis.yaml",
                "system: lis\nidentifiers: [{ authority: LAB, type: PI }]\n".to_owned(),
            ),
            ("site/channels/a.yaml", CHANNEL.to_owned()),
            ("1.ndjson", resources("1", "")),
            ("2.ndjson", resources("2", ",{\"code\":\"K\"}")),
        ] {
            folder.file(name, text).unwrap();
        }
        let loads = Folder::of(&data);
        let activate = |version: &str| {
            let path = folder.path().join(format!("{version}.ndjson"));
            let request = Request {
                kind: Kind::Fhir,
                path: &path,
                version: None,
                url: None,
            };
            let imported = import::read(&request, &mut |_| {}).unwrap();
            let id = Folder::id(Kind::Fhir, version, &imported);
            let fingerprint = import::fingerprint(&path).unwrap();
            let kept = loads.keep(&id, Kind::Fhir, &imported, &fingerprint, "now");
            kept.unwrap();
            loads.activate(&id).unwrap();
            id
        };
        let options = |data: Option<&Path>| Options {
            secrets: Secrets::Unread,
            terminology: of_folder(data),
            ..Options::default()
        };
        let registry = crate::components::registry();
        let now = || load(&site, &registry, &options(Some(&data)));

        let lacking = load(&site, &registry, &options(None));
        let told = hilum_config::render(&lacking.diagnostics).to_string();
        let expected = "the value set http://lab.example/codes/all is neither loaded nor shipped";
        assert!(lacking.plan.is_none() && told.contains(expected), "{told}");
        assert!(told.contains("hilum terminology import"), "{told}");

        let first = activate("1");
        let then = now();
        activate("2");
        let later = now();
        assert_ne!(digest(&then), digest(&later));
        // What ran with the first release is made with it again, also once it is not active.
        loads.deactivate(&first).unwrap();
        let again = |files: &BTreeMap<_, _>| {
            load_kept(&site, files.clone(), &registry, &options(Some(&data)))
        };
        assert_eq!(digest(&again(&then.snapshot)), digest(&then));
        assert_eq!(digest(&again(&later.snapshot)), digest(&later));
        loads.remove(&first).unwrap();
        let gone = again(&then.snapshot);
        let told = hilum_config::render(&gone.diagnostics).to_string();
        assert!(
            gone.plan.is_none() && told.contains("nothing is loaded as"),
            "{told}"
        );
    }
}
