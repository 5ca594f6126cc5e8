// SPDX-License-Identifier: BSD-2-Clause
//
// Which line of a section is for whom: the order that the original documents. The whole first,
// then shorter and shorter parts of it, then the default.
'use strict'

const net = require('node:net')

// The eight groups of an IPv6 address, without zeros in front.
function groupsOf(address) {
  let text = address.split('%')[0]
  const embedded = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (embedded) {
    const [a, b, c, d] = embedded.slice(2).map(Number)
    text = `${embedded[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const [head, tail] = text.split('::')
  const split = (part) => (part ? part.split(':') : [])
  const first = split(head)
  const last = split(tail)
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length
  return [...first, ...Array(zeros).fill('0'), ...last].map((group) =>
    parseInt(group, 16).toString(16),
  )
}

// An address as everybody writes it: IPv4 also if it came as ::ffff:192.0.2.1.
function plainAddress(address) {
  if (net.isIPv4(address)) return address
  if (!net.isIPv6(address)) return undefined
  const groups = groupsOf(address)
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return groups.join(':')
  const [high, low] = groups.slice(6).map((group) => parseInt(group, 16))
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

// A key of a section in the form that lookups have: in lower case, and the groups of IPv6
// without zeros in front, whether they are an address, "2001:db8::1", or a part of one,
// "2001:0db8".
function normalKey(key) {
  const text = key.toLowerCase()
  if (net.isIPv6(text)) return plainAddress(text)
  if (/^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){1,6}$/.test(text)) {
    return text
      .split(':')
      .map((group) => parseInt(group, 16).toString(16))
      .join(':')
  }
  return text
}

// 192.0.2.1, 192.0.2, 192.0, 192.
function addressParts(address) {
  const plain = plainAddress(address)
  if (plain === undefined) return []
  const mark = plain.includes(':') ? ':' : '.'
  const pieces = plain.split(mark)
  return pieces.map((_, index) => pieces.slice(0, pieces.length - index).join(mark))
}

// mail.example.com, example.com, com.
function nameParts(name) {
  const labels = String(name).toLowerCase().replace(/\.$/, '').split('.')
  return labels.map((_, index) => labels.slice(index).join('.'))
}

// What Haraka writes in the place of a name that it could not find.
const NO_NAMES = ['unknown', 'nxdomain', 'dnserror']

function hostParts(address, name) {
  const isName = typeof name === 'string' && name && !NO_NAMES.includes(name.toLowerCase())
  return [...addressParts(address), ...(isName ? nameParts(name) : [])]
}

// Of user@host, as Haraka's address objects of all versions tell it.
function mailParts(mail) {
  const address = typeof mail.address === 'function' ? mail.address() : mail.address
  const host = mail.host
  if (!address) return []
  return [String(address).toLowerCase(), ...(host ? nameParts(host) : [])]
}

// The first part that has a line, with that line's rate; else the default, for the whole. The key
// is what is counted under.
function find(section, parts) {
  if (parts.length === 0) return undefined
  for (const part of parts) {
    if (section.rates.has(part)) return { key: part, rate: section.rates.get(part) }
  }
  return { key: parts[0], rate: section.fallback, isDefault: true }
}

module.exports = { addressParts, find, hostParts, mailParts, nameParts, normalKey, plainAddress }
