// SPDX-License-Identifier: BSD-2-Clause
//
// What is decided without asking anybody: which maximum is whose, and how a penalty is said.
'use strict'

const net = require('node:net')
const { addressParts, plainAddress } = require('./lookup')

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

// Addresses and CIDR blocks; what is neither is told to `onBad`.
function blockList(keys, onBad) {
  const list = new net.BlockList()
  for (const key of keys) {
    const [address, bits, ...more] = key.split('/')
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4'
    const most = family === 'ipv6' ? 128 : 32
    const length = bits === undefined ? most : Number(bits)
    const isRight = net.isIP(address) && /^\d{1,3}$/.test(String(length)) && length <= most && bits !== ''
    if (isRight && more.length === 0) list.addSubnet(address, length, family)
    else onBad(key)
  }
  return list
}

function isListed(list, address) {
  const plain = plainAddress(address)
  return plain !== undefined && list.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4')
}

// "0.0.0.0/24=20" holds each IPv4 /24 to 20, "::/64=10" each IPv6 /64, and any other block is one
// that is held by itself.
function readPrefixes(section, onBad) {
  const prefixes = []
  for (const [key, value] of Object.entries(section)) {
    const [address, bits] = key.split('/')
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4'
    const isRight =
      net.isIP(address) &&
      /^\d+$/.test(bits || '') &&
      Number(bits) <= (family === 'ipv6' ? 128 : 32) &&
      /^\d{1,9}$/.test(String(value))
    if (!isRight) {
      onBad(key, value)
      continue
    }
    const isEach = plainAddress(address).split(/[.:]/).every((part) => part === '0')
    const list = isEach && Number(bits) > 0 ? null : blockList([key], onBad)
    if (Number(value) > 0) prefixes.push({ key, family, bits: Number(bits), max: Number(value), list })
  }
  return prefixes
}

// Those of the prefixes that hold an address.
function prefixesOf(prefixes, address) {
  const [plain] = addressParts(address)
  if (plain === undefined) return []
  const family = plain.includes(':') ? 'ipv6' : 'ipv4'
  return prefixes.filter(
    (each) => each.family === family && (!each.list || each.list.check(plain, family)),
  )
}

module.exports = { attempts, blockList, historyTier, isListed, maximum, prefixesOf, readPrefixes }
