//! Names of packs: the payload of a browser profile, beside the history that says what lies in them.
//!
//! A name says who stored it and which one it is, and has one content only (I1). It tells nothing of the files.

use std::fmt;

use super::TenantName;
use crate::id::{Claim, ShortDigest, number, unhex};

/// A name in a tenant's folder of packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackName {
    /// The claim that wrote it.
    pub claim: Claim,
    /// Its number within the history of the tenant.
    pub number: u64,
    /// The start of its digest.
    pub digest: ShortDigest,
}

impl TenantName {
    /// The folder of this tenant's packs.
    pub fn packs_folder(&self) -> String {
        format!("v1/packs/{}", self.as_str())
    }
}

impl PackName {
    /// The full object name.
    pub fn object(&self, tenant: &TenantName) -> String {
        format!("{}/{self}", tenant.packs_folder())
    }

    /// Reads a name within a folder of packs, without the folder. `None` for what is not ours.
    pub fn parse(name: &str) -> Option<PackName> {
        let (claim, rest) = name.split_at_checked(Claim::TEXT_LEN)?;
        let (digits, rest) = rest.strip_prefix('.')?.split_at_checked(20)?;
        let digest = rest.strip_prefix('-')?.strip_suffix(".pack")?;
        Some(PackName {
            claim: Claim::parse(claim)?,
            number: number(digits)?,
            digest: ShortDigest(unhex(digest)?),
        })
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:020}-{}.pack", self.claim, self.number, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::name::{DataName, PartName};
    use crate::id::OwnerId;

    #[test]
    fn pack_names_read_back_and_nothing_else_does() {
        let claim = Claim { epoch: 3, owner: OwnerId([9; 16]) };
        let name = PackName { claim, number: 41, digest: ShortDigest([0xcd; 8]) };
        let text = name.to_string();
        assert_eq!(PackName::parse(&text), Some(name));
        assert_eq!((DataName::parse(&text), PartName::parse(&text)), (None, None));
        for at in 0..text.len() {
            let cut: String = text.chars().enumerate().filter(|(i, _)| *i != at).map(|(_, c)| c).collect();
            assert_eq!(PackName::parse(&cut), None, "{cut}");
        }
    }
}
