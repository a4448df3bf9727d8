// CRC-32 as zlib has it, bit by bit. Node 20 does not offer its own.

export function crc32Of(...parts) {
  let crc = ~0
  for (const part of parts) {
    for (const byte of part) {
      crc ^= byte
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
    }
  }
  return ~crc >>> 0
}
