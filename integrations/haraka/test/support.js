// SPDX-License-Identifier: BSD-2-Clause
//
// What the tests stand on: the plugin as Haraka makes it, with a limit.ini of the test's own,
// and a daemon that answers what the test says.
'use strict'

const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const fixtures = require('haraka-test-fixtures')

const GREETING = { hello: 'tallygate-sessions', version: 1, daemon: 'test', count_from: 'sessions' }

// Answers `reply(request)`, if that is something, on a socket of its own; keeps what it was sent.
class FakeDaemon {
  constructor(reply) {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tallygate-haraka-'))
    this.path = path.join(this.directory, 'sessions.sock')
    this.reply = reply || (() => undefined)
    this.greeting = `${JSON.stringify(GREETING)}\n`
    this.requests = []
    this.sockets = new Set()
    this.connections = 0
  }

  async listen() {
    this.server = net.createServer((socket) => this.serve(socket))
    await new Promise((resolve) => this.server.listen(this.path, resolve))
    return this
  }

  serve(socket) {
    let received = ''
    this.connections += 1
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => {})
    socket.setEncoding('utf8')
    if (this.greeting) socket.write(this.greeting)
    socket.on('data', (text) => {
      const lines = (received + text).split('\n')
      received = lines.pop()
      for (const line of lines) this.take(socket, JSON.parse(line))
    })
  }

  take(socket, request) {
    this.requests.push(request)
    const answer = this.reply(request, socket)
    if (typeof answer === 'string') socket.write(answer)
    else if (answer && request.id !== undefined) {
      socket.write(`${JSON.stringify({ id: request.id, ...answer })}\n`)
    }
  }

  of(verb) {
    return this.requests.filter((request) => request.do === verb)
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.server.close(resolve))
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}

// A daemon in which everybody has so many sessions, and every rate so much.
function counting(counts) {
  return (request) => {
    if (request.do === 'open') {
      return { live: (request.prefixes || [0]).map(() => counts.live || 1), allowed: Boolean(counts.allowed) }
    }
    if (request.do === 'rate') {
      const count = (counts.rates || {})[request.rate] || 1
      return { count, over: count > request.limit, retry_ms: 1000 }
    }
    if (request.do === 'deliver') {
      const live = counts.deliveries || 1
      return { live: [live], opened: request.max === undefined || live <= request.max }
    }
    return { done: true }
  }
}

class Scene {
  constructor(limitIni, daemon, ownIni = '') {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tallygate-haraka-'))
    fs.mkdirSync(path.join(this.directory, 'config'))
    const socket = daemon ? daemon.path : path.join(this.directory, 'nobody.sock')
    const files = { 'limit.ini': limitIni, 'tallygate.ini': `socket=${socket}\n${ownIni}` }
    for (const [name, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(this.directory, 'config', name), text)
    }
    const plugin = new fixtures.plugin(path.resolve(__dirname, '..'))
    plugin.name = 'tallygate'
    plugin.config = plugin.config.module_config(this.directory)
    this.log = []
    for (const level of ['logwarn', 'logerror', 'lognotice']) {
      plugin[level] = (text) => this.log.push(String(text))
    }
    plugin.register()
    this.plugin = plugin
  }

  connection(address = '192.0.2.1', host = 'NXDOMAIN') {
    const connection = fixtures.connection.createConnection()
    connection.remote.ip = address
    connection.remote.host = host
    connection.init_transaction()
    return connection
  }

  // What a hook function answers: [code, text].
  call(name, connection, params) {
    return new Promise((resolve) => {
      this.plugin[name]((code, text) => resolve([code, text]), connection, params)
    })
  }

  async connect(connection) {
    await this.call('open_session', connection)
    return this.call('check_connect', connection)
  }

  results(connection) {
    return connection.results.get('tallygate') || {}
  }

  end() {
    this.plugin.shutdown()
    fs.rmSync(this.directory, { recursive: true, force: true })
  }
}

// Runs `body(scene, daemon)` and cleans up, however it ends.
async function withScene(limitIni, counts, body, ownIni) {
  const reply = typeof counts === 'function' ? counts : counting(counts)
  const daemon = await new FakeDaemon(reply).listen()
  const scene = new Scene(limitIni, daemon, ownIni)
  try {
    await body(scene, daemon)
  } finally {
    scene.end()
    await daemon.stop()
  }
}

async function until(holds, what = 'a condition') {
  const end = Date.now() + 10000
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

module.exports = { FakeDaemon, GREETING, Scene, counting, until, withScene }
