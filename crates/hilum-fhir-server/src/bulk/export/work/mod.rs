//! The work of an export: type by type, file by file. Progress is saved with each file that is
//! complete, so what a restart repeats is one file.

mod group;
mod told;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_component::BoxFuture;
use hilum_db::Files;
use hilum_fhir::IssueType;
use hilum_fhir::definitions::TypeId;
use hilum_fhir_store::{Kept, MomentQuery, Pk, Query, ResourceType, Seq, Stored};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use super::ask::{Asked, Level};
use super::belongs::{belongs, compartment, criterion};
use crate::bundle::Bundle;
use crate::fault::Fault;
use crate::jobs::{Halt, Lines, Running, blocking};
use crate::request::pairs;
use crate::search::View;
use crate::write;

/// Resources that are read at once.
const PAGE: u32 = 500;
/// Patients that one search names.
const PATIENTS_AT_ONCE: usize = 1_000;
/// Bytes of a resource in a listing.
const LISTED_BYTES: u64 = 8;
/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// A file that is complete.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct File {
    pub(super) name: String,
    /// Where the manifest names it: `output`, `deleted`, `error`.
    pub(super) part: String,
    #[serde(rename = "type")]
    pub(super) resource_type: String,
    pub(super) count: u64,
}

/// What is made so far.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Made {
    /// The moment that is exported: a change and its time. Before the listing it is the job's.
    to: Option<i64>,
    pub(super) at_ms: Option<i64>,
    /// The steps that are complete.
    steps: usize,
    /// Where the running step goes on: a change, or a place in a listing.
    after: i64,
    exported: u64,
    /// About how many there are, where that is known.
    #[serde(default)]
    total: Option<u64>,
    pub(super) files: Vec<File>,
}

/// One type, and one of its files.
struct Step {
    resource_type: ResourceType,
    ty: TypeId,
    name: String,
    kept: Kept,
}

/// What all steps need.
struct Work {
    running: Running,
    asked: Arc<Asked>,
    made: Made,
    /// Changes behind this one count (`_since`).
    from: i64,
    to: i64,
    /// The patients that it is limited to.
    patients: Option<Arc<BTreeSet<String>>>,
    told: Instant,
}

pub(super) fn run(running: Running) -> BoxFuture<'static, Result<(), Halt>> {
    Box::pin(async move {
        let asked: Asked = running.request()?;
        let made: Made = running.progress()?;
        let patients = group::patients(&running, &asked).await?;
        let mut work = Work {
            from: 0,
            to: made.to.unwrap_or(running.job.seq.0),
            patients: patients.map(Arc::new),
            told: Instant::now(),
            asked: Arc::new(asked),
            running,
            made,
        };
        work.all().await
    })
}

impl Work {
    async fn all(&mut self) -> Result<(), Halt> {
        let store = self.running.tenant.store.clone();
        self.list().await?;
        if let Some(since) = self.asked.since_ms {
            self.from = store.seq_at(since).await?.0 - 1;
        }
        if let Some(until) = self.asked.until_ms {
            self.to = self.to.min(store.seq_at(until).await?.0 - 1);
        }
        let steps = self.steps();
        if self.made.total.is_none() {
            self.made.total = self.total(&steps).await?;
        }
        for (at, step) in steps.iter().enumerate().skip(self.made.steps) {
            let listed = self.listed(step);
            loop {
                let more = if listed {
                    self.file_of_listing(step).await?
                } else {
                    self.file_of_moment(step).await?
                };
                if !more {
                    break;
                }
            }
            self.made.steps = at + 1;
            self.made.after = 0;
        }
        self.save().await
    }

    async fn save(&mut self) -> Result<(), Halt> {
        self.tell(0).await
    }

    /// Saves what is complete, and tells of what is written besides.
    async fn tell(&mut self, written: u64) -> Result<(), Halt> {
        self.told = Instant::now();
        let done = self.made.exported + written;
        // What is counted is what there is now, and what is exported was there at the moment.
        let total = self.made.total.map(|total| total.max(done));
        let text = self.text(done, total);
        self.running
            .save_part(&self.made, text, (done, total))
            .await
    }

    /// Tells how far it is, and leaves the machine to others for a while.
    async fn pause(&mut self, written: u64) -> Result<(), Halt> {
        if self.told.elapsed() >= TELL_EVERY {
            self.tell(written).await?;
        }
        self.running.rest().await;
        Ok(())
    }

    /// The types with their resources, then with their deletions.
    fn steps(&self) -> Vec<Step> {
        let table = &self.running.tenant.table;
        let step = |name: &String, kept| {
            let ty = table.type_named(name)?;
            Some(Step {
                resource_type: table.stored(ty)?,
                ty,
                name: name.clone(),
                kept,
            })
        };
        let types = &self.asked.types;
        let present = types.iter().filter_map(|name| step(name, Kept::Present));
        let mut steps: Vec<Step> = present.collect();
        if self.asked.since_ms.is_some() {
            let deleted = types.iter().filter_map(|name| step(name, Kept::Deleted));
            steps.extend(deleted);
        }
        steps
    }

    /// The resources of a step were searched at the beginning.
    fn listed(&self, step: &Step) -> bool {
        step.kept == Kept::Present && searched(&self.asked, self.patients.is_some(), &step.name)
    }

    /// Searches what filters and patients limit, all in one snapshot, which becomes the moment.
    async fn list(&mut self) -> Result<(), Halt> {
        let limited = self.patients.is_some();
        let mut names: Vec<String> = self.asked.types.clone();
        names.retain(|name| searched(&self.asked, limited, name));
        if names.is_empty() || self.made.to.is_some() {
            return Ok(());
        }
        let mut queries = Vec::new();
        let mut owners = Vec::new();
        for name in &names {
            for query in self.queries(name).await? {
                owners.push(name.clone());
                queries.push(query);
            }
        }
        self.running
            .save(&self.made, "searching".to_owned())
            .await?;
        let store = self.running.tenant.store.clone();
        let listing = store.list(queries).await?;
        let (files, folder) = (self.running.files(), self.running.folder());
        let to = listing.seq;
        blocking(move || {
            for name in names {
                let of = owners.iter().zip(&listing.matches);
                let matches = of.filter(|(owner, _)| **owner == name).map(|(_, pks)| pks);
                let mut pks: Vec<i64> = matches.flatten().map(|pk| pk.0).collect();
                pks.sort_unstable();
                pks.dedup();
                let bytes: Vec<u8> = pks.iter().flat_map(|pk| pk.to_le_bytes()).collect();
                let path = list_path(&folder, &name);
                files.remove(&path)?;
                let mut file = files.create(&path)?;
                file.append(&bytes)?;
                file.sync()?;
            }
            files.sync_dir(&folder)
        })
        .await?;
        self.to = to.0;
        self.made.to = Some(to.0);
        // Nothing that the snapshot shows is younger than its last change.
        let last = store.numbered(to).await?;
        let last = last.map_or(0, |stored| stored.updated_ms);
        self.made.at_ms = Some(last.max(self.running.job.created_ms));
        self.save().await
    }

    /// The searches for the resources of a type.
    async fn queries(&self, name: &str) -> Result<Vec<Query>, Fault> {
        let tenant = &self.running.tenant;
        let table = &tenant.table;
        let lost = || Fault::failed("the types of a job are no more");
        let ty = table.type_named(name).ok_or_else(lost)?;
        let call = self.running.call(&self.asked.base);
        let mut queries = Vec::new();
        let own = self.asked.filters.iter().filter(|(of, _)| of == name);
        for (_, text) in own {
            let given = pairs(text).map_err(|_| lost())?;
            let known = call.known(&given).await?;
            queries.push(crate::search::parse(call.reading(&known), Some(ty), &given)?.query);
        }
        if queries.is_empty() {
            queries.push(Query {
                types: table.stored(ty).into_iter().collect(),
                ..Query::default()
            });
        }
        let Some(patients) = &self.patients else {
            if self.asked.level == Level::Patient && name != "Patient" {
                let codes = compartment(tenant).remove(&ty).unwrap_or_default();
                let params = codes
                    .iter()
                    .filter_map(|code| Some(table.param(ty, code)?.key));
                let params: Vec<_> = params.collect();
                for query in &mut queries {
                    query.criteria.push(hilum_fhir_store::Criterion::Missing {
                        params: params.clone(),
                        missing: false,
                    });
                }
            }
            return Ok(queries);
        };
        let patients: Vec<String> = patients.iter().cloned().collect();
        let mut limited = Vec::new();
        for some in patients.chunks(PATIENTS_AT_ONCE) {
            let criterion = criterion(tenant, ty, some)?;
            for query in &queries {
                let mut query = query.clone();
                query.criteria.push(criterion.clone());
                limited.push(query);
            }
        }
        Ok(limited)
    }

    /// Writes a file of what was listed; whether there is more.
    async fn file_of_listing(&mut self, step: &Step) -> Result<bool, Halt> {
        let path = list_path(&self.running.folder(), &step.name);
        let mut lines = None;
        let mut after = self.made.after;
        loop {
            let (files, path) = (self.running.files(), path.clone());
            let pks = blocking(move || some_of(&*files, &path, after)).await?;
            after += i64::try_from(pks.len()).unwrap_or(0);
            if pks.is_empty() {
                return self.finish(step, lines, after, false).await;
            }
            let store = self.running.tenant.store.clone();
            let versions = store.versions_at(pks, Seq(self.to)).await?;
            let from = self.from;
            let changed = versions.into_iter().filter(|stored| stored.seq.0 > from);
            let more = self.write(step, &mut lines, changed.collect()).await?;
            if !more {
                return self.finish(step, lines, after, true).await;
            }
        }
    }

    /// Writes a file of what there was at the moment; whether there is more.
    async fn file_of_moment(&mut self, step: &Step) -> Result<bool, Halt> {
        let mut lines = None;
        let mut query = MomentQuery {
            resource_type: step.resource_type,
            kept: step.kept,
            after: Seq(self.made.after.max(self.from)),
            to: Seq(self.to),
            count: PAGE,
        };
        loop {
            let page = self.running.tenant.store.moment(query).await?;
            let room = self.write(step, &mut lines, page.versions).await?;
            match page.next {
                None => return self.finish(step, lines, 0, false).await,
                Some(next) if !room => return self.finish(step, lines, next.0, true).await,
                Some(next) => query.after = next,
            }
        }
    }

    /// Writes versions; whether the file has room for more.
    async fn write(
        &mut self,
        step: &Step,
        lines: &mut Option<Lines>,
        mut versions: Vec<Stored>,
    ) -> Result<bool, Halt> {
        if step.kept == Kept::Deleted && self.asked.level != Level::System {
            versions = self.before(versions).await?;
        }
        let tenant = Arc::clone(&self.running.tenant);
        let (asked, patients) = (Arc::clone(&self.asked), self.patients.clone());
        let (files, path) = (self.running.files(), self.path(step));
        let (name, kept, listed) = (step.name.clone(), step.kept, self.listed(step));
        let ty = step.ty;
        let file = lines.take();
        let wrote = tokio::task::spawn_blocking(move || {
            let out = match kept {
                Kept::Present => {
                    // What was searched for patients is theirs; the level alone is looked at here.
                    let sure = asked.level == Level::System || (listed && patients.is_some());
                    let codes = compartment(&tenant).remove(&ty).unwrap_or_default();
                    let keeps = |stored: &Stored| {
                        Ok::<_, Fault>(
                            sure || belongs(&tenant, stored, &codes, patients.as_deref())?,
                        )
                    };
                    let view = view(&asked, &name);
                    let mut out = Vec::with_capacity(versions.len());
                    for stored in &versions {
                        if keeps(stored)? {
                            out.extend(write::viewed(stored, &view)?);
                        }
                    }
                    out
                }
                Kept::Deleted => {
                    let codes = compartment(&tenant).remove(&ty).unwrap_or_default();
                    let mut out = Vec::with_capacity(versions.len());
                    for stored in &versions {
                        let keeps = asked.level == Level::System
                            || belongs(&tenant, stored, &codes, patients.as_deref())?;
                        if keeps {
                            out.push(deletion(&name, &stored.id));
                        }
                    }
                    out
                }
            };
            push(&*files, &path, file, &out).map_err(|error| {
                tracing::error!(%error, "a file of an export cannot be written");
                match error.kind() {
                    std::io::ErrorKind::StorageFull => Fault::new(
                        http::StatusCode::INSUFFICIENT_STORAGE,
                        IssueType::NoStore,
                        "the disk is full",
                    ),
                    _ => Fault::failed("a file of the export cannot be written"),
                }
            })
        });
        *lines = wrote
            .await
            .map_err(|_| Fault::failed("the writing of a file was broken off"))??;
        let count = lines.as_ref().map_or(0, |lines| lines.count);
        self.pause(count).await?;
        let limits = &self.running.fhir.limits;
        let bytes = lines.as_ref().map_or(0, |lines| lines.bytes);
        Ok(count < limits.export_file_resources_max && bytes < limits.export_file_bytes_max)
    }

    /// The versions before some deletions, which say to whom the resources belonged.
    async fn before(&self, deletions: Vec<Stored>) -> Result<Vec<Stored>, Halt> {
        let mut former = Vec::with_capacity(deletions.len());
        for deletion in deletions {
            let (of, version) = (deletion.resource_type, deletion.version.saturating_sub(1));
            let store = &self.running.tenant.store;
            former.extend(store.vread(of, &deletion.id, version).await?);
        }
        Ok(former)
    }

    fn path(&self, step: &Step) -> PathBuf {
        self.running.folder().join(self.name(step))
    }

    /// The name of the file that is written now.
    fn name(&self, step: &Step) -> String {
        let prefix = match step.kept {
            Kept::Present => "",
            Kept::Deleted => "deleted.",
        };
        format!("{prefix}{}.{}.ndjson", step.name, self.made.files.len() + 1)
    }

    /// Completes a file and saves how far the step is.
    async fn finish(
        &mut self,
        step: &Step,
        lines: Option<Lines>,
        after: i64,
        more: bool,
    ) -> Result<bool, Halt> {
        self.made.after = after;
        let Some(lines) = lines else {
            return Ok(more);
        };
        let count = lines.count;
        let (files, folder) = (self.running.files(), self.running.folder());
        blocking(move || lines.finish(&*files, &folder)).await?;
        let (part, resource_type) = match step.kept {
            Kept::Present => ("output", step.name.clone()),
            Kept::Deleted => ("deleted", "Bundle".to_owned()),
        };
        self.made.exported += count;
        let name = self.name(step);
        self.made.files.push(File {
            name,
            part: part.to_owned(),
            resource_type,
            count,
        });
        if more {
            self.save().await?;
        }
        Ok(more)
    }
}

/// Where it is listed which resources of a type the searches found.
fn list_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.list"))
}

/// Whether the resources of a type are searched, not walked through.
fn searched(asked: &Asked, limited: bool, name: &str) -> bool {
    limited || asked.filters.iter().any(|(of, _)| of == name)
}

/// The elements that are wanted of a type.
fn view(asked: &Asked, name: &str) -> View {
    let wanted = asked
        .elements
        .iter()
        .filter_map(|element| match element.split_once('.') {
            Some((of, element)) if of == name => Some(element.to_owned()),
            Some(_) => None,
            None => Some(element.clone()),
        });
    let wanted: Vec<String> = wanted.collect();
    if wanted.is_empty() {
        View::Full
    } else {
        View::Elements(wanted)
    }
}

/// A Bundle that deletes a resource.
fn deletion(name: &str, id: &str) -> Vec<u8> {
    let mut bundle = Bundle::new("transaction");
    bundle.entry(|entry| entry.request("DELETE", &format!("{name}/{id}")));
    bundle.finish()
}

/// Adds lines to a file, which is made when the first one comes.
fn push(
    files: &dyn Files,
    path: &Path,
    file: Option<Lines>,
    out: &[Vec<u8>],
) -> std::io::Result<Option<Lines>> {
    let mut file = match file {
        None if out.is_empty() => return Ok(None),
        None => Lines::create(files, path)?,
        Some(file) => file,
    };
    for line in out {
        file.push(line)?;
    }
    Ok(Some(file))
}

/// The next resources of a listing.
fn some_of(files: &dyn Files, path: &Path, after: i64) -> std::io::Result<Vec<Pk>> {
    let mut buffer = vec![0; PAGE as usize * 8];
    let offset = after.unsigned_abs() * 8;
    let read = files.read_at(path, offset, &mut buffer)?;
    buffer.truncate(read);
    let numbers = buffer.as_chunks::<8>().0.iter();
    Ok(numbers
        .map(|bytes| Pk(i64::from_le_bytes(*bytes)))
        .collect())
}
