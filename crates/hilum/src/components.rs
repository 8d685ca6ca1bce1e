//! The components that this program is built with: one visible list a kind.

use hilum_component::Registry;

/// All components.
pub(crate) fn registry() -> Registry {
    Registry::new(
        hilum_formats::specs()
            .into_iter()
            .chain(hilum_steps::specs())
            .chain(hilum_connectors::specs()),
    )
}
