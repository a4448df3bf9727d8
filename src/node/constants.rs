//! Values of the core that JavaScript uses too, so that none of them stands in both languages.

use std::time::Duration;

use napi_derive::napi;

use crate::format::name::HIDDEN;
use crate::ownership::lease;
use crate::store::{PROBE, SMALLEST};

/// Values that are the same for every session.
#[napi(object, object_from_js = false)]
pub struct Constants {
    /// Size of an object below which a store takes no part of a base either.
    pub smallest_part_bytes: f64,
    /// Folder in a store of the scratch objects of a probe.
    pub probe_folder: String,
    /// Start of the name of a tenant whose id is hidden.
    pub hidden_name: String,
}

/// Values that are the same for every session.
#[napi(catch_unwind)]
pub fn constants() -> Constants {
    Constants {
        smallest_part_bytes: SMALLEST as f64,
        probe_folder: PROBE.to_owned(),
        hidden_name: HIDDEN.to_owned(),
    }
}

/// Milliseconds that a successor waits for an owner that looks every `interval_ms`, where no other wait is set.
#[napi(catch_unwind)]
pub fn handover_wait(interval_ms: u32) -> f64 {
    lease::handover_wait(Duration::from_millis(interval_ms.into())).as_secs_f64() * 1000.0
}
