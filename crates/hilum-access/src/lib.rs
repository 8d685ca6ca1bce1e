//! Which permission each route needs.
