// SPDX-License-Identifier: BSD-2-Clause
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const { find, hostParts, mailParts, nameParts, normalKey } = require('../lib/lookup')
const { readSettings } = require('../lib/settings')

const IPV6 = [
  'fe80:0:0:0:202:b3ff:fe1e:8329',
  'fe80:0:0:0:202:b3ff:fe1e',
  'fe80:0:0:0:202:b3ff',
  'fe80:0:0:0:202',
  'fe80:0:0:0',
  'fe80:0:0',
  'fe80:0',
  'fe80',
]
const NAMES = ['host.part.domain.com', 'part.domain.com', 'domain.com', 'com']

const ORDERS = [
  ['an IPv4 address', hostParts('1.2.3.4'), ['1.2.3.4', '1.2.3', '1.2', '1']],
  ['IPv4 in IPv6', hostParts('::ffff:1.2.3.4'), ['1.2.3.4', '1.2.3', '1.2', '1']],
  ['IPv4 in IPv6, in hexadecimal', hostParts('::ffff:102:304')[0], '1.2.3.4'],
  ['an IPv6 address', hostParts('fe80::202:b3ff:fe1e:8329'), IPV6],
  ['IPv6 in capitals', hostParts('FE80::0202:B3FF:FE1E:8329'), IPV6],
  ['a host name', hostParts('1.2.3.4', 'Host.Part.Domain.Com').slice(4), NAMES],
  ['a name with its dot', nameParts('domain.com.'), ['domain.com', 'com']],
  ['no name', hostParts('1.2.3.4', 'NXDOMAIN').length, 4],
  ['an unknown name', hostParts('1.2.3.4', 'Unknown').length, 4],
  ['a failed look-up', hostParts('1.2.3.4', 'DNSERROR').length, 4],
  ['no address', hostParts('not an address'), []],
  ['a mail address', mailParts({ address: 'User@a.example.com', host: 'a.example.com' }),
    ['user@a.example.com', 'a.example.com', 'example.com', 'com']],
  ['a mail address of older Harakas', mailParts({ address: () => 'u@x.com', host: 'x.com' }),
    ['u@x.com', 'x.com', 'com']],
  ['the null sender', mailParts({ address: null, host: null }), []],
]

for (const [what, parts, expected] of ORDERS) {
  test(`the order of ${what}`, () => assert.deepStrictEqual(parts, expected))
}

const KEYS = [
  ['2001:db8::1', '2001:db8:0:0:0:0:0:1'],
  ['2001:0DB8', '2001:db8'],
  ['2001:db8:0:0', '2001:db8:0:0'],
  ['Example.COM', 'example.com'],
  ['1.2.3', '1.2.3'],
  ['fe80', 'fe80'],
]

for (const [key, expected] of KEYS) {
  test(`the key ${key} is ${expected}`, () => assert.strictEqual(normalKey(key), expected))
}

// (what, the section's lines, address, name, the key that is found, its limit; undefined: none)
const FOUND = [
  ['the longest of an address', { '1.2.3': 7, '1.2': 8 }, '1.2.3.4', null, '1.2.3', 7],
  ['127=0 is unlimited', { 127: 0 }, '127.0.0.1', null, '127', 0],
  ['127=0 stands in the default file', {}, '127.0.0.1', null, '127', 0],
  ['an IPv6 prefix', { '2001:db8': 9 }, '2001:db8::1', null, '2001:db8', 9],
  ['an IPv6 address in short', { '2001:db8::1': 9 }, '2001:DB8:0::1', null, '2001:db8:0:0:0:0:0:1', 9],
  ['another IPv6 address', { '2001:db8::1': 9 }, '2001:db8::2', null, '2001:db8:0:0:0:0:0:2', 5],
  ['an address before a name', { 1: 3, 'domain.com': 4 }, '1.2.3.4', 'a.domain.com', '1', 3],
  ['the whole name first', { 'a.domain.com': 1, 'domain.com': 2 }, '1.2.3.4', 'a.domain.com',
    'a.domain.com', 1],
  ['a name without its left', { 'domain.com': 4, com: 5 }, '1.2.3.4', 'a.b.domain.com',
    'domain.com', 4],
  ['a name in capitals', { 'Domain.com': 4 }, '1.2.3.4', 'a.DOMAIN.com', 'domain.com', 4],
  ['not a name without its right', { 'a.domain': 4, a: 3 }, '1.2.3.4', 'a.domain.com', '1.2.3.4', 5],
  ['the default, for the whole', { default: 6 }, '1.2.3.4', 'a.domain.com', '1.2.3.4', 6],
  ['bad syntax ends the search, unlimited', { '1.2': '5/5x', 1: 3 }, '1.2.3.4', null, '1.2', undefined],
  ['names of JavaScript are names', {}, '1.2.3.4', 'constructor', '1.2.3.4', 5],
  ['and __proto__ is one', {}, '1.2.3.4', '__proto__', '1.2.3.4', 5],
]

for (const [what, lines, address, name, key, limit] of FOUND) {
  test(`looked up: ${what}`, () => {
    const { rate_conn: section } = readSettings({ rate_conn: { enabled: 'true', ...lines } })
    const found = find(section, hostParts(address, name))
    assert.strictEqual(found.key, key)
    assert.strictEqual(found.rate && found.rate.limit, limit)
  })
}
