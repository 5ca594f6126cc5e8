// SPDX-License-Identifier: BSD-2-Clause
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const { parseRate } = require('../lib/rate')

const GOOD = [
  ['5', 5, 60],
  [5, 5, 60],
  ['50/5m', 50, 300],
  ['5/10s', 5, 10],
  ['5/10S', 5, 10],
  ['5/1m', 5, 60],
  ['1/15m', 1, 900],
  ['2/2H', 2, 7200],
  ['1/1d', 1, 86400],
  ['5/90', 5, 90],
  ['0', 0, 60],
  [0, 0, 60],
  ['999999999999/1m', 1000000000, 60],
]
const BAD = ['5/5x', '1.5/5m', '50/5m ', ' 5', '-5', -5, '5/m', '5/', '/5m', 'five', '', '5/5mm']
const ALSO_BAD = ['5/0', '5/367d', 'NaN', undefined, null, true, '5 / 5m', '5/5m;', '٥']

for (const [text, limit, span] of GOOD) {
  test(`${JSON.stringify(text)} is ${limit} in ${span} s`, () => {
    assert.deepStrictEqual(parseRate(text), { limit, span })
  })
}

for (const text of [...BAD, ...ALSO_BAD]) {
  test(`${JSON.stringify(text)} is no rate`, () => assert.strictEqual(parseRate(text), undefined))
}
