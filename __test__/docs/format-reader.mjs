// A second reader of the format, written from docs/format.md alone: it shares no code with the package.
//
// Invariant: it refuses whatever the document does not allow. Bodies that zstd really compressed are not unpacked, since Node 20
// has no zstd: it unpacks frames of raw blocks only, which is what zstd makes of a few random bytes.

import assert from 'node:assert/strict'
import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { crc32Of } from './crc32.mjs'

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const ascii = (text) => Buffer.from(text, 'latin1')
const hkdf = (key, salt, info, length) => Buffer.from(hkdfSync('sha256', key, salt, info, length))
const NONE = Buffer.alloc(0)

export const visibleTag = (tenant) => sha256(ascii('bha/v1/tenant'), Buffer.from(tenant)).subarray(0, 16)
export const hiddenTag = (oldestKey, tenant) =>
  createHmac('sha256', hkdf(oldestKey, NONE, ascii('bha/v1/names'), 32))
    .update(tenant)
    .digest()
    .subarray(0, 16)

/** Section 4: opens what was sealed, or throws. */
function unseal({ key, keyId, commitment, purpose, salt, tag, epoch, counter, aad, sealed }) {
  const context = Buffer.concat([ascii(purpose), tag, epoch])
  assert.deepEqual(keyId, hkdf(key, NONE, ascii('bha/v1/key-id'), 8), 'key id')
  assert.deepEqual(commitment, hkdf(key, salt, Buffer.concat([ascii('bha/v1/commit/'), context]), 16), 'commitment')
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(counter, 4)
  const cipher = createDecipheriv('aes-256-gcm', hkdf(key, salt, Buffer.concat([ascii('bha/v1/key/'), context]), 32), nonce)
  cipher.setAAD(aad).setAuthTag(sealed.subarray(-16))
  return Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()])
}

const claimText = (bytes, at) => `${String(bytes.readBigUInt64LE(at)).padStart(20, '0')}-${bytes.toString('hex', at + 8, at + 24)}`

/** Section 3. */
export function readEntries(bytes) {
  const entries = []
  for (let at = 0; at < bytes.length;) {
    const key = bytes.subarray(at + 2, at + 2 + bytes.readUInt16LE(at))
    at += 2 + key.length
    const length = bytes.readUInt32LE(at)
    at += 4
    const value = length === 0xffffffff ? null : bytes.subarray(at, at + length)
    if (value !== null) assert.ok(value.length === length && length > 0, 'a value is whole and not empty')
    at += value?.length ?? 0
    entries.push({ ...readKey(key), value })
  }
  return entries
}

/** Section 2. */
function readKey(key) {
  if (key.length === 1 && key[0] === 0) return { type: null, id: null }
  const type = key.toString('utf8', 1, 1 + key[0])
  const form = key[1 + key[0]]
  assert.ok(form === 0 || form === 1, 'form of the id')
  return { type, id: key.toString(form === 0 ? 'utf8' : 'utf16le', 2 + key[0]) }
}

export function readValue(bytes) {
  const payload = bytes.subarray(1)
  switch (bytes[0]) {
    case 1:
      return JSON.parse(payload.toString('latin1'))
    case 2:
      return JSON.parse(payload.toString('utf8'))
    case 3:
      return payload
    case 4:
      return readTagged(payload)
    default:
      return assert.fail(`kind ${bytes[0]}: BufferJSON belongs to Baileys`)
  }
}

function readTagged(bytes) {
  let at = 0
  const take = (n) => {
    assert.ok(at + n <= bytes.length, 'a length exceeds what is left')
    at += n
    return bytes.subarray(at - n, at)
  }
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const [byte] = take(1)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  const item = () => {
    const [tag] = take(1)
    switch (tag) {
      case 0:
        return null
      case 2:
        return false
      case 3:
        return true
      case 4: {
        const z = varint()
        return (z >>> 1) ^ -(z & 1)
      }
      case 5:
        return take(8).readDoubleLE(0)
      case 6:
        return take(varint()).toString('latin1')
      case 7:
        return take(varint()).toString('utf8')
      case 8:
        return take(varint())
      case 9:
        return Array.from({ length: varint() }, item)
      case 10:
        return Object.fromEntries(
          Array.from({ length: varint() }, () => {
            const head = varint()
            return [take(head >>> 1).toString(head & 1 ? 'utf8' : 'latin1'), item()]
          })
        )
      default:
        return assert.fail(`tag ${tag}`)
    }
  }
  const value = item()
  assert.equal(at, bytes.length, 'something follows the item')
  return value
}

/** Section 6: the header and every frame of an undamaged log. */
export function readLog(bytes, key) {
  const field = (at, size) => bytes.subarray(at, at + size)
  assert.equal(field(0, 4).toString(), 'BHAl')
  const version = bytes[4]
  assert.ok(version === 1 || version === 2, 'version')
  assert.equal(bytes[5], key === null ? 0 : 1, 'suite')
  const salt = field(32, 32)
  assert.equal(bytes.readUInt32LE(112), crc32Of(field(0, 112)), 'checksum of the header')
  const log = {
    version,
    boot: bytes.readUInt16LE(6),
    tag: field(64, 16),
    claim: claimText(bytes, 80),
    start: bytes.readBigUInt64LE(104),
    frames: []
  }
  for (let at = 116; at < bytes.length;) {
    const head = bytes.subarray(at, at + 37)
    assert.equal(head.toString('latin1', 0, 4), 'BHAf')
    const end = at + 37 + head.readUInt32LE(4)
    assert.ok(end <= bytes.length, 'a frame is whole')
    assert.equal(head.readUInt32LE(8), crc32Of(salt, head.subarray(4, 8), bytes.subarray(at + 12, end)), 'checksum of a frame')
    const counter = head.readBigUInt64LE(21)
    const sealed = bytes.subarray(at + 37, end)
    const body =
      key === null
        ? sealed
        : unseal({
            key,
            keyId: field(8, 8),
            commitment: field(16, 16),
            purpose: 'log',
            salt: Buffer.concat([salt, field(88, 16)]),
            tag: log.tag,
            epoch: field(80, 8),
            counter,
            aad: head.subarray(12, 37),
            sealed
          })
    log.frames.push({
      kind: head[12],
      lsn: head.readBigUInt64LE(13),
      counter,
      synced: head.readBigUInt64LE(29),
      entries: readEntries(body)
    })
    at = end
  }
  return log
}

/** Section 8. `body` is null where it is really compressed. */
export function readObject(bytes, key) {
  const field = (at, size) => bytes.subarray(at, at + size)
  const digest = sha256(bytes.subarray(0, -32))
  assert.deepEqual(bytes.subarray(-32), digest, 'digest')
  assert.equal(field(0, 4).toString(), 'BHAo')
  assert.deepEqual([bytes[4], bytes[6], bytes[7]], [1, key === null ? 0 : 1, 1], 'version, suite, packing')
  const counter = bytes.readBigUInt64LE(152)
  const sealed = bytes.subarray(176, -32)
  const packed =
    key === null
      ? sealed
      : unseal({
          key,
          keyId: field(8, 8),
          commitment: field(16, 16),
          purpose: 'object',
          salt: field(56, 16),
          tag: field(32, 16),
          epoch: field(48, 8),
          counter,
          aad: field(0, 176),
          sealed
        })
  return {
    kind: bytes[5],
    tag: field(32, 16),
    claim: claimText(bytes, 48),
    first: bytes.readBigUInt64LE(72),
    last: bytes.readBigUInt64LE(80),
    previous: { claim: claimText(bytes, 88), lsn: bytes.readBigUInt64LE(112), digest: field(120, 32) },
    counter,
    wallMs: bytes.readBigUInt64LE(160),
    length: bytes.readBigUInt64LE(168),
    digest,
    body: unpackRaw(packed)
  }
}

/** A zstd frame whose one block is raw (RFC 8878, section 3.1). */
function unpackRaw(packed) {
  assert.equal(packed.readUInt32LE(0), 0xfd2fb528, 'a zstd frame')
  const descriptor = packed[4]
  const single = (descriptor >> 5) & 1
  const at = 5 + (single ? 0 : 1) + [single, 2, 4, 8][descriptor >> 6]
  const block = packed.readUIntLE(at, 3)
  const [isLast, kind, size] = [block & 1, (block >> 1) & 3, block >> 3]
  return isLast === 1 && kind === 0 ? packed.subarray(at + 3, at + 3 + size) : null
}
