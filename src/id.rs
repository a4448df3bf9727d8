//! The identities of the protocol: positions, owners, claims, tags and digests.
//!
//! Claims are totally ordered by epoch and then by owner bytes (I2), and their text form is of fixed width, so
//! the byte order of names is the order of the protocol.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Number of a batch within a tenant's history: strictly increasing, starting at 1; 0 is "nothing yet".
pub type Lsn = u64;

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

/// The bytes of lower-case hex `text`, if it is exactly `N` bytes of it.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// 128 random bits minted at each open: nobody else ever writes a name that holds them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OwnerId(pub [u8; 16]);

impl OwnerId {
    /// The id of somebody who opens a session to use it, of random bytes. It never begins with two zero bytes.
    pub fn of_user(random: [u8; 16]) -> OwnerId {
        match random {
            [0, 0, rest @ ..] => {
                let mut bytes = [1; 16];
                for (to, from) in bytes.iter_mut().skip(2).zip(rest) {
                    *to = from;
                }
                OwnerId(bytes)
            }
            other => OwnerId(other),
        }
    }

    /// The id of a tool, which goes on after a claim that it judged: below that of every user in the same epoch.
    pub fn of_tool(random: [u8; 14]) -> OwnerId {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().skip(2).zip(random) {
            *to = from;
        }
        OwnerId(bytes)
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The right to write a tenant's history, ordered by epoch and then by owner. Epoch 0 never reached a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Claim {
    /// One more than the highest epoch seen when the claim was made.
    pub epoch: u64,
    /// The instance that made it; the tie-breaker.
    pub owner: OwnerId,
}

impl Claim {
    /// Length of the text form: 20 decimal digits, a dash, 32 hex digits.
    pub const TEXT_LEN: usize = 53;

    /// The claim of a tool that judged `self`. Whoever came back since has a higher one.
    pub fn judged_by(&self, random: [u8; 14]) -> Claim {
        Claim { epoch: self.epoch.saturating_add(1), owner: OwnerId::of_tool(random) }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Claim> {
        // Of fixed width: a listing has thousands of them, and nothing has to be searched for.
        let (epoch, owner) = text.split_at_checked(20)?;
        Some(Claim { epoch: number(epoch)?, owner: OwnerId(unhex(owner.strip_prefix('-')?)?) })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}", self.epoch, self.owner)
    }
}

/// Exactly 20 decimal digits that fit 64 bits.
pub fn number(text: &str) -> Option<u64> {
    if text.len() != 20 {
        return None;
    }
    text.bytes().try_fold(0_u64, |sum, c| {
        let digit = c.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The name of a tenant inside files, so that a file copied to another tenant does not open (I15).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TenantTag(pub [u8; 16]);

impl fmt::Display for TenantTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for TenantTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The first eight bytes, as object names carry them.
    pub fn short(&self) -> ShortDigest {
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(self.0) {
            *to = from;
        }
        ShortDigest(short)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The start of a digest, as object names carry it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortDigest(pub [u8; 8]);

impl fmt::Display for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ShortDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_of_claim_text_is_the_order_of_claims() {
        let mut claims: Vec<Claim> = [(0, 0xff), (1, 0), (1, 1), (2, 0), (10, 0), (u64::MAX, 0xff)]
            .map(|(epoch, byte)| Claim { epoch, owner: OwnerId([byte; 16]) })
            .to_vec();
        claims.sort();
        let texts: Vec<String> = claims.iter().map(Claim::to_string).collect();
        assert!(texts.windows(2).all(|pair| pair[0] < pair[1]), "{texts:?}");
        assert!(texts.iter().all(|text| text.len() == Claim::TEXT_LEN));
        for (claim, text) in claims.iter().zip(&texts) {
            assert_eq!(Claim::parse(text), Some(*claim));
        }
    }

    #[test]
    fn a_tool_is_below_every_user_who_comes_after_the_claim_that_it_judged() {
        let judged = Claim { epoch: 7, owner: OwnerId::of_user([0xff; 16]) };
        let tool = judged.judged_by([0xff; 14]);
        assert!(judged < tool);
        let mut least = [0; 16];
        for last in 0..=u8::MAX {
            least[15] = last;
            let user = OwnerId::of_user(least);
            assert_ne!(user.0[..2], [0, 0]);
            assert_eq!(user.0[15], last, "what is random stays");
            assert!(tool < Claim { epoch: 8, owner: user });
        }
        assert_eq!(OwnerId::of_user([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]).0[1], 1);
    }

    #[test]
    fn text_that_is_not_exactly_a_claim_is_refused() {
        let good = Claim { epoch: 7, owner: OwnerId([0xab; 16]) }.to_string();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad.remove(at);
            assert_eq!(Claim::parse(&bad), None, "{bad}");
        }
        assert_eq!(Claim::parse(&good.to_uppercase()), None);
        assert_eq!(Claim::parse(&good.replace('-', "+")), None);
        assert_eq!(Claim::parse(&format!("{}-{}", "9".repeat(20), OwnerId::default())), None);
    }
}
