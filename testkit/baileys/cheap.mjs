// Parts of Baileys that a session needs where a test is about files and owners: loading the real one takes longer than the test.
//
// Invariant: values are plain data with Buffers in them, which these stand-ins give back exactly.

const replacer = (_, value) =>
  value?.type === 'Buffer' && Array.isArray(value.data) ? { type: 'Buffer', data: Buffer.from(value.data).toString('base64') } : value
const reviver = (_, value) => (value?.type === 'Buffer' && typeof value.data === 'string' ? Buffer.from(value.data, 'base64') : value)

export const cheapBaileys = {
  initAuthCreds: () => ({ generation: 0, nextPreKeyId: 0 }),
  BufferJSON: { replacer, reviver },
  proto: { Message: { AppStateSyncKeyData: { fromObject: (value) => value } } }
}

/** All that a session holds: `type/id` -> value, and the credentials under `creds`. */
export async function dump({ state }, types) {
  const all = { creds: structuredClone(state.creds) }
  for (const type of types) for await (const [id, value] of state.keys.list(type)) all[`${type}/${id}`] = value
  return all
}
