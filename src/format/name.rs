//! Object names: who wrote what, where in the history, in an order that bytes keep.
//!
//! Names use only characters that every store takes, differ on file systems that ignore case, and never hold a contact.
//! Nobody but its owner ever writes a name, so a name has one content only (I1).
//!
//! ```text
//! v1/claims/<tenant>.<claim>                         a claim
//! v1/claims/<tenant>.<claim>.live                    this claim has a base
//! v1/claims/<tenant>.<claim>.leaving                 accepts nothing more, still stores
//! v1/claims/<tenant>.<claim>.released                clean end
//! v1/claims/<tenant>.<claim>.deleted                 tombstone
//! v1/names/<mark>                                    a key that hidden names were made with
//! v1/data/<tenant>/<claim>.<lsn>-<digest>.base       the whole state at an LSN
//! v1/data/<tenant>/<claim>.<first>-<last>-<digest>.seg   the last values of what changed in a range
//! v1/data/<tenant>/<object>.<size>-<number>.part     some bytes of an object that is too large for the store
//! v1/packs/<tenant>/<claim>.<number>-<digest>.pack   pieces of the files of a browser profile
//! ```

mod notice;
mod pack;
mod part;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::error::{Code, Error, Result};
use crate::id::{Claim, Lsn, ShortDigest, TenantTag, hex, number, unhex};

pub use notice::{notice, read_notice, written_notice};
pub use pack::PackName;
pub use part::{MAX_PART, PartName, part};

/// Folder of the claims of all tenants, flat, so that one listing shows them all.
pub const CLAIMS: &str = "v1/claims";
/// Start of the name of a tenant whose id is hidden. It never starts an escape, so it meets no visible name.
pub const HIDDEN: &str = "_t";

/// Folder of the marks of naming keys, see `names.rs`.
pub const NAMING: &str = "v1/names";

/// Longest tenant id in bytes.
pub const MAX_TENANT_LEN: usize = 512;

/// Longest escaped name: longer ones keep their start and a hash.
const MAX_NAME_LEN: usize = 120;

/// Device names that Windows refuses as file names.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A tenant as it stands in names: its escaped id, or its tag where ids are hidden.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(String);

impl TenantName {
    /// The name that shows the tenant id. Two ids never share one: `_` starts an escape, and is itself escaped.
    pub fn visible(tenant: &str) -> Result<TenantName> {
        if tenant.is_empty() || tenant.len() > MAX_TENANT_LEN {
            let message =
                format!("a tenant id must have 1 to {MAX_TENANT_LEN} bytes; this one has {}", tenant.len());
            return Err(Error::new(Code::InvalidOption, message));
        }
        let mut name = String::with_capacity(tenant.len());
        let reserved = RESERVED.contains(&tenant) || is_numbered_device(tenant);
        for (at, byte) in tenant.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' if !(reserved && at == 0) => name.push(char::from(byte)),
                _ => {
                    name.push('_');
                    name.push_str(&hex(&[byte]));
                }
            }
        }
        if name.len() > MAX_NAME_LEN {
            name.truncate(MAX_NAME_LEN - 34);
            name.push_str("_h");
            name.extend(hex(&Sha256::digest(tenant.as_bytes())).chars().take(32));
        }
        Ok(TenantName(name))
    }

    /// The name that shows nothing.
    pub fn hidden(tag: TenantTag) -> TenantName {
        TenantName(format!("{HIDDEN}{tag}"))
    }

    /// The tag in a hidden name.
    pub fn tag(&self) -> Option<TenantTag> {
        unhex(self.0.strip_prefix(HIDDEN)?).map(TenantTag)
    }

    /// The tenant id behind a name found in the claims folder; `None` where it was hidden, or too long to be kept.
    pub fn reveal(listed: &str) -> Option<String> {
        let (name, _) = listed.split_once('.')?;
        let mut id = Vec::with_capacity(name.len());
        let mut rest = name.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte == b'_' {
                let (digits, tail) = rest.split_at_checked(2)?;
                let [code] = unhex(std::str::from_utf8(digits).ok()?)?;
                id.push(code);
                rest = tail;
            } else {
                id.push(byte);
            }
        }
        let id = String::from_utf8(id).ok()?;
        // Only what this release would call so is a name of ours.
        (TenantName::visible(&id).ok()?.as_str() == name).then_some(id)
    }

    /// The name as it stands in the claims folder, before the claim: whoever's it is.
    pub fn found(listed: &str) -> Option<TenantName> {
        let (name, _) = listed.split_once('.')?;
        Some(TenantName(name.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The start of this tenant's names within [`CLAIMS`]; no other tenant's names start so.
    pub fn claims_prefix(&self) -> String {
        format!("{}.", self.0)
    }

    /// The folder of this tenant's data.
    pub fn data_folder(&self) -> String {
        format!("v1/data/{}", self.0)
    }
}

impl fmt::Debug for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantName")
    }
}

fn is_numbered_device(tenant: &str) -> bool {
    matches!(tenant.as_bytes(), [b'c', b'o', b'm', b'0'..=b'9'] | [b'l', b'p', b't', b'0'..=b'9'])
}

/// Statement about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// It was made.
    Claimed,
    /// It has a base: from now on, finding no data means that data was lost.
    Live,
    /// It accepts nothing more, and is still storing what it accepted.
    Leaving,
    /// It ended cleanly, at the LSN that the object names.
    Released,
    /// The session was deleted: nothing at or below this claim may come back (I10).
    Deleted,
}

impl Mark {
    /// The end of the name.
    pub fn suffix(self) -> &'static str {
        match self {
            Mark::Claimed => "",
            Mark::Live => ".live",
            Mark::Leaving => ".leaving",
            Mark::Released => ".released",
            Mark::Deleted => ".deleted",
        }
    }
}

/// A name in the claims folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName {
    /// The claim.
    pub claim: Claim,
    /// The statement about it.
    pub mark: Mark,
}

impl ClaimName {
    /// The full object name.
    pub fn object(&self, tenant: &TenantName) -> String {
        format!("{CLAIMS}/{}{}{}", tenant.claims_prefix(), self.claim, self.mark.suffix())
    }

    /// Reads a name within the claims folder, without the folder. `None` for other tenants and for what is not ours.
    pub fn parse(tenant: &TenantName, name: &str) -> Option<ClaimName> {
        let rest = name.strip_prefix(tenant.as_str())?.strip_prefix('.')?;
        let (claim, suffix) = rest.split_at_checked(Claim::TEXT_LEN)?;
        let claim = Claim::parse(claim)?;
        let mark = [Mark::Claimed, Mark::Live, Mark::Leaving, Mark::Released, Mark::Deleted]
            .into_iter()
            .find(|m| m.suffix() == suffix)?;
        Some(ClaimName { claim, mark })
    }
}

/// A name in a tenant's data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataName {
    /// The claim that wrote it.
    pub claim: Claim,
    /// The LSNs that it covers.
    pub span: Span,
    /// The start of its digest.
    pub digest: ShortDigest,
}

/// The part of the history that an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// The whole state at this LSN.
    Base(Lsn),
    /// The last values of the keys changed in this range, both ends included.
    Segment(Lsn, Lsn),
}

impl Span {
    /// The LSN that is reached with this object.
    pub fn last(&self) -> Lsn {
        match *self {
            Span::Base(lsn) | Span::Segment(_, lsn) => lsn,
        }
    }
}

impl DataName {
    /// The full object name.
    pub fn object(&self, tenant: &TenantName) -> String {
        format!("{}/{self}", tenant.data_folder())
    }

    /// Reads a name within a data folder, without the folder. `None` for what is not ours.
    pub fn parse(name: &str) -> Option<DataName> {
        let (claim, rest) = name.split_at_checked(Claim::TEXT_LEN)?;
        let claim = Claim::parse(claim)?;
        let lsn = |text: &mut &str| {
            let (digits, after) = text.split_at_checked(20)?;
            *text = after.strip_prefix('-')?;
            number(digits)
        };
        let mut rest = rest.strip_prefix('.')?;
        let span = if let Some(base) = rest.strip_suffix(".base") {
            rest = base;
            Span::Base(lsn(&mut rest)?)
        } else {
            rest = rest.strip_suffix(".seg")?;
            Span::Segment(lsn(&mut rest)?, lsn(&mut rest)?)
        };
        Some(DataName { claim, span, digest: ShortDigest(unhex(rest)?) })
    }
}

impl fmt::Display for DataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Span::Base(lsn) => write!(f, "{}.{lsn:020}-{}.base", self.claim, self.digest),
            Span::Segment(first, last) => {
                write!(f, "{}.{first:020}-{last:020}-{}.seg", self.claim, self.digest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::id::OwnerId;

    fn tenant(id: &str) -> TenantName {
        TenantName::visible(id).expect("a good id")
    }

    #[test]
    fn different_tenants_never_share_a_name_even_where_case_is_ignored() {
        let long = "x".repeat(200);
        let other = format!("{}y", "x".repeat(199));
        let ids = [
            "a", "A", "_61", "a.b", "a_2eb", "+49 1", "con", "_63on", "com1", "\u{e4}", "a/b", "..", &long,
            &other, "_t00",
        ];
        let names: HashSet<String> = ids.iter().map(|id| tenant(id).as_str().to_lowercase()).collect();
        assert_eq!(names.len(), ids.len(), "{names:?}");
        for name in names {
            assert!(name.len() <= MAX_NAME_LEN);
            assert!(name.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')), "{name}");
        }
    }

    #[test]
    fn a_listed_name_gives_back_its_tenant_unless_it_was_hidden() {
        let claim = ClaimName { claim: Claim { epoch: 1, owner: OwnerId([7; 16]) }, mark: Mark::Live };
        let listed = |name: &TenantName| claim.object(name).strip_prefix("v1/claims/").map(str::to_owned);
        for id in ["a", "A", "_61", "a.b", "+49 151 1", "con", "com1", "\u{e4}", "a/b", "..", "x-y"] {
            assert_eq!(TenantName::reveal(&listed(&tenant(id)).expect("in its folder")).as_deref(), Some(id));
        }
        let long = "x".repeat(200);
        for name in [tenant(&long), TenantName::hidden(TenantTag([3; 16]))] {
            assert_eq!(TenantName::reveal(&listed(&name).expect("in its folder")), None);
        }
        for other in ["", "a", "_6.x", "_zz.x", "A.x", "_ff.x"] {
            assert_eq!(TenantName::reveal(other), None, "{other}");
        }
    }

    #[test]
    fn no_tenant_sees_the_claims_of_another() {
        let claim = ClaimName { claim: Claim { epoch: 1, owner: OwnerId([7; 16]) }, mark: Mark::Live };
        let name = claim.object(&tenant("a"));
        let name = name.strip_prefix("v1/claims/").expect("in its folder");
        assert_eq!(ClaimName::parse(&tenant("a"), name), Some(claim));
        for other in ["b", "a-", "a1", "a.0"] {
            assert_eq!(ClaimName::parse(&tenant(other), name), None, "{other}");
        }
    }

    #[test]
    fn data_names_read_back_and_nothing_else_does() {
        let claim = Claim { epoch: 3, owner: OwnerId([9; 16]) };
        for span in [Span::Base(7), Span::Segment(8, 12)] {
            let name = DataName { claim, span, digest: ShortDigest([0xcd; 8]) };
            let text = name.to_string();
            assert_eq!(DataName::parse(&text), Some(name));
            for at in 0..text.len() {
                let cut: String =
                    text.chars().enumerate().filter(|(i, _)| *i != at).map(|(_, c)| c).collect();
                assert_eq!(DataName::parse(&cut), None, "{cut}");
            }
            let piece = PartName { of: name, size: 8192, before: 3 };
            let text = part(&text, 8192, 3);
            assert_eq!((PartName::parse(&text), DataName::parse(&text)), (Some(piece), None));
            for other in
                [text.replace("-00003", "-3"), text.replace(".00008192", ""), text.replace("part", "")]
            {
                assert_eq!(PartName::parse(&other), None, "{other}");
            }
        }
    }

    #[test]
    fn empty_and_endless_tenant_ids_are_refused() {
        for bad in ["", &"x".repeat(MAX_TENANT_LEN + 1)] {
            assert_eq!(TenantName::visible(bad).map_err(|e| e.code()), Err(Code::InvalidOption));
        }
    }
}
