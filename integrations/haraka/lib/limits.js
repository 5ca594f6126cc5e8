// SPDX-License-Identifier: BSD-2-Clause
//
// What is decided without asking anybody: which maximum is whose, and how a penalty is said.
'use strict'

const net = require('node:net')
const { addressParts, plainAddress } = require('./lookup')

// Of an address may be asked at a time: docs/sessions.md.
const LENGTHS_MAX = 16

// Of the results of a plugin that keeps history, such as karma: "good", "bad" or "none"; nothing
// if it has said nothing.
function tierOf(results) {
  const history = parseFloat(results.history)
  if (Number.isNaN(history)) return undefined
  if (history > 0) return 'good'
  return history < 0 ? 'bad' : 'none'
}

// The maximum of a section for a connection: by relaying, by history, or the usual one.
function maximum(section, connection, onMissing) {
  if (connection.relaying && section.max_relaying) return section.max_relaying
  const tier = historyTier(section.history, connection, onMissing)
  return tier === undefined ? section.max : section.history[tier]
}

function historyTier(history, connection, onMissing) {
  if (!history) return undefined
  const results = connection.results.get(history.plugin)
  if (results) return tierOf(results)
  onMissing(history.plugin)
  return undefined
}

function attempts(connection) {
  const count = connection.rcpt_count
  return count.accept + count.tempfail + count.reject + 1
}

const bitsOf = (family) => (family === 'ipv6' ? 128 : 32)
const familyOf = (address) => (address.includes(':') ? 'ipv6' : 'ipv4')

// An address or a CIDR block, IPv4 also if it is written as ::ffff:192.0.2.0/120. Nothing: it is
// neither.
function parseBlock(text) {
  const [address, length, ...more] = text.split('/')
  const plain = plainAddress(address)
  if (plain === undefined || more.length > 0) return undefined

  const family = familyOf(plain)
  const mapped = family === 'ipv4' && address.includes(':') ? 96 : 0
  const most = bitsOf(family) + mapped
  const bits = length === undefined ? most : Number(length)
  if (!/^\d{1,3}$/.test(length || '0') || length === '' || bits > most || bits < mapped) return undefined
  return { address: plain, family, bits: bits - mapped }
}

function listOf(blocks) {
  const list = new net.BlockList()
  for (const { address, family, bits } of blocks) list.addSubnet(address, bits, family)
  return list
}

// Addresses and CIDR blocks; what is neither is told to `onBad`.
function blockList(keys, onBad) {
  const blocks = []
  for (const key of keys) {
    const block = parseBlock(key)
    if (block) blocks.push(block)
    else onBad(key)
  }
  return listOf(blocks)
}

function isListed(list, address) {
  const plain = plainAddress(address)
  return plain !== undefined && list.check(plain, familyOf(plain))
}

// "0.0.0.0/24=20" holds each IPv4 /24 to 20, "::/64=10" each IPv6 /64, and any other block is one
// that is held by itself.
function readPrefixes(section, onBad) {
  const prefixes = []
  const lengths = { ipv4: new Set([32]), ipv6: new Set([128]) }
  for (const [key, value] of Object.entries(section)) {
    const block = parseBlock(key)
    if (!block || !key.includes('/') || !/^\d{1,9}$/.test(String(value))) {
      onBad(key)
      continue
    }
    const { address, family, bits } = block
    if (Number(value) === 0) continue
    if (lengths[family].add(bits).size > LENGTHS_MAX) {
      onBad(key, `there are more lengths than ${LENGTHS_MAX - 1} already; it limits nothing`)
      lengths[family].delete(bits)
      continue
    }
    const isEach = address.split(/[.:]/).every((part) => part === '0')
    const list = isEach && bits > 0 ? null : listOf([block])
    prefixes.push({ key, family, bits, max: Number(value), list })
  }
  return prefixes
}

// Those of the prefixes that hold an address.
function prefixesOf(prefixes, address) {
  const [plain] = addressParts(address)
  if (plain === undefined) return []
  const family = familyOf(plain)
  return prefixes.filter(
    (each) => each.family === family && (!each.list || each.list.check(plain, family)),
  )
}

// Each once: of the address itself, which is the first, and of those blocks around it.
function lengthsOf(address, prefixes) {
  return [...new Set([bitsOf(familyOf(address)), ...prefixes.map((each) => each.bits)])]
}

module.exports = {
  attempts,
  blockList,
  historyTier,
  isListed,
  lengthsOf,
  maximum,
  prefixesOf,
  readPrefixes,
}
