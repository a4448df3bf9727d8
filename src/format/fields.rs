//! Fields of fixed length at the front of a slice, little-endian: what objects and the entries of profiles are made of.
//!
//! Invariant: nothing is read beyond the slice, and no input makes a reader panic.

use crate::id::{Claim, OwnerId};

/// The fields of a slice that are not read yet.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// All fields of `bytes`.
    pub fn of(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    /// Number of bytes that are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// `N` bytes as they are.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A claim, as [`put_claim`] writes it.
    pub fn claim(&mut self) -> Option<Claim> {
        Some(Claim { epoch: self.u64()?, owner: OwnerId(self.take()?) })
    }

    /// `value`, if nothing is left.
    pub fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// Appends a claim.
pub fn put_claim(out: &mut Vec<u8>, claim: &Claim) {
    out.extend_from_slice(&claim.epoch.to_le_bytes());
    out.extend_from_slice(&claim.owner.0);
}
