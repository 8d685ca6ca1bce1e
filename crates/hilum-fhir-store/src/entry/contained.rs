//! The numbers under which contained resources stand.

/// Stands in the number of each parameter of a contained resource.
pub(crate) const MARK: u32 = 1 << 28;

/// The index that finds, by the number of a type, what contains a resource of it.
pub(crate) const CONTAINS: u32 = 1 << 27;

/// The number in a packing of what is contained of a type.
pub(crate) const fn contained(resource_type: u16) -> u32 {
    CONTAINS | resource_type as u32
}

/// The type of such a number.
pub(super) const fn type_of(number: u32) -> i64 {
    (number & 0xffff) as i64
}
