//! The checksum that stands in for `crc-fast` is the one of the standard, however the bytes arrive.

use crc_fast::{CrcAlgorithm, Digest};

#[test]
fn checksum_of_the_stand_in_is_crc_64_nvme() {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    assert_eq!(digest.finalize(), 0);
    digest.update(b"1234");
    digest.update(b"56789");
    assert_eq!(digest.finalize(), 0xae8b_1486_0a79_9888);
}
