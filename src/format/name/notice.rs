//! Notices: the tag by which a store tells whose claims changed.
//!
//! It has two bytes: anybody may hear it who reaches the store, and nobody can tell a tenant by it.

use sha2::{Digest as _, Sha256};

use super::{CLAIMS, TenantName};

fn tag(name: &str) -> u16 {
    let digest = Sha256::digest(name.as_bytes());
    digest.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

impl TenantName {
    /// The tag of this tenant.
    pub fn notice(&self) -> u16 {
        tag(self.as_str())
    }
}

/// The tag of the tenant whose claim, or statement about one, is called `object`; `None` for any other object.
pub fn notice(object: &str) -> Option<u16> {
    let (name, _) = object.strip_prefix(CLAIMS)?.strip_prefix('/')?.split_once('.')?;
    Some(tag(name))
}

/// A notice as it is sent.
pub fn written_notice(notice: u16) -> String {
    format!("{notice:04x}")
}

/// The notice that was sent so.
pub fn read_notice(text: &str) -> Option<u16> {
    let is_one = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| u16::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::name::{ClaimName, Mark};
    use crate::id::{Claim, OwnerId};

    #[test]
    fn a_notice_reads_back_and_nothing_else_is_one() {
        for notice in [0, 1, 0xabc, u16::MAX] {
            assert_eq!(read_notice(&written_notice(notice)), Some(notice));
        }
        for other in ["", "1", "00001", "zzzz", "+123", "\u{e4}\u{e4}"] {
            assert_eq!(read_notice(other), None, "{other}");
        }
    }

    #[test]
    fn every_statement_about_a_claim_has_the_tag_of_its_tenant_and_no_other_object_has_one() {
        let tenant = TenantName::visible("4915112345678").expect("a good id");
        let claim = Claim { epoch: 3, owner: OwnerId::of_user([7; 16]) };
        for mark in [Mark::Claimed, Mark::Live, Mark::Leaving, Mark::Released, Mark::Deleted] {
            assert_eq!(notice(&ClaimName { claim, mark }.object(&tenant)), Some(tenant.notice()));
        }
        for other in ["v1/claims", "v1/claims/", "v1/claimsx/a.b", "v1/data/a/b.base", ""] {
            assert_eq!(notice(other), None, "{other}");
        }
    }
}
