//! The work of an import: some lines are read and checked while those before them are written. The
//! progress is saved in the commit of its lines, so no line is stored twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_component::BoxFuture;
use hilum_fhir::{IssueType, Problem, json};
use hilum_fhir_store::{Change, Commit, JobStep, Method, ResourceType, StoreError};
use serde::{Deserialize, Serialize};

use super::chunk::{self, Line, Place};
use super::{Asked, Input, remote};
use crate::call::Call;
use crate::fault::Fault;
use crate::jobs::{Halt, Lines, Progress, Running, blocking};
use crate::take::{Taken, take};
use crate::terminology::{Needs, with_definitions};

/// A file of OperationOutcomes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) count: u64,
    /// The input that they are about.
    pub(super) input: usize,
}

/// What is done so far.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Made {
    /// The input that is read.
    input: usize,
    offset: u64,
    line: u64,
    /// Bytes of each input; of one that is fetched when it is.
    #[serde(default)]
    bytes: Vec<Option<u64>>,
    /// It was fetched and lies in the folder of the job.
    #[serde(default)]
    fetched: bool,
    /// Resources of each input.
    pub(super) stored: Vec<u64>,
    refused: u64,
    pub(super) files: Vec<File>,
}

/// A line that was looked at.
struct Item {
    line: u64,
    end: u64,
    made: Result<Ready, Vec<Problem>>,
}

/// A resource that may be stored.
struct Ready {
    taken: Taken,
    resource_type: ResourceType,
    id: String,
}

pub(super) fn run(mut running: Running) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        let asked: Asked = running.request()?;
        let mut made: Made = running.progress()?;
        made.stored.resize(asked.inputs.len(), 0);
        made.bytes.resize(asked.inputs.len(), None);
        for (known, size) in made.bytes.iter_mut().zip(sizes(&running, &asked).await?) {
            *known = size.or(*known);
        }
        while made.input < asked.inputs.len() {
            let path = place(&mut running, &asked, &mut made).await?;
            one_input(&running, &asked, &mut made, &path).await?;
            made.input += 1;
            (made.offset, made.line) = (0, 0);
            if std::mem::take(&mut made.fetched) {
                let told = text(&made);
                running.save(&made, told).await?;
                let files = running.files();
                blocking(move || files.remove(&path)).await?;
            }
        }
        let (text, part) = (text(&made), made.part());
        running.save_part(&made, text, part).await
    })
}

/// The bytes of the inputs that are files.
async fn sizes(running: &Running, asked: &Asked) -> Result<Vec<Option<u64>>, Fault> {
    let files = running.files();
    let paths: Vec<PathBuf> = asked
        .inputs
        .iter()
        .map(|input| input.path.clone().into())
        .collect();
    let sizes = move || {
        let named = |path: &&PathBuf| !path.as_os_str().is_empty();
        let size = |path: &PathBuf| match Some(path).filter(named) {
            Some(path) => files.len(path),
            None => Ok(None),
        };
        paths.iter().map(size).collect()
    };
    blocking(sizes).await
}

impl Made {
    /// The bytes that were read, of all.
    fn part(&self) -> (u64, Option<u64>) {
        let before: u64 = self.bytes.iter().take(self.input).flatten().sum();
        (before + self.offset, self.bytes.iter().copied().sum())
    }
}

fn text(made: &Made) -> String {
    let stored: u64 = made.stored.iter().sum();
    format!("{stored} resources stored, {} lines refused", made.refused)
}

fn input<'a>(asked: &'a Asked, made: &Made) -> Result<&'a Input, Fault> {
    let input = asked.inputs.get(made.input);
    input.ok_or_else(|| Fault::failed("the record of a job cannot be read"))
}

/// Where the file lies that is read now. One that lies on another server is fetched as a whole
/// before its first line is stored, so that it is the same file to its end.
async fn place(running: &mut Running, asked: &Asked, made: &mut Made) -> Result<PathBuf, Halt> {
    let input = input(asked, made)?;
    let (true, Some(url)) = (input.path.is_empty(), &input.url) else {
        return Ok(PathBuf::from(&input.path));
    };
    let number = made.input + 1;
    let path = running.folder().join(format!("input.{number}.ndjson"));
    if !made.fetched {
        let told = format!("{}, fetches input {number}", text(made));
        running.save(made, told).await?;
        remote::fetch(running, url, &path).await?;
        made.fetched = true;
        let (files, fetched) = (running.files(), path.clone());
        let size = blocking(move || files.len(&fetched)).await?;
        if let Some(known) = made.bytes.get_mut(made.input) {
            *known = size;
        }
        let told = text(made);
        running.save(made, told).await?;
    }
    Ok(path)
}

/// Reads one file to its end.
async fn one_input(
    running: &Running,
    asked: &Asked,
    made: &mut Made,
    path: &Path,
) -> Result<(), Halt> {
    let input = input(asked, made)?;
    let path = path.to_path_buf();
    let ready = |from: Place| {
        let call = running.call(&asked.base);
        prepare(call, path.clone(), input.resource_type.clone(), from)
    };
    let mut next = Place {
        offset: made.offset,
        line: made.line,
    };
    let mut batch = ready(next).await?;
    loop {
        let (items, place) = batch;
        if place == next {
            return Ok(());
        }
        next = place;
        let store = async {
            store(running, asked, made, items).await?;
            // Blank lines at the end belong to the batch.
            (made.offset, made.line) = (place.offset, place.line);
            let most = running.fhir.limits.import_errors_max;
            if made.refused > most {
                return Err(given_up(most));
            }
            Ok::<_, Halt>(())
        };
        // The next lines are made ready while these are written.
        let (stored, following) = tokio::join!(store, ready(place));
        stored?;
        batch = following?;
    }
}

/// Too many lines cannot be stored: the file is not what it was thought to be.
fn given_up(most: u64) -> Halt {
    let text = format!(
        "more than {most} lines cannot be stored, so the rest is not read; \
         errors.1.ndjson and so on below this URL tell why"
    );
    Fault::unprocessable(vec![Problem::error(IssueType::TooCostly, text)]).into()
}

/// Reads and checks the next lines.
async fn prepare(
    call: Call,
    path: PathBuf,
    only: Option<String>,
    from: Place,
) -> Result<(Vec<Item>, Place), Fault> {
    let limits = &call.fhir.limits;
    let (most, longest) = (limits.import_batch_max, limits.body_bytes_max);
    let files = call.tenant.files.clone();
    let read = blocking(move || chunk::read(&*files, &path, from, most, longest)).await?;
    let (lines, place) = read;
    let tenant = Arc::clone(&call.tenant);
    let items = with_definitions(&tenant, usize::MAX, move |needs| {
        let now_ms = (call.fhir.clock)();
        let look = |line: &Line| Item {
            line: line.number,
            end: line.end,
            made: look(&call, now_ms, only.as_deref(), line, needs).map_err(|fault| fault.problems),
        };
        Ok(lines.iter().map(look).collect())
    })
    .await?;
    Ok((items, place))
}

/// Checks one line.
fn look(
    call: &Call,
    now_ms: i64,
    only: Option<&str>,
    line: &Line,
    needs: &Needs,
) -> Result<Ready, Fault> {
    let (fhir, tenant) = (&call.fhir, &call.tenant);
    let limits = fhir.reading_limits();
    let text = line
        .text
        .as_ref()
        .ok_or_else(|| Fault::too_large(limits.bytes_max))?;
    let resource = json::parse(text, &limits)?;
    let name = resource.type_name();
    if only.is_some_and(|only| only != name) {
        let text = format!("the resource is a {name}, not of the type of the input");
        return Err(Fault::bad(IssueType::Invalid, text));
    }
    let resource_type = tenant.table.stored(resource.type_id()).ok_or_else(|| {
        Fault::bad(
            IssueType::NotSupported,
            format!("a {name} cannot be stored"),
        )
    })?;
    let id = resource.id().map_or_else(|| fhir.new_id(), str::to_owned);
    Ok(Ready {
        taken: take(tenant, &resource, &call.base, now_ms, needs)?,
        resource_type,
        id,
    })
}

/// Stores lines, together if possible; one that goes beyond a limit of the store is refused alone.
async fn store(
    running: &Running,
    asked: &Asked,
    made: &mut Made,
    items: Vec<Item>,
) -> Result<(), Halt> {
    match commit(running, asked, made, &items).await {
        Err(StoreError::Limit { .. } | StoreError::Invalid(_)) => {}
        other => return Ok(other?),
    }
    for item in items {
        let (line, end) = (item.line, item.end);
        let alone = [item];
        match commit(running, asked, made, &alone).await {
            Err(error @ (StoreError::Limit { .. } | StoreError::Invalid(_))) => {
                let fault = Fault::from(error);
                let refused = [Item {
                    line,
                    end,
                    made: Err(fault.problems),
                }];
                commit(running, asked, made, &refused).await?;
            }
            other => other?,
        }
    }
    Ok(())
}

/// Stores lines and saves that they are, or does nothing.
async fn commit(
    running: &Running,
    asked: &Asked,
    made: &mut Made,
    items: &[Item],
) -> Result<(), StoreError> {
    let Some(last) = items.last() else {
        return Ok(());
    };
    let mut after = made.clone();
    (after.offset, after.line) = (last.end, last.line);
    let (mut changes, mut outcomes) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        match &item.made {
            Ok(ready) => changes.push(Change {
                resource_type: ready.resource_type,
                id: ready.id.clone(),
                method: Method::Update {
                    body: ready.taken.body(&ready.id),
                    rows: ready.taken.rows.clone(),
                },
            }),
            Err(problems) => outcomes.push(outcome(item.line, problems)),
        }
    }
    if let Some(count) = after.stored.get_mut(after.input) {
        *count += changes.len() as u64;
    }
    after.refused += outcomes.len() as u64;
    tell(running, &mut after, outcomes).await?;
    let (done, total) = after.part();
    let progress = Progress {
        text: text(&after),
        done: Some(done),
        total,
        own: serde_json::to_value(&after).unwrap_or_default(),
        ..Progress::default()
    };
    let commit = Commit {
        changes,
        job: Some(JobStep {
            id: running.job.id.clone(),
            progress: progress.bytes().into(),
        }),
        ..Commit::default()
    };
    running.call(&asked.base).commit(commit).await?;
    *made = after;
    Ok(())
}

/// An outcome that names the line.
fn outcome(line: u64, problems: &[Problem]) -> Vec<u8> {
    let named = |problem: &Problem| Problem {
        text: format!("line {line}: {}", problem.text).into(),
        ..problem.clone()
    };
    let named: Vec<Problem> = problems.iter().map(named).collect();
    hilum_fhir::operation_outcome_json(&named)
}

/// Writes a file of outcomes, which counts when the progress names it.
async fn tell(
    running: &Running,
    made: &mut Made,
    outcomes: Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let file = File {
        name: format!("errors.{}.ndjson", made.files.len() + 1),
        count: outcomes.len() as u64,
        input: made.input,
    };
    let (files, folder) = (running.files(), running.folder());
    let path = folder.join(&file.name);
    let wrote = blocking(move || {
        let mut lines = Lines::create(&*files, &path)?;
        for outcome in &outcomes {
            lines.push(outcome)?;
        }
        lines.finish(&*files, &folder)
    });
    // The store is asked again later, which is what is wanted here as well.
    wrote.await.map_err(|_| StoreError::Busy)?;
    made.files.push(file);
    Ok(())
}
