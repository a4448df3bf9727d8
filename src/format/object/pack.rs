//! Compression of bodies. What zstd works with is kept by each thread for small bodies, as nearly all are: making it anew takes longer
//! than their compression. What a large body needed is given back.

use std::cell::RefCell;
use std::io::Result;

use zstd::bulk::{Compressor, Decompressor};

/// zstd level 1: key material does not compress further at any price.
const LEVEL: i32 = 1;

/// The largest body for which a thread keeps what it worked with.
const SMALL: usize = 32 * 1024;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses `body`. The same body gives the same bytes, whatever came before it.
pub fn pack(body: &[u8]) -> Result<Vec<u8>> {
    if body.len() > SMALL {
        return zstd::bulk::compress(body, LEVEL);
    }
    PACKER.with_borrow_mut(|kept| {
        let mut packer = kept.take().map_or_else(|| Compressor::new(LEVEL), Ok)?;
        let packed = packer.compress(body)?;
        *kept = Some(packer);
        Ok(packed)
    })
}

/// Undoes that, up to `len` bytes. What failed is not used again.
pub fn unpack(packed: &[u8], len: usize) -> Result<Vec<u8>> {
    if len > SMALL || packed.len() > SMALL {
        return zstd::bulk::decompress(packed, len);
    }
    UNPACKER.with_borrow_mut(|kept| {
        let mut unpacker = kept.take().map_or_else(Decompressor::new, Ok)?;
        let body = unpacker.decompress(packed, len)?;
        *kept = Some(unpacker);
        Ok(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_pack_to_the_same_bytes_whatever_the_thread_packed_before() {
        let body = |len: u32| -> Vec<u8> { (0..len).map(|at| (at % 251 * (at % 13) % 256) as u8).collect() };
        for len in [0, 1, 100, 4_000, 32_768, 32_769, 200_000, 100] {
            let packed = pack(&body(len)).expect("packs");
            assert_eq!(packed, zstd::bulk::compress(&body(len), LEVEL).expect("packs"), "{len} bytes");
            assert_eq!(unpack(&packed, len as usize).expect("unpacks"), body(len));
        }
    }

    #[test]
    fn damaged_body_does_not_spoil_those_after_it() {
        let packed = pack(b"a body, a body, a body").expect("packs");
        assert!(unpack(b"no zstd", 100).is_err());
        assert!(unpack(&packed, 3).is_err(), "longer than it says");
        assert_eq!(unpack(&packed, 22).expect("unpacks"), b"a body, a body, a body");
    }
}
