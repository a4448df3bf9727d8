//! The part of the crate `crc-fast` that `object_store` uses: CRC-64/NVME, which a client of S3 may send with an object. No store of
//! ours asks for it, but the code is linked.
//!
//! Invariant: the checksum is the one of the standard; what else `object_store` may come to use does not compile.

/// Algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// The polynomial, its bits reversed.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// A checksum in progress.
#[derive(Debug, Clone)]
pub struct Digest(u64);

impl Digest {
    /// Begins a checksum.
    pub fn new(algorithm: CrcAlgorithm) -> Digest {
        match algorithm {
            CrcAlgorithm::Crc64Nvme => Digest(u64::MAX),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u64::from(*byte);
            for _ in 0..8 {
                self.0 = if self.0 & 1 == 1 { self.0 >> 1 ^ POLYNOMIAL } else { self.0 >> 1 };
            }
        }
    }

    /// The checksum of all bytes that were added.
    pub fn finalize(&self) -> u64 {
        !self.0
    }
}
