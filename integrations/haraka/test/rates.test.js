// SPDX-License-Identifier: BSD-2-Clause
//
// Rates: what the daemon is asked, and what a rate that is over is answered with.
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const constants = require('haraka-constants')
const { Address } = require('@haraka/email-address')
const { until, withScene } = require('./support')

const PASS = [undefined, undefined]
const NO_DELAY = 'tarpit_delay=0\n'

function section(name, lines = '') {
  return `${NO_DELAY}[${name}]\nenabled=true\n${lines}`
}

async function connect(scene, address, host) {
  const connection = scene.connection(address, host)
  connection.transaction.mail_from = new Address('<Sender@Mail.example.com>')
  return [connection, await scene.connect(connection)]
}

const asked = (daemon, rate) =>
  daemon.of('rate').filter((each) => each.rate === rate).map((each) => [each.key, each.limit, each.span])

// (limit.ini, address, name, the key, limit and span that the daemon is asked about)
const KEYS = [
  ['', '192.0.2.1', null, [['192.0.2.1', 5, 60]]],
  ['default=7/2H\n', '192.0.2.1', null, [['192.0.2.1', 7, 7200]]],
  ['192.0.2=9/5m\n', '192.0.2.1', null, [['192.0.2', 9, 300]]],
  ['example.com=9\n', '192.0.2.1', 'mail.example.com', [['example.com', 9, 60]]],
  ['example.com=9\n', '192.0.2.1', 'NXDOMAIN', [['192.0.2.1', 5, 60]]],
  ['example.com=0\n', '192.0.2.1', 'mail.example.com', []],
  ['', '127.0.0.1', null, []],
  ['default=0\n', '192.0.2.1', null, []],
  ['default=5/5x\n', '192.0.2.1', null, []],
  ['2001:db8=9\n', '2001:db8::1', null, [['2001:db8', 9, 60]]],
]

for (const [lines, address, host, expected] of KEYS) {
  test(`rate_conn of ${address} ${host || ''}: ${JSON.stringify(lines)}`, () =>
    withScene(section('rate_conn', lines), {}, async (scene, daemon) => {
      const [connection, answer] = await connect(scene, address, host)
      assert.deepStrictEqual(answer, PASS)
      await scene.call('close_session', connection)
      await until(() => daemon.of('close').length === 1)
      assert.deepStrictEqual(asked(daemon, 'rate_conn'), expected)
    }))
}

test('all that is asked at the greeting is asked within one patience', () =>
  withScene(`${section('rate_conn', 'example.com=9\n')}[rate_rcpt_host]\nenabled=true\n`, {}, async (scene) => {
    const deadlines = []
    const connection = scene.connection('192.0.2.1', 'mail.example.com')
    await scene.call('open_session', connection)
    const before = Date.now()
    scene.plugin.client.ask = async (request, deadline) => {
      deadlines.push(deadline)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await scene.call('check_connect', connection)
    assert.strictEqual(deadlines.length, 2)
    assert.strictEqual(deadlines[0], deadlines[1])
    assert.ok(deadlines[0] >= before + 250 && deadlines[0] <= Date.now() + 250, 'deadlines')
  }))

test('who leaves before a proxy said who he is was nobody', () =>
  withScene(section('rate_conn', 'example.com=9\n'), {}, async (scene, daemon) => {
    await scene.call('close_session', scene.connection('192.0.2.254', null))
    await connect(scene)
    await until(() => asked(daemon, 'rate_conn').length > 0)
    assert.deepStrictEqual(asked(daemon, 'rate_conn').map(([key]) => key), ['192.0.2.1'])
  }))

test('rate_conn: the connection over it is closed', () =>
  withScene(section('rate_conn'), { rates: { rate_conn: 6 } }, async (scene) => {
    const [connection, answer] = await connect(scene)
    assert.deepStrictEqual(answer, [
      constants.DENYSOFTDISCONNECT,
      'connection rate limit exceeded',
    ])
    assert.deepStrictEqual(connection.results.get('limit').fail, ['rate_conn'])
  }))

test('rate_conn: at its limit it passes', () =>
  withScene(section('rate_conn'), { rates: { rate_conn: 5 } }, async (scene) => {
    assert.deepStrictEqual((await connect(scene))[1], PASS)
  }))

test('rate_conn: who leaves before he is judged has connected', () =>
  withScene(section('rate_conn', 'example.com=9\n'), {}, async (scene, daemon) => {
    const connection = scene.connection('192.0.2.1', 'mail.example.com')
    await scene.call('open_session', connection)
    assert.strictEqual(daemon.of('rate').length, 0)
    await scene.call('close_session', connection)
    await until(() => daemon.of('close').length === 1)
    assert.deepStrictEqual(asked(daemon, 'rate_conn'), [['example.com', 9, 60]])
  }))

const HISTORY = `${section('rate_conn', 'default=5\n192.0.3=8\n')}[rate_conn_history]
enabled=true\nplugin=karma\nbad=1/15m\nnone=1/5m\ngood=15/1m\n`

// (karma's results, the address, which limit decides, which spans are counted)
const TIERS = [
  [{ history: 1 }, '192.0.2.1', 15, [60, 300, 900]],
  [{ history: -1 }, '192.0.2.1', 1, [60, 300, 900]],
  [{ history: 0 }, '192.0.2.1', 1, [60, 300, 900]],
  [{}, '192.0.2.1', 5, [60, 300, 900]],
  [{ history: -1 }, '192.0.3.1', 8, [60]],
]

for (const [karma, address, limit, spans] of TIERS) {
  test(`rate_conn with history ${JSON.stringify(karma)} from ${address}`, () =>
    withScene(HISTORY, {}, async (scene, daemon) => {
      const connection = scene.connection(address)
      connection.results.add({ name: 'karma' }, karma)
      await scene.connect(connection)
      const deciding = daemon.of('rate').filter((each) => each.id !== undefined)
      assert.deepStrictEqual(deciding.map((each) => each.limit), [limit])
      const counted = daemon.of('rate').map((each) => each.span)
      assert.deepStrictEqual(counted.sort((a, b) => a - b), spans)
    }))
}

test('rate_rcpt_host: counted at RCPT, and judged at the next connection', () =>
  withScene(section('rate_rcpt_host'), { rates: { rate_rcpt_host: 51 } }, async (scene, daemon) => {
    const [connection, answer] = await connect(scene)
    assert.deepStrictEqual(answer, [constants.DENYSOFT, 'recipient rate limit exceeded'])
    assert.deepStrictEqual(daemon.of('rate').map((each) => each.amount), [0])
    const passed = await scene.call('check_rcpt', connection, [new Address('<a@example.com>')])
    assert.deepStrictEqual(passed, PASS)
    await until(() => daemon.of('rate').length === 2)
    assert.deepStrictEqual(asked(daemon, 'rate_rcpt_host')[1], ['192.0.2.1', 50, 300])
    assert.strictEqual(daemon.of('rate')[1].amount, undefined)
  }))

// (the section, its lines, the sender, the key, the text when it is over)
const MAIL = [
  ['rate_rcpt_sender', '', '<Sender@Mail.example.com>', 'sender@mail.example.com',
    'rcpt rate limit exceeded'],
  ['rate_rcpt_sender', 'example.com=50\n', '<Sender@Mail.example.com>', 'example.com',
    'rcpt rate limit exceeded'],
  ['rate_rcpt', '', '<s@example.com>', 'rcpt@example.net', 'rate limit exceeded'],
  ['rate_rcpt', 'rcpt@example.net=50\nexample.net=3\n', '<s@example.com>', 'rcpt@example.net',
    'rate limit exceeded'],
  ['rate_rcpt_null', '', '<>', 'rcpt@example.net', 'null recip rate limit'],
]

for (const [name, lines, sender, key, text] of MAIL) {
  for (const [count, expected] of [[1, PASS], [1000, [constants.DENYSOFT, text]]]) {
    test(`${name} ${JSON.stringify(lines)} with ${count}`, () =>
      withScene(section(name, lines), { rates: { [name]: count } }, async (scene, daemon) => {
        const [connection] = await connect(scene)
        connection.transaction.mail_from = new Address(sender)
        const answer = await scene.call('check_rcpt', connection, [new Address('<Rcpt@example.net>')])
        assert.deepStrictEqual(answer, expected)
        assert.deepStrictEqual(asked(daemon, name).map(([first]) => first), [key])
        if (count > 1) assert.deepStrictEqual(connection.results.get('limit').fail, [name])
      }))
  }
}

const NOT_ASKED = [
  ['rate_rcpt_null', '<s@example.com>', 'is for the null sender alone'],
  ['rate_rcpt_sender', '<>', 'is not for the null sender'],
]

for (const [name, sender, why] of NOT_ASKED) {
  test(`${name} ${why}`, () =>
    withScene(section(name), { rates: { [name]: 1000 } }, async (scene, daemon) => {
      const [connection] = await connect(scene)
      connection.transaction.mail_from = new Address(sender)
      const answer = await scene.call('check_rcpt', connection, [new Address('<r@example.net>')])
      assert.deepStrictEqual(answer, PASS)
      assert.strictEqual(daemon.of('rate').length, 0)
    }))
}

test('a very long sender is told from another, and the daemon takes it', () =>
  withScene(section('rate_rcpt_sender'), {}, async (scene, daemon) => {
    const [connection] = await connect(scene)
    for (const last of ['a', 'b']) {
      connection.transaction.mail_from = {
        address: `${'x'.repeat(600)}${last}@example.com`,
        host: 'example.com',
        isNull: () => false,
      }
      await scene.call('check_rcpt', connection, [new Address('<r@example.net>')])
    }
    const keys = asked(daemon, 'rate_rcpt_sender').map(([key]) => key)
    assert.notStrictEqual(keys[0], keys[1])
    assert.ok(keys.every((key) => key.length <= 255))
  }))
