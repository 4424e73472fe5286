//! The rows of the table, by subject.

pub(crate) mod boot;
pub(crate) mod firmware;
pub(crate) mod fleet;
pub(crate) mod inside;
pub(crate) mod log;
pub(crate) mod pins;
pub(crate) mod portal;
pub(crate) mod publish;
