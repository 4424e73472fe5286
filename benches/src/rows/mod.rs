//! The rows of the table, by subject.

pub(crate) mod boot;
pub(crate) mod inside;
pub(crate) mod portal;
