// SPDX-License-Identifier: BSD-2-Clause
//
// The connection to a daemon that is there, gone, slow, silent, or no daemon at all.
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const { Client } = require('../lib/client')
const { FakeDaemon, GREETING, counting, until } = require('./support')

const PATIENCE_MS = 3000 // far below the 30 s of Haraka's own patience; no speed is asserted

async function withDaemon(reply, body) {
  const daemon = await new FakeDaemon(reply).listen()
  const log = []
  const note = (text) => log.push(text)
  const client = new Client({
    path: daemon.path,
    timeout: 250,
    name: 'test',
    log: { notice: note, warn: note },
  })
  try {
    await body(client, daemon, log)
  } finally {
    client.end()
    await daemon.stop()
  }
}

const OPENING = { address: '192.0.2.1' }
const QUESTION = { prefixes: [32] }

test('says hello first, and asks on one connection', () =>
  withDaemon(counting({ live: 3 }), async (client, daemon) => {
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((name) => client.open(name, OPENING, QUESTION)),
    )
    assert.deepStrictEqual(answers.map((each) => each.live), [[3], [3], [3]])
    assert.deepStrictEqual(daemon.requests[0], { do: 'hello', version: 1, client: 'test' })
    assert.strictEqual(daemon.of('open').length, 3)
    assert.strictEqual(daemon.connections, 1)
  }))

test('tells open sessions anew, after a loss, once each', () =>
  withDaemon(counting({}), async (client, daemon, log) => {
    for (const name of ['a', 'b', 'c']) await client.open(name, OPENING, QUESTION)
    client.close('b')
    await until(() => daemon.of('close').length === 1)
    daemon.requests.length = 0
    for (const socket of daemon.sockets) socket.destroy()
    await until(() => daemon.of('open').length === 2, 'the sessions to be told')
    assert.deepStrictEqual(daemon.requests, [
      { do: 'hello', version: 1, client: 'test' },
      { do: 'open', session: 'a', address: '192.0.2.1' },
      { do: 'open', session: 'c', address: '192.0.2.1' },
    ])
    await until(() => log.length === 2)
    assert.match(log[0], /no tallygate on .*closed/)
    assert.match(log[1], /answers again/)
  }))

test('what opens and closes while the daemon is away is told as it is when it comes', () =>
  withDaemon(counting({}), async (client, daemon) => {
    const { path } = daemon
    client.path = `${path}.nobody`
    await client.open('a', OPENING, QUESTION)
    await client.open('b', OPENING, QUESTION)
    client.close('a')
    client.path = path
    await until(() => daemon.of('open').length > 0)
    assert.deepStrictEqual(daemon.of('open').map((each) => each.session), ['b'])
    assert.strictEqual(daemon.of('close').length, 0)
  }))

test('a delivery is told anew without its maximum: it is under way', () =>
  withDaemon(counting({}), async (client, daemon) => {
    await client.open('d', { domain: 'example.com' }, { max: 3 })
    assert.strictEqual(daemon.of('deliver')[0].max, 3)
    daemon.requests.length = 0
    for (const socket of daemon.sockets) socket.destroy()
    await until(() => daemon.of('deliver').length === 1)
    assert.strictEqual(daemon.of('deliver')[0].max, undefined)
  }))

// What the daemon does instead of answering.
const FAILURES = [
  ['is silent', () => undefined],
  ['answers half a line', (request) => `{"id":${request.id},"live":[`],
  ['sends garbage', () => '\0\u0001 garbage \n'],
  ['sends a number', () => '42\n'],
  ['sends null', () => 'null\n'],
  ['sends a list', () => '[]\n'],
  ['answers somebody else', () => '{"id":"__proto__","live":[9]}\n{"id":999999,"live":[9]}\n'],
  ['sends an error', (request) => ({ error: 'no', code: 'failed' })],
  ['sends a line without end', () => 'x'.repeat(100000)],
  ['closes', (request, socket) => socket.destroy()],
  ['speaks another version', () => '{"hello":"tallygate-sessions","version":2}\n'],
]

for (const [what, reply] of FAILURES) {
  test(`a daemon that ${what} costs no more than the patience`, () =>
    withDaemon(
      (request, socket) => (request.do === 'hello' ? undefined : reply(request, socket)),
      async (client) => {
        const started = Date.now()
        const answers = await Promise.all([
          client.open('a', OPENING, QUESTION),
          client.ask({ do: 'rate', rate: 'r', key: 'k', limit: 1, span: 60 }),
        ])
        assert.deepStrictEqual(answers, [undefined, undefined])
        assert.ok(Date.now() - started <= PATIENCE_MS)
        assert.ok(client.sessions.has('a'))
      },
    ))
}

test('nobody is there: no wait at all, and one line', () =>
  withDaemon(counting({}), async (client, daemon, log) => {
    client.path = `${daemon.path}.nobody`
    await client.open('a', OPENING, QUESTION)
    const started = Date.now()
    for (let i = 0; i < 100; i += 1) {
      assert.strictEqual(await client.ask({ do: 'live', address: '192.0.2.1' }), undefined)
    }
    assert.ok(Date.now() - started < PATIENCE_MS)
    assert.strictEqual(log.length, 1)
    assert.match(log[0], /ENOENT/)
  }))

for (const path of [`/tmp/${'x'.repeat(300)}`, '/', '/dev/null', 'relative', '5']) {
  test(`a path that leads nowhere, ${path.slice(0, 20)}: nobody waits`, () =>
    withDaemon(counting({}), async (client, daemon, log) => {
      client.path = path
      assert.strictEqual(await client.open('a', OPENING, QUESTION), undefined)
      assert.strictEqual(log.length, 1)
    }))
}

test('only the first wait for a silent daemon; all are told of again once it is left', () =>
  withDaemon(() => undefined, async (client, daemon) => {
    await client.open('a', OPENING, QUESTION)
    const started = Date.now()
    for (let i = 0; i < 50; i += 1) await client.open(`s${i}`, OPENING, QUESTION)
    assert.ok(Date.now() - started < PATIENCE_MS)
    await until(() => daemon.connections === 2, 'another connection')
    await until(() => daemon.of('hello').length === 2 && daemon.of('open').length === 102)
  }))

test('a daemon that accepts and never says a word is waited for once, however often it is tried', () =>
  withDaemon(() => undefined, async (client, daemon) => {
    daemon.greeting = ''
    await client.open('a', OPENING, QUESTION)
    for (const connections of [2, 3]) {
      await until(() => daemon.connections === connections, 'another connection')
      const asked = client.open(`s${connections}`, OPENING, QUESTION)
      assert.strictEqual(client.pending.size, 0, 'somebody waits')
      assert.strictEqual(await asked, undefined)
    }
    daemon.greeting = `${JSON.stringify(GREETING)}\n`
    daemon.reply = counting({ live: 5 })
    await until(() => !client.isStalled, 'the greeting')
    assert.deepStrictEqual((await client.open('b', OPENING, QUESTION)).live, [5])
  }))

test('so many sessions as one client may have are told anew, on one connection', () =>
  withDaemon(counting({}), async (client, daemon) => {
    const line = `${JSON.stringify({ do: 'open', session: 's'.repeat(36), address: '192.0.2.1' })}\n`
    for (let i = 0; i < 250000; i += 1) client.sessions.set(i, line)
    client.start()
    await until(() => daemon.of('open').length === 250000, 'all sessions')
    assert.strictEqual(daemon.connections, 1)
  }))

test('an answer that comes late does nobody harm, and ends the silence', () =>
  withDaemon(
    (request, socket) => {
      if (request.id === undefined) return undefined
      if (request.id > 1) return { live: [7] }
      setTimeout(() => socket.write(`{"id":${request.id},"live":[1]}\n`), 400)
      return undefined
    },
    async (client, daemon) => {
      assert.strictEqual(await client.open('a', OPENING, QUESTION), undefined)
      await until(() => !client.isStalled, 'the late answer')
      assert.deepStrictEqual((await client.open('b', OPENING, QUESTION)).live, [7])
      assert.strictEqual(daemon.connections, 1)
    },
  ))

test('answers in pieces, and several at once', () =>
  withDaemon(
    (request, socket) => {
      if (request.id === undefined) return undefined
      if (request.id === 1) return undefined
      const both = `{"id":2,"live":[2]}\n{"id":1,"live":[1]}\n`
      for (const byte of both) socket.write(byte)
      return undefined
    },
    async (client) => {
      const asked = [client.open('a', OPENING, QUESTION), client.open('b', OPENING, QUESTION)]
      assert.deepStrictEqual((await Promise.all(asked)).map((each) => each.live), [[1], [2]])
    },
  ))

test('a daemon that reads nothing has a bound', () =>
  withDaemon(() => undefined, async (client, daemon) => {
    daemon.serve = (socket) => {
      daemon.sockets.add(socket)
      socket.on('error', () => {})
      socket.pause()
    }
    client.start()
    await until(() => client.socket.readyState === 'open')
    const { socket } = client
    for (let i = 0; i < 100000 && client.socket === socket; i += 1) {
      client.tell({ do: 'report', event: 'recipients', address: '192.0.2.1', service: 'x'.repeat(60) })
    }
    assert.notStrictEqual(client.socket, socket)
  }))

test('the greeting alone does not make a daemon that fails a good one', () =>
  withDaemon((request) => (request.do === 'hello' ? 'garbage\n' : undefined), async (client, daemon, log) => {
    client.start()
    await until(() => daemon.connections >= 4, 'four attempts')
    assert.ok(client.backoff >= 800)
    assert.ok(log.filter((line) => /no tallygate/.test(line)).length === 1, log.join('\n'))
  }))

test('after the end nothing is tried again', () =>
  withDaemon(counting({}), async (client, daemon) => {
    await client.open('a', OPENING, QUESTION)
    client.end()
    assert.strictEqual(await client.open('b', OPENING, QUESTION), undefined)
    await until(() => daemon.sockets.size === 0)
    assert.strictEqual(daemon.connections, 1)
    assert.strictEqual(GREETING.version, 1)
  }))
