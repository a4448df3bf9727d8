'use strict'

// The optional peers: Nest, and Terminus for its indicator.
//
// Invariant: only the subpaths load them, and where one is missing, the first line that is read says what to install.

const { HybridAuthError } = require('../lib/errors.js')

/** `load()`, which requires `name` for the subpath `subpath`; `install` is what to install when it is not there. */
function peer(name, { load, subpath, install }) {
  try {
    return load()
  } catch (error) {
    if (error.code === 'ERR_REQUIRE_ESM') {
      const reason = `${subpath} needs Node 20.19, 22.12 or later with this version of ${name}, which is an ES module`
      throw new HybridAuthError('INTERNAL', reason, error)
    }
    const isMissing = error.code === 'MODULE_NOT_FOUND' && error.message.startsWith(`Cannot find module '${name}'`)
    if (!isMissing) throw error
    throw new HybridAuthError('INTERNAL', `${subpath} needs ${name}: run \`npm install ${install}\``, error)
  }
}

const common = () =>
  peer('@nestjs/common', {
    load: () => require('@nestjs/common'),
    subpath: 'baileys-hybrid-auth/nestjs',
    install: '@nestjs/common @nestjs/core'
  })

/** Loaded when a module is made: whoever has one has it. */
const core = () =>
  peer('@nestjs/core', {
    load: () => require('@nestjs/core'),
    subpath: 'baileys-hybrid-auth/nestjs',
    install: '@nestjs/common @nestjs/core'
  })

const terminus = () =>
  peer('@nestjs/terminus', {
    load: () => require('@nestjs/terminus'),
    subpath: 'baileys-hybrid-auth/nestjs/terminus',
    install: '@nestjs/terminus'
  })

module.exports = { peer, common, core, terminus }
