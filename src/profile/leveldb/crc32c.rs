//! The CRC-32C of LevelDB's records, eight bytes at a time.
//!
//! Our own, because a crate for it brings the tables of every other checksum, or code for each processor, into the addon.

/// The polynomial of Castagnoli, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// In table `n`, what a byte with `n` bytes behind it makes of the checksum.
static TABLES: [[u32; 256]; 8] = tables();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed when this is compiled, where a wrong index is an error"
)]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut next = 1;
    while next < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[next - 1][byte];
            tables[next][byte] = sum >> 8 ^ tables[0][(sum & 0xff) as usize];
            byte += 1;
        }
        next += 1;
    }
    tables
}

/// Share in the checksum of `byte`, with `behind` bytes behind it.
fn share(behind: usize, byte: u8) -> u32 {
    TABLES.get(behind).and_then(|table| table.get(usize::from(byte))).copied().unwrap_or_default()
}

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut sum = u32::MAX;
    for &[b0, b1, b2, b3, b4, b5, b6, b7] in eights {
        let [s0, s1, s2, s3] = sum.to_le_bytes();
        sum = share(7, b0 ^ s0)
            ^ share(6, b1 ^ s1)
            ^ share(5, b2 ^ s2)
            ^ share(4, b3 ^ s3)
            ^ share(3, b4)
            ^ share(2, b5)
            ^ share(1, b6)
            ^ share(0, b7);
    }
    for byte in rest {
        let [low, ..] = sum.to_le_bytes();
        sum = sum >> 8 ^ share(0, low ^ byte);
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720_and_of_leveldb() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&falling), 0x113f_db5c);
        let read = [
            0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14,
            0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(crc32c(&read), 0xd996_3a56);
    }

    #[test]
    fn checksum_of_any_length_is_that_of_one_bit_after_another() {
        let bitwise = |bytes: &[u8]| {
            !bytes.iter().fold(u32::MAX, |sum, byte| {
                (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                    if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 }
                })
            })
        };
        let bytes: Vec<u8> = (0..100_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for start in 0..10 {
            for end in start..bytes.len() {
                assert_eq!(crc32c(&bytes[start..end]), bitwise(&bytes[start..end]), "{start}..{end}");
            }
        }
    }
}
