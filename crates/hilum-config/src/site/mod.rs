//! The folder of a site: reading, overlays, systems.

mod folder;
mod overlay;
mod systems;
mod view;

pub use folder::{FILES_MAX, Folder, ReadError, SITE_FILE_BYTES_MAX};
pub(crate) use overlay::merge;
pub(crate) use systems::{System, ZONE_REMEDY, production_addresses, read_system};
pub(crate) use view::{SecretState, SiteView, Used};
pub use view::{Secrets, Variables, secret};
