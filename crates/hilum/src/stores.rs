//! The stores of resources for backup and verification: the files of a data folder, with or without
//! a node on it, and what a FHIR server keeps in a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilum_admin::{FhirCopy, FhirStore, FhirStores};
use hilum_config::FhirPlan;
use hilum_fhir_server::{Fhir, StoreError, back_up_file, verify_file};
use hilum_journal::Cancel;

/// The stores in the files of a data folder, also of tenants that no plan has any more.
pub(crate) fn in_folder(data: &Path) -> FhirStores {
    let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| is_store(path));
    files.sort();
    let store = |path| Box::new(InFile(path)) as Box<dyn FhirStore>;
    files.into_iter().map(store).collect()
}

/// As [`in_folder`], with those that the server on it keeps in a database.
pub(crate) fn of_node(plan: &FhirPlan, fhir: &Arc<Fhir>, data: &Path) -> FhirStores {
    let mut stores = in_folder(data);
    let Some(database) = &plan.database else {
        return stores;
    };
    let names = std::iter::once("").chain(plan.tenants.keys().map(String::as_str));
    stores.extend(names.map(|tenant| {
        let schema = if tenant.is_empty() {
            database.schema.clone()
        } else {
            database.schema_of(tenant)
        };
        Box::new(InDatabase {
            tenant: tenant.to_owned(),
            schema,
            address: database.address.clone(),
            database: database.database.clone(),
            fhir: Arc::clone(fhir),
        }) as Box<dyn FhirStore>
    }));
    stores
}

/// The names that `fhir: tenants` leads to; see [`crate::fhir::places`].
fn is_store(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_suffix(".db"));
    name.is_some_and(|name| name == "fhir" || name.starts_with("fhir-")) && path.is_file()
}

struct InFile(PathBuf);

impl FhirStore for InFile {
    fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn back_up(&self, to: &Path, cancel: &Cancel) -> Result<FhirCopy, String> {
        let target = to.join(self.0.file_name().unwrap_or_default());
        back_up_file(&self.0, &target, cancel).map_err(chain)?;
        Ok(FhirCopy::Made(target))
    }

    fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, String> {
        verify_file(&self.0, cancel).map_err(chain)
    }
}

struct InDatabase {
    tenant: String,
    schema: String,
    address: String,
    database: String,
    fhir: Arc<Fhir>,
}

impl FhirStore for InDatabase {
    fn name(&self) -> String {
        let (address, database, schema) = (&self.address, &self.database, &self.schema);
        format!("postgres://{address}/{database} (schema {schema})")
    }

    fn back_up(&self, _to: &Path, _cancel: &Cancel) -> Result<FhirCopy, String> {
        let (schema, database) = (&self.schema, &self.database);
        let command = format!("pg_dump --format=custom --schema={schema} {database}");
        Ok(FhirCopy::By(format!("copy it with `{command}`")))
    }

    fn verify(&self, cancel: &Cancel) -> Result<Vec<String>, String> {
        self.fhir.verify(&self.tenant, cancel).map_err(chain)
    }
}

fn chain(error: StoreError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
