// SPDX-License-Identifier: BSD-2-Clause
//
// The hooks, as Haraka calls them: each limit fires with the original's code and text, and
// nothing else does.
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const constants = require('haraka-constants')
const { Address } = require('@haraka/email-address')
const { FakeDaemon, Scene, counting, until, withScene } = require('./support')

const CLOSE = constants.DENYSOFTDISCONNECT
const LATER = constants.DENYSOFT
const PASS = [undefined, undefined]
const NO_DELAY = 'tarpit_delay=0\n'
const CONCURRENCY = `${NO_DELAY}[concurrency]\nenabled=true\nmax=4\n`
const TOO_MANY = [CLOSE, 'Too many concurrent connections']

const HISTORY = `${NO_DELAY}[concurrency]\nenabled=true\nmax=9
[concurrency_history]\nenabled=true\nplugin=karma\ngood=5\nbad=1\nnone=2\n`
const OLD_HISTORY = `[concurrency]\nmax=9\ndisconnect_delay=0
history=karma\nhistory_good=5\nhistory_bad=1\nhistory_none=2\n`

// (what, limit.ini, how many sessions, karma's results, what connect answers)
const CONNECTS = [
  ['four of four pass', CONCURRENCY, 4, null, PASS],
  ['the fifth does not', CONCURRENCY, 5, null, TOO_MANY],
  ['also with the older file', '[concurrency]\nmax=4\ndisconnect_delay=0\n', 5, null, TOO_MANY],
  ['enabled=false is off', `[concurrency]\nenabled=false\nmax=4\n`, 500, null, PASS],
  ['no file, no limit', '', 500, null, PASS],
  ['bad syntax, no limit', '[concurrency]\nmax=-4\n', 500, null, PASS],
  ['good history: five pass', HISTORY, 5, { history: 1 }, PASS],
  ['good history: six do not', HISTORY, 6, { history: 1 }, TOO_MANY],
  ['bad history: one passes', HISTORY, 1, { history: -1 }, PASS],
  ['bad history: two do not', HISTORY, 2, { history: -1 }, TOO_MANY],
  ['no history: two pass', HISTORY, 2, { history: 0 }, PASS],
  ['no history: three do not', HISTORY, 3, { history: 0 }, TOO_MANY],
  ['history as a text', HISTORY, 2, { history: '-3' }, TOO_MANY],
  ['unknown history: the usual nine', HISTORY, 9, {}, PASS],
  ['unknown history: not ten', HISTORY, 10, {}, TOO_MANY],
  ['history that is no number: the usual', HISTORY, 9, { history: 'x' }, PASS],
  ['no karma at all: the usual', HISTORY, 9, null, PASS],
  ['the older file: good', OLD_HISTORY, 6, { history: 1 }, TOO_MANY],
  ['the older file: bad', OLD_HISTORY, 2, { history: -1 }, TOO_MANY],
  ['the older file: none', OLD_HISTORY, 2, { history: 0 }, PASS],
]

for (const [what, ini, live, karma, expected] of CONNECTS) {
  test(`concurrency: ${what}`, () =>
    withScene(ini, { live }, async (scene) => {
      const connection = scene.connection()
      if (karma) connection.results.add({ name: 'karma' }, karma)
      assert.deepStrictEqual(await scene.connect(connection), expected)
    }))
}

test('the answer waits for tarpit_delay', () =>
  withScene(CONCURRENCY.replace('delay=0', 'delay=0.3'), { live: 5 }, async (scene) => {
    const started = Date.now()
    assert.deepStrictEqual(await scene.connect(scene.connection()), TOO_MANY)
    assert.ok(Date.now() - started >= 290)
  }))

test('a delay beyond Haraka\'s patience is cut, with a line', () =>
  withScene('tarpit_delay=60\n', {}, async (scene) => {
    assert.ok(scene.plugin.settings.delays.tarpit < scene.plugin.timeout)
    assert.ok(scene.log.some((line) => /delay/.test(line)))
  }))

test('a missing history plugin is one line, however many connections', () =>
  withScene(HISTORY, { live: 1 }, async (scene) => {
    for (let i = 0; i < 3; i += 1) await scene.connect(scene.connection())
    assert.strictEqual(scene.log.filter((line) => /no karma results/.test(line)).length, 1)
  }))

test('results are there for karma and watch, under our name and the original\'s', () =>
  withScene(CONCURRENCY, { live: 5 }, async (scene) => {
    const connection = scene.connection()
    await scene.connect(connection)
    for (const name of ['tallygate', 'limit']) {
      const results = connection.results.get(name)
      assert.deepStrictEqual(results.fail, ['concurrency.max'])
      assert.strictEqual(results.concurrent, '5/4')
    }
  }))

test('a client without an address is nobody who could be counted', () =>
  withScene(CONCURRENCY, { live: 5 }, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.connect(scene.connection(null)), PASS)
    assert.strictEqual(daemon.of('open').length, 0)
    assert.ok(!scene.log.some((line) => /not limited:/.test(line)), scene.log.join('\n'))
  }, '[concurrency_prefixes]\n0.0.0.0/24=20\n'))

test('a session is closed when its connection is, once, and where a proxy told another address', () =>
  withScene('', {}, async (scene, daemon) => {
    const connection = scene.connection()
    await scene.connect(connection)
    connection.remote.ip = '198.51.100.7'
    await scene.connect(connection)
    await scene.call('close_session', connection)
    await until(() => daemon.of('close').length === 1)
    assert.deepStrictEqual(daemon.of('open').map((each) => each.address), ['192.0.2.1', '198.51.100.7'])
    assert.strictEqual(daemon.of('open')[0].session, daemon.of('close')[0].session)
  }))

// Where the gate counts. (what, what it counts and what is told of it, at the greeting and later,
// what is answered)
const BURSTS = [
  ['the fourth of ten gets in', [[10, 4], [10, 10]], PASS],
  ['also if the others come slowly', [[10, 1], [10, 5], [10, 9]], PASS],
  ['the fifth does not', [[10, 5]], TOO_MANY],
  ['three are Haraka\'s and two another\'s', [[5, 3], [5, 3]], TOO_MANY],
  ['the others are gone', [[10, 3], [3, 2]], PASS],
  ['no second answer', [[10, 3], []], PASS],
  ['four, whosever they are', [[4, 2]], PASS],
]

for (const [what, answers, expected] of BURSTS) {
  const left = [...answers]
  const reply = (request) => {
    if (request.do !== 'open' && request.do !== 'live') return undefined
    const [live, told] = left.length > 1 ? left.shift() : left[0]
    return live ? { live: [live], told: [told], allowed: false } : { error: 'no', code: 'failed' }
  }
  test(`a burst at the gate: ${what}`, () =>
    withScene(CONCURRENCY, reply, async (scene) => {
      assert.deepStrictEqual(await scene.connect(scene.connection()), expected)
      assert.strictEqual(left.length, 1)
    }))
}

test('XCLIENT: the session is moved to the client it tells of, and closed as it was opened', () =>
  withScene(CONCURRENCY, (request) => ({ live: [request.address === '192.0.2.1' ? 1 : 5] }), async (scene, daemon) => {
    const connection = scene.connection('192.0.2.1')
    const { uuid } = connection
    assert.deepStrictEqual(await scene.connect(connection), PASS)
    connection.uuid = 'another'
    connection.remote.ip = '198.51.100.7'
    assert.deepStrictEqual(await scene.call('check_connect', connection), TOO_MANY)
    await scene.call('close_session', connection)
    await until(() => daemon.of('close').length === 1)
    const told = [...daemon.of('open'), ...daemon.of('close')]
    assert.deepStrictEqual(told.map((each) => each.session), [uuid, uuid, uuid])
    assert.strictEqual(scene.plugin.client.sessions.size, 0)
  }))

const PREFIXES = `[concurrency_prefixes]
0.0.0.0/24=20
::/64=10
198.51.100.0/22=5
::ffff:203.0.113.0/120=7
`

// (what, the address, the prefixes that are asked for, the counts, what is answered)
const FROM_NETWORK = [CLOSE, 'Too many concurrent connections from your network']
const NETWORKS = [
  ['a /24 below its maximum', '192.0.2.1', [32, 24], [1, 20], PASS],
  ['a /24 over it', '192.0.2.1', [32, 24], [1, 21], FROM_NETWORK],
  ['one network by itself', '198.51.101.1', [32, 24, 22], [1, 1, 6], FROM_NETWORK],
  ['an IPv6 /64', '2001:db8::1', [128, 64], [1, 11], FROM_NETWORK],
  ['two of one length', '203.0.113.1', [32, 24], [1, 8], FROM_NETWORK],
  ['IPv4 that came over IPv6', '::ffff:192.0.2.1', [32, 24], [1, 21], FROM_NETWORK],
]

for (const [what, address, prefixes, live, expected] of NETWORKS) {
  const reply = (request) => (request.do === 'open' ? { live, allowed: false } : { done: true })
  test(`prefixes: ${what}`, () =>
    withScene(NO_DELAY, reply, async (scene, daemon) => {
      assert.deepStrictEqual(await scene.connect(scene.connection(address)), expected)
      assert.deepStrictEqual(daemon.of('open')[0].prefixes, prefixes)
    }, PREFIXES))
}

test('prefixes: no more lengths than can be asked for', () => {
  const lines = Array.from({ length: 20 }, (_, index) => `0.0.0.0/${index + 8}=1000\n`).join('')
  return withScene(NO_DELAY, {}, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.connect(scene.connection()), PASS)
    assert.strictEqual(daemon.of('open')[0].prefixes.length, 16)
    assert.strictEqual(scene.log.filter((line) => /more lengths than 15/.test(line)).length, 5)
  }, `[concurrency_prefixes]\n${lines}`)
})

const EVERYTHING = `${NO_DELAY}[concurrency]\nmax=1\n[errors]\nmax=1\n[recipients]\nmax=1
[unrecognized_commands]\nmax=1\n[rate_conn]\nenabled=true\ndefault=1\n[rate_rcpt]\nenabled=true\ndefault=1\n`
const PLENTY = { live: 100, rates: { rate_conn: 100, rate_rcpt: 100 } }

async function assertNothingFires(scene, connection) {
  connection.errors = 100
  connection.rcpt_count = { accept: 100, tempfail: 0, reject: 0 }
  assert.deepStrictEqual(await scene.connect(connection), PASS)
  assert.deepStrictEqual(await scene.call('check_errors', connection), PASS)
  for (let i = 0; i < 3; i += 1) {
    assert.deepStrictEqual(await scene.call('check_unrecognized', connection, ['FOO', '']), PASS)
  }
  assert.deepStrictEqual(await scene.call('check_rcpt', connection, [new Address('<a@b.com>')]), PASS)
}

test('who is on the allow list is not limited', () =>
  withScene(EVERYTHING, PLENTY, async (scene) => {
    await assertNothingFires(scene, scene.connection('192.0.2.1'))
    await assertNothingFires(scene, scene.connection('2001:db8::5'))
    await assertNothingFires(scene, scene.connection('::ffff:192.0.2.1'))
    await assertNothingFires(scene, scene.connection('203.0.113.9'))
    assert.deepStrictEqual(await scene.connect(scene.connection('198.51.100.1')), TOO_MANY)
    assert.strictEqual(scene.log.filter((line) => /\[allow\] nonsense/.test(line)).length, 1)
  }, '[allow]\n192.0.2.0/24\n2001:db8::/32\n::ffff:203.0.113.9\nnonsense\n'))

test('nor who is on the gate\'s', () =>
  withScene(EVERYTHING, { ...PLENTY, allowed: true }, (scene) =>
    assertNothingFires(scene, scene.connection()),
  ))

test('errors: at nine of nine nothing, at ten the end', () =>
  withScene(`${NO_DELAY}[errors]\nenabled=true\nmax=9\n`, {}, async (scene) => {
    const connection = scene.connection()
    connection.errors = 9
    assert.deepStrictEqual(await scene.call('check_errors', connection), PASS)
    connection.errors = 10
    assert.deepStrictEqual(await scene.call('check_errors', connection), [CLOSE, 'Too many errors'])
    assert.deepStrictEqual(await scene.call('check_rcpt', connection, []), [CLOSE, 'Too many errors'])
    assert.deepStrictEqual(scene.results(connection).fail, ['errors.max', 'errors.max'])
  }))

test('unrecognized commands: five of five pass, the sixth does not', () =>
  withScene(`${NO_DELAY}[unrecognized_commands]\nenabled=true\nmax=5\n`, {}, async (scene) => {
    const connection = scene.connection()
    for (let i = 0; i < 5; i += 1) {
      assert.deepStrictEqual(await scene.call('check_unrecognized', connection, ['FOO', 'bar']), PASS)
    }
    assert.deepStrictEqual(await scene.call('check_unrecognized', connection, ['FOO', 'bar']), [
      CLOSE,
      'Too many unrecognized commands',
    ])
    assert.deepStrictEqual(scene.results(connection).unrec_cmds, Array(6).fill('FOO'))
  }))

const RECIPIENTS = `${NO_DELAY}[recipients]\nenabled=true\nmax=10\nmax_relaying=20
[recipients_history]\nenabled=true\nplugin=karma\nbad=1\nnone=5\ngood=50\n`

// (what, accepted, deferred, rejected, relaying, karma, what is answered)
const TOO_MANY_RECIPIENTS = [LATER, 'Too many recipient attempts']
const RCPTS = [
  ['3+5+4 of ten', [3, 5, 4], false, {}, TOO_MANY_RECIPIENTS],
  ['the tenth', [9, 0, 0], false, {}, PASS],
  ['the eleventh', [10, 0, 0], false, {}, TOO_MANY_RECIPIENTS],
  ['relaying has more', [19, 0, 0], true, {}, PASS],
  ['but not all', [20, 0, 0], true, {}, TOO_MANY_RECIPIENTS],
  ['good history', [49, 0, 0], false, { history: 3 }, PASS],
  ['good history, too many', [50, 0, 0], false, { history: 3 }, TOO_MANY_RECIPIENTS],
  ['bad history', [1, 0, 0], false, { history: -3 }, TOO_MANY_RECIPIENTS],
]

for (const [what, [accept, tempfail, reject], relaying, karma, expected] of RCPTS) {
  test(`recipients: ${what}`, () =>
    withScene(RECIPIENTS, {}, async (scene) => {
      const connection = scene.connection()
      connection.results.add({ name: 'karma' }, karma)
      connection.relaying = relaying
      connection.rcpt_count = { accept, tempfail, reject }
      assert.deepStrictEqual(
        await scene.call('check_rcpt', connection, [new Address('<a@example.com>')]),
        expected,
      )
    }))
}

test('nobody is there: everything passes at once, with an error in the results', async () => {
  const scene = new Scene(`${CONCURRENCY}[rate_conn]\nenabled=true\n[rate_rcpt]\nenabled=true\n`)
  try {
    const connection = scene.connection()
    connection.transaction.mail_from = new Address('<user@example.com>')
    const started = Date.now()
    assert.deepStrictEqual(await scene.connect(connection), PASS)
    assert.deepStrictEqual(await scene.call('check_rcpt', connection, [new Address('<a@b.com>')]), PASS)
    assert.ok(Date.now() - started < 3000)
    assert.ok(scene.results(connection).err.some((each) => /no answer from tallygate/.test(each)))
    await scene.call('close_session', connection)
  } finally {
    scene.end()
  }
})

test('a silent daemon: everything passes soon', () =>
  withScene(
    `${CONCURRENCY}[rate_conn]\nenabled=true\n[rate_rcpt_host]\nenabled=true\n`,
    () => undefined,
    async (scene) => {
      const started = Date.now()
      assert.deepStrictEqual(await scene.connect(scene.connection()), PASS)
      assert.ok(Date.now() - started < 3000)
    },
  ))

// (what a daemon that is no good answers)
const NONSENSE = [{ live: 'many' }, { live: [null] }, { live: [1.5] }, {}, { live: {} }, { count: '9' }]
for (const answer of NONSENSE) {
  test(`an answer such as ${JSON.stringify(answer)} limits nobody`, () =>
    withScene(`${CONCURRENCY}[rate_conn]\nenabled=true\n`, () => answer, async (scene) => {
      assert.deepStrictEqual(await scene.connect(scene.connection()), PASS)
    }))
}

test('a mistake of ours is a line of the log, and mail goes on', () =>
  withScene(`${CONCURRENCY}[rate_rcpt]\nenabled=true\n`, { live: 5 }, async (scene) => {
    const connection = scene.connection()
    scene.plugin.publish = () => {
      throw new Error('broken')
    }
    assert.deepStrictEqual(await scene.connect(connection), PASS)
    assert.deepStrictEqual(await scene.call('check_rcpt', connection, [new Address('<a@b.com>')]), PASS)
    assert.strictEqual(scene.log.filter((line) => /not limited: Error: broken/.test(line)).length, 2)
  }))

test('mail waits for at most 300 ms, whatever is configured', () =>
  withScene('', {}, async (scene) => assert.strictEqual(scene.plugin.own.timeout, 300), 'timeout=9999\n'))

test('a new limit.ini is taken without a restart', () =>
  withScene('', { live: 5 }, async (scene) => {
    const { get } = scene.plugin.config
    scene.plugin.config.get = (name, ...more) =>
      name === 'limit.ini'
        ? { main: { tarpit_delay: 0 }, concurrency: { max: 4 } }
        : get.call(scene.plugin.config, name, ...more)
    scene.plugin.load_settings()
    assert.deepStrictEqual(await scene.connect(scene.connection()), TOO_MANY)
  }))

test('what cannot be understood is one line at start', async () => {
  const daemon = await new FakeDaemon(counting({})).listen()
  const scene = new Scene('[rate_conn]\nenabled=true\ndefault=5/5x\n[concurrency]\nmax=4\nreset=10\n', daemon)
  assert.strictEqual(scene.log.length, 2)
  scene.end()
  await daemon.stop()
})
