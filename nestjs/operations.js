'use strict'

// The operations of a fleet that a service of an application has under the same names.
//
// Invariant: each is declared and implemented once, by the fleet; `nestjs/index.d.ts` picks these names and no others.

const OPERATIONS = Object.freeze([
  'open',
  'get',
  'list',
  'opening',
  'status',
  'summary',
  'metrics',
  'collectInto',
  'tenants',
  'traffic',
  'restoreAll',
  'survey',
  'doctor',
  'delete',
  'exportMultiFile',
  'pruneKeys'
])

/** Base of a service: each operation is a call of its fleet. */
class FleetOperations {
  #fleet

  constructor(fleet) {
    this.#fleet = fleet
  }

  static {
    for (const name of OPERATIONS) {
      // With the name and the shape of a method that is written out.
      const { [name]: value } = {
        /** @this {FleetOperations} */
        [name](...given) {
          return this.#fleet[name](...given)
        }
      }
      Object.defineProperty(this.prototype, name, { value, writable: true, configurable: true })
    }
  }
}

module.exports = { FleetOperations, OPERATIONS }
