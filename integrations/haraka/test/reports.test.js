// SPDX-License-Identifier: BSD-2-Clause
//
// What reaches the ledger: each recipient, rejection and message once.
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const { until, withScene } = require('./support')

const reported = (daemon) =>
  daemon.of('report').map(({ event, amount, address, service }) => [event, amount, address, service])

test('recipients, rejections and receptions, by transaction and at the end', () =>
  withScene('', {}, async (scene, daemon) => {
    const connection = scene.connection()
    await scene.connect(connection)
    connection.rcpt_count = { accept: 2, tempfail: 1, reject: 3 }
    connection.msg_count = { accept: 1, tempfail: 0, reject: 0 }
    await scene.call('report', connection)
    await scene.call('report', connection)
    connection.rcpt_count.accept = 3
    connection.msg_count.reject = 1
    await scene.call('close_session', connection)
    await until(() => daemon.of('close').length === 1)
    assert.deepStrictEqual(reported(daemon), [
      ['recipients', 6, '192.0.2.1', 'smtp'],
      ['rejections', 4, '192.0.2.1', 'smtp'],
      ['receptions', 1, '192.0.2.1', 'smtp'],
      ['recipients', 1, '192.0.2.1', 'smtp'],
      ['rejections', 1, '192.0.2.1', 'smtp'],
    ])
  }, 'service=smtp\n'))

test('a session that is denied is a rejection; what Haraka counts itself is not one twice', () =>
  withScene('', {}, async (scene, daemon) => {
    const connection = scene.connection()
    await scene.connect(connection)
    const denial = (hook) => [903, 'no', 'limit', 'check', undefined, hook]
    for (const hook of ['connect', 'mail', 'rcpt', 'data_post']) {
      await scene.call('note_denial', connection, denial(hook))
    }
    await scene.call('close_session', connection)
    await until(() => daemon.of('close').length === 1)
    assert.deepStrictEqual(reported(daemon), [['rejections', 2, '192.0.2.1', undefined]])
  }))

test('a connection without an address tells nothing', () =>
  withScene('', {}, async (scene, daemon) => {
    const connection = scene.connection(undefined)
    connection.remote.ip = null
    connection.rcpt_count.accept = 1
    await scene.connect(connection)
    await scene.call('close_session', connection)
    assert.deepStrictEqual(daemon.requests, [])
  }))
