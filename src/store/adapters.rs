//! The adapters: one per kind of store, each with one request per operation, and without a retry of its own.

pub(super) mod bucket;
pub(super) mod directory;
pub(super) mod http;
pub mod memory;
pub(super) mod resolver;
pub(super) mod supabase;
