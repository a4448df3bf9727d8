//! Sealing: the key ring, key derivation and authenticated encryption.
//!
//! A (key, nonce) pair never repeats (I14): every file and every open derives its own key from fresh randomness, and
//! within it nonces are a counter that the caller only ever increases. A key commitment beside the sealed bytes tells a
//! wrong key from damaged bytes. With an empty ring nothing is encrypted (suite 0).

use std::ops::Range;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Cause, Code, Error, Result};
use crate::id::{TenantTag, hex};

/// Bytes that sealing adds behind a body: the authentication tag.
pub const TAG_LEN: usize = 16;

/// Names a master key; derived from it, so that nobody has to number keys.
pub type KeyId = [u8; 8];

/// Protection of bytes. The number stands in files and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Not encrypted: no keys were configured, and the user said so.
    Plain = 0,
    /// HKDF-SHA-256 and AES-256-GCM.
    Aes256Gcm = 1,
}

impl Suite {
    /// Reads the suite byte.
    pub fn from_byte(byte: u8) -> Option<Suite> {
        match byte {
            0 => Some(Suite::Plain),
            1 => Some(Suite::Aes256Gcm),
            _ => None,
        }
    }
}

/// Purpose of a derived key: the same master key and salt under another purpose give an unrelated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Objects in the store, salted with the owner id.
    Object,
    /// Frames of a local log, salted with the log's own random salt.
    Log,
}

/// Place of sealed bytes. It is part of the key, so that bytes moved elsewhere do not open (I15).
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Kind of the bytes.
    pub purpose: KeyPurpose,
    /// Fresh randomness of this file or this open.
    pub salt: &'a [u8],
    /// Tenant that they belong to.
    pub tag: TenantTag,
    /// Under which epoch they were written.
    pub epoch: u64,
}

struct MasterKey {
    id: KeyId,
    key: Zeroizing<[u8; 32]>,
}

/// The keys of the user: the first one seals, all of them open.
#[derive(Default)]
pub struct Ring {
    keys: Vec<MasterKey>,
    accepts_plain: bool,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| hex(&key.id))).finish()
    }
}

impl Ring {
    /// A ring of the 32-byte keys laid end to end in `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Ring> {
        let (keys, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(Error::new(
                Code::InvalidOption,
                "an encryption key must be 32 bytes (64 hex digits)",
            ));
        }
        let keys = keys
            .iter()
            .map(|key| {
                let mut id = KeyId::default();
                expand(&Hkdf::new(None, key), &[b"bha/v1/key-id"], &mut id);
                MasterKey { id, key: Zeroizing::new(*key) }
            })
            .collect();
        Ok(Ring { keys, accepts_plain: false })
    }

    /// The same keys, beside which bytes that are not encrypted are taken too, or are not.
    pub fn accepting_plain(self, accepts_plain: bool) -> Ring {
        Ring { accepts_plain, ..self }
    }

    /// True if bytes that are not encrypted are taken: without keys, or because the user said so.
    pub fn takes_plain(&self) -> bool {
        self.keys.is_empty() || self.accepts_plain
    }

    /// True if there are no keys, so that nothing is encrypted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Cipher for new bytes of `context`: the primary key, or nothing when the ring is empty.
    pub fn sealer(&self, context: &Context<'_>) -> Seal {
        match self.keys.first() {
            Some(key) => key.derive(context),
            None => Seal { suite: Suite::Plain, key_id: KeyId::default(), commitment: [0; 16], cipher: None },
        }
    }

    /// Cipher for bytes that say they were sealed so. Refuses an unknown key and a wrong one, by name.
    pub fn opener(
        &self,
        suite: Suite,
        key_id: KeyId,
        commitment: [u8; 16],
        context: &Context<'_>,
    ) -> Result<Seal> {
        if suite == Suite::Plain {
            return Ok(Seal { suite, key_id, commitment, cipher: None });
        }
        let Some(key) = self.keys.iter().find(|key| key.id == key_id) else {
            let message = format!("needs encryption key {}, which is not configured", hex(&key_id));
            return Err(Error::new(Cause::Keyless, message));
        };
        let seal = key.derive(context);
        if !bool::from(seal.commitment.ct_eq(&commitment)) {
            let message =
                format!("encryption key {} does not match the one used for encryption", hex(&key_id));
            return Err(Error::new(Cause::Keyless, message));
        }
        Ok(seal)
    }

    /// A tag for `tenant` that only a holder of the ring's last key can compute. The last key is the oldest: names must
    /// outlive rotations.
    pub fn hidden_tag(&self, tenant: &str) -> Option<TenantTag> {
        self.keys.last().map(|key| key.hidden_tag(tenant))
    }

    /// The tags that `tenant` would have under each key.
    pub fn hidden_tags(&self, tenant: &str) -> Vec<TenantTag> {
        self.keys.iter().map(|key| key.hidden_tag(tenant)).collect()
    }

    /// Says, without revealing it, which key hidden names are made with.
    pub fn naming_mark(&self) -> Option<String> {
        self.keys.last().map(|key| hex(&key.hidden_tag("").0))
    }

    /// The ids of the keys, the primary first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|key| key.id).collect()
    }
}

/// The tag of `tenant` where its name is no secret.
pub fn visible_tag(tenant: &str) -> TenantTag {
    truncate(&Sha256::new_with_prefix(b"bha/v1/tenant").chain_update(tenant.as_bytes()).finalize())
}

fn truncate(hash: &[u8]) -> TenantTag {
    let mut tag = [0; 16];
    for (to, from) in tag.iter_mut().zip(hash) {
        *to = *from;
    }
    TenantTag(tag)
}

fn expand(hkdf: &Hkdf<Sha256>, info: &[&[u8]], out: &mut [u8]) {
    hkdf.expand_multi_info(info, out).expect("HKDF gives up to 8160 bytes");
}

impl MasterKey {
    fn hidden_tag(&self, tenant: &str) -> TenantTag {
        let mut key = Zeroizing::new([0; 32]);
        expand(&Hkdf::new(None, self.key.as_slice()), &[b"bha/v1/names"], key.as_mut_slice());
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
        mac.update(tenant.as_bytes());
        truncate(&mac.finalize().into_bytes())
    }

    fn derive(&self, context: &Context<'_>) -> Seal {
        let purpose: &[u8] = match context.purpose {
            KeyPurpose::Object => b"object",
            KeyPurpose::Log => b"log",
        };
        let hkdf = Hkdf::<Sha256>::new(Some(context.salt), self.key.as_slice());
        let epoch = context.epoch.to_le_bytes();
        let mut key = Zeroizing::new([0; 32]);
        expand(&hkdf, &[b"bha/v1/key/", purpose, &context.tag.0, &epoch], key.as_mut_slice());
        let mut commitment = [0; 16];
        expand(&hkdf, &[b"bha/v1/commit/", purpose, &context.tag.0, &epoch], &mut commitment);
        let cipher = Aes256Gcm::new_from_slice(key.as_slice()).ok();
        Seal { suite: Suite::Aes256Gcm, key_id: self.id, commitment, cipher }
    }
}

/// A derived key, ready to seal or open.
pub struct Seal {
    /// Its protection.
    pub suite: Suite,
    /// The master key it came from.
    pub key_id: KeyId,
    /// Proves, without revealing, which derived key this is.
    pub commitment: [u8; 16],
    cipher: Option<Aes256Gcm>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal")
            .field("suite", &self.suite)
            .field("key_id", &hex(&self.key_id))
            .finish_non_exhaustive()
    }
}

/// The sealed bytes are not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgery;

impl Seal {
    /// Number of bytes that sealing adds.
    pub fn overhead(&self) -> usize {
        if self.cipher.is_some() { TAG_LEN } else { 0 }
    }

    /// Seals what follows `aad` in `buffer`, in place, and appends the tag. `counter` must never repeat under this seal.
    pub fn seal(&self, counter: u64, buffer: &mut Vec<u8>, aad: Range<usize>) {
        let Some(cipher) = &self.cipher else { return };
        let (head, body) = buffer.split_at_mut(aad.end);
        let tag = cipher
            .encrypt_inout_detached(&nonce(counter), head.get(aad).expect("the head is whole"), body.into())
            .expect("bodies are far below AES-GCM's limit of 64 GiB");
        buffer.extend_from_slice(&tag);
    }

    /// Opens `sealed` in place and cuts the tag off it.
    pub fn open(&self, counter: u64, aad: &[u8], sealed: &mut Vec<u8>) -> std::result::Result<(), Forgery> {
        let Some(cipher) = &self.cipher else { return Ok(()) };
        let len = sealed.len().checked_sub(TAG_LEN).ok_or(Forgery)?;
        let (body, tag) = sealed.split_at_mut(len);
        let tag = Tag::try_from(&*tag).map_err(|_| Forgery)?;
        cipher.decrypt_inout_detached(&nonce(counter), aad, body.into(), &tag).map_err(|_| Forgery)?;
        sealed.truncate(len);
        Ok(())
    }
}

fn nonce(counter: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(salt: &[u8]) -> Context<'_> {
        Context { purpose: KeyPurpose::Object, salt, tag: visible_tag("t"), epoch: 3 }
    }

    fn ring(bytes: &[u8]) -> Ring {
        let keys: Vec<u8> = bytes.iter().flat_map(|byte| [*byte; 32]).collect();
        Ring::new(&keys).expect("whole keys")
    }

    fn sealed(ring: &Ring) -> (Seal, Vec<u8>) {
        let seal = ring.sealer(&context(b"salt"));
        let mut buffer = b"head|body".to_vec();
        seal.seal(1, &mut buffer, 0..5);
        (seal, buffer)
    }

    #[test]
    fn every_flip_of_sealed_bytes_is_noticed() {
        let ring = ring(&[1]);
        let (seal, buffer) = sealed(&ring);
        let opener =
            ring.opener(seal.suite, seal.key_id, seal.commitment, &context(b"salt")).expect("same key");
        let mut body = buffer[5..].to_vec();
        opener.open(1, b"head|", &mut body).expect("untouched");
        assert_eq!(body, b"body");
        for bit in 0..buffer.len() * 8 {
            let mut bad = buffer.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let mut body = bad.split_off(5);
            assert_eq!(opener.open(1, &bad, &mut body), Err(Forgery), "bit {bit}");
        }
        assert_eq!(opener.open(2, b"head|", &mut buffer[5..].to_vec()), Err(Forgery), "another position");
    }

    #[test]
    fn a_wrong_key_is_told_from_damage() {
        let (seal, _) = sealed(&ring(&[1]));
        let open = |ring: &Ring, salt: &[u8]| {
            ring.opener(seal.suite, seal.key_id, seal.commitment, &context(salt))
                .map(|_| ())
                .map_err(|e| e.code())
        };
        assert_eq!(open(&ring(&[2]), b"salt"), Err(Code::KeyUnavailable));
        assert_eq!(open(&ring(&[2, 1]), b"salt"), Ok(()), "an old key in the ring still opens");
        assert_eq!(open(&ring(&[1]), b"other"), Err(Code::KeyUnavailable), "another place");
        assert_eq!(open(&Ring::default(), b"salt"), Err(Code::KeyUnavailable));
    }

    #[test]
    fn hidden_tags_survive_a_rotation_and_need_the_key() {
        assert_eq!(ring(&[1]).hidden_tag("t"), ring(&[2, 1]).hidden_tag("t"));
        assert_ne!(ring(&[1]).hidden_tag("t"), ring(&[2]).hidden_tag("t"));
        assert_eq!(Ring::default().hidden_tag("t"), None);
    }

    #[test]
    fn nothing_shows_a_key() {
        let ring = ring(&[0x5a]);
        assert!(!format!("{ring:?} {:?}", ring.sealer(&context(b"s"))).contains("5a5a5a5a"));
    }

    #[test]
    fn half_a_key_is_refused() {
        assert_eq!(Ring::new(&[0; 31]).map_err(|e| e.code()).err(), Some(Code::InvalidOption));
    }
}
