// SPDX-License-Identifier: BSD-2-Clause
'use strict'

const assert = require('node:assert')
const { test } = require('node:test')
const constants = require('haraka-constants')
const { Scene, until, withScene } = require('./support')

const PASS = [undefined, undefined]
const OUTBOUND = '[outbound]\nenabled=true\ndelay=30\nexample.com=3\n'
const RATE = '[rate_outbound]\nenabled=true\nexample.com=10/1m\ndefault=500/1h\n'

const mail = (domain) => ({ todo: { domain } })

test('three of three are delivered', () =>
  withScene(OUTBOUND, { deliveries: 3 }, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.call('begin_delivery', mail('Example.com')), PASS)
    assert.strictEqual(daemon.of('deliver')[0].max, 3)
    assert.strictEqual(daemon.of('deliver')[0].domain, 'example.com')
  }))

test('the fourth waits for 30 s, and is not counted', () =>
  withScene(OUTBOUND, { deliveries: 4 }, async (scene, daemon) => {
    const answer = await scene.call('begin_delivery', mail('example.com'))
    assert.deepStrictEqual(answer, [constants.DELAY, 30])
    assert.strictEqual(scene.plugin.client.sessions.size, 0)
    await until(() => daemon.of('close').length === 1)
  }))

for (const hook of ['delivered', 'deferred', 'bounce']) {
  test(`${hook} ends a delivery, once`, () =>
    withScene(OUTBOUND, {}, async (scene, daemon) => {
      const hmail = mail('example.com')
      await scene.call('begin_delivery', hmail)
      await scene.call('end_delivery', hmail)
      await scene.call('end_delivery', hmail)
      await scene.call('end_delivery', mail('example.com')) // one that never began
      await until(() => daemon.of('close').length > 0)
      assert.strictEqual(daemon.of('close').length, 1)
      assert.deepStrictEqual(scene.plugin.hooks[hook], ['end_delivery'])
    }))
}

test('one that Haraka drops without a hook ends as well, and the queue is told once', () =>
  withScene(OUTBOUND, {}, async (scene, daemon) => {
    const told = []
    const hmail = { ...mail('example.com'), next_cb: (...results) => told.push(results) }
    await scene.call('begin_delivery', hmail)
    hmail.next_cb('result')
    await until(() => daemon.of('close').length > 0)
    assert.strictEqual(scene.plugin.client.sessions.size, 0)
    assert.deepStrictEqual(told, [['result']])
  }))

test('one that is tried again, because another plugin delayed it, is counted once', () =>
  withScene(OUTBOUND, {}, async (scene) => {
    const hmail = mail('example.com')
    await scene.call('begin_delivery', hmail)
    await scene.call('begin_delivery', hmail)
    assert.strictEqual(scene.plugin.client.sessions.size, 1)
  }))

test('a domain without a maximum is counted and not limited', () =>
  withScene(OUTBOUND, { deliveries: 1000 }, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.call('begin_delivery', mail('example.net')), PASS)
    await until(() => daemon.of('deliver').length === 1)
    assert.strictEqual(daemon.of('deliver')[0].max, undefined)
  }))

test('the rate of a domain: what is over waits until it conforms, and is not under way', () =>
  withScene(`${OUTBOUND}${RATE}`, { rates: { rate_outbound: 11 } }, async (scene, daemon) => {
    const answer = await scene.call('begin_delivery', mail('mail.example.com'))
    assert.deepStrictEqual(answer, [constants.DELAY, 1])
    const [asked] = daemon.of('rate')
    assert.deepStrictEqual([asked.key, asked.limit, asked.span, asked.charge], [
      'example.com',
      10,
      60,
      'conforming',
    ])
    assert.strictEqual(scene.plugin.client.sessions.size, 0)
  }))

test('the default rate counts each domain by itself', () =>
  withScene(RATE, { rates: { rate_outbound: 500 } }, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.call('begin_delivery', mail('example.net')), PASS)
    assert.strictEqual(daemon.of('rate')[0].key, 'example.net')
    assert.strictEqual(daemon.of('rate')[0].limit, 500)
  }))

test('a mail without a domain goes', () =>
  withScene(OUTBOUND, {}, async (scene, daemon) => {
    assert.deepStrictEqual(await scene.call('begin_delivery', {}), PASS)
    await scene.call('end_delivery', {})
    assert.strictEqual(daemon.of('deliver').length, 0)
  }))

test('nobody is there: mail is delivered, and is counted when somebody comes', async () => {
  const scene = new Scene(`${OUTBOUND}${RATE}`)
  try {
    const started = Date.now()
    assert.deepStrictEqual(await scene.call('begin_delivery', mail('example.com')), PASS)
    assert.ok(Date.now() - started < 3000)
    assert.strictEqual(scene.plugin.client.sessions.size, 1)
  } finally {
    scene.end()
  }
})
