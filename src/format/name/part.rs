//! Names of parts: of an object that is too large for the store, some bytes.
//!
//! A name says which object, how the bytes were cut and which of them these are: it has one content only (I1).

use super::{DataName, TenantName};

/// Bytes of the largest part of an object.
pub const MAX_PART: usize = 32 << 20;

/// The name of a part of an object: so many parts come before it, of `size` bytes each.
pub fn part(object: &str, size: usize, before: usize) -> String {
    format!("{object}.{size:08}-{before:05}.part")
}

/// A name in a tenant's data folder, of a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartName {
    /// The object.
    pub of: DataName,
    /// Bytes of each part but the last.
    pub size: usize,
    /// Number of those before it.
    pub before: usize,
}

impl PartName {
    /// The full object name.
    pub fn object(&self, tenant: &TenantName) -> String {
        part(&self.of.object(tenant), self.size, self.before)
    }

    /// Reads a name within a data folder, without the folder. `None` for what is no part.
    pub fn parse(name: &str) -> Option<PartName> {
        let (of, numbers) = name.strip_suffix(".part")?.rsplit_once('.')?;
        let (size, before) = numbers.split_once('-')?;
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(size, 8) || !digits(before, 5) {
            return None;
        }
        Some(PartName { of: DataName::parse(of)?, size: size.parse().ok()?, before: before.parse().ok()? })
    }
}
