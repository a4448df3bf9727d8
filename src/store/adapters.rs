//! The adapters: one per kind of store, each with one request per operation, and without a retry of its own.

pub(super) mod bucket;
mod dial;
pub(super) mod directory;
pub(super) mod http;
mod life;
mod listening;
pub mod memory;
mod pool;
pub(super) mod postgres;
pub(super) mod redis;
pub(super) mod resolver;
pub(super) mod supabase;
mod tls;
