// SPDX-License-Identifier: BSD-2-Clause
//
// The one connection of this process to tallygate's sessions socket. Mail is never made to wait
// for it for long, and nothing that comes from there, or does not come, can hurt: who asks gets
// an answer, or undefined within the time that he gave.
//
// Which sessions are open is known here, and told anew after each reconnect; so the daemon's
// counts are right again whoever has died in between, with nothing to repair.
'use strict'

const net = require('node:net')

const VERSION = 1
const LINE_MAX = 64 * 1024 // of an answer: they have some hundred bytes
const UNSENT_MAX = 4 * 1024 * 1024 // what a daemon that reads nothing may cost us
const PIECE_MAX = 64 * 1024 // what may wait for the end of a turn
const PENDING_MAX = 100000
const BACKOFF_FIRST_MS = 100
const BACKOFF_MAX_MS = 5000
const SILENCE_MAX_MS = 2000 // until a daemon that owes a greeting or answers is left
const STEADY_MS = 5000 // after which a connection was a good one
const QUIET_MS = 60000 // between two lines of the log about the daemon's absence

class Client {
  // `log` has notice(text) and warn(text): told once when the daemon is lost, and once when it
  // is back.
  constructor(options) {
    this.path = options.path
    this.timeout = options.timeout
    this.name = options.name
    this.log = options.log
    this.sessions = new Map() // name -> the line that opens it
    this.pending = new Map() // id -> { resolve, timer }
    this.nextId = 1
    this.socket = null
    this.isStalled = false // an answer is overdue: nobody else waits until a word comes
    this.isEnded = false
    this.isLost = false // and the log says so
    this.lostAt = -Infinity
    this.startedAt = 0
    this.lastError = null
    this.backoff = BACKOFF_FIRST_MS
    this.received = ''
    this.unsent = ''
    this.unsentMax = UNSENT_MAX
    this.retry = null
    this.silence = null
  }

  // Connects, unless that is under way or is being put off.
  start() {
    if (this.socket || this.retry || this.isEnded) return
    const socket = net.createConnection({ path: this.path })
    this.socket = socket
    this.received = ''
    this.unsent = '' // nothing that was meant for another connection
    this.lastError = null
    this.startedAt = Date.now()
    socket.setEncoding('utf8')
    socket.on('data', (text) => this.onData(socket, text))
    socket.on('error', (error) => this.leave(socket, error.message))
    socket.on('close', () => this.leave(socket, 'the connection was closed'))
    socket.unref() // a server that stops need not wait for us
    this.expectWord(socket)
    this.send({ do: 'hello', version: VERSION, client: this.name })
    this.tellSessions()
  }

  // However many they are: what has to be told is no reason to leave a daemon.
  tellSessions() {
    this.unsentMax = UNSENT_MAX
    for (const line of this.sessions.values()) {
      this.unsentMax += Buffer.byteLength(line)
      this.write(line)
    }
  }

  end() {
    this.isEnded = true
    clearTimeout(this.retry)
    this.retry = null
    if (this.socket) this.leave(this.socket, 'this server stops')
  }

  // Opens a session, and asks what `question` adds to it. With nothing, it is only told.
  open(session, opening, question) {
    const request = { do: opening.domain === undefined ? 'open' : 'deliver', session, ...opening }
    this.start()
    const wasTold = this.socket !== null
    this.sessions.set(session, `${JSON.stringify(request)}\n`)
    if (question) return this.ask({ ...request, ...question })
    if (wasTold) this.send(request)
    return Promise.resolve(undefined)
  }

  close(session) {
    if (this.sessions.delete(session)) this.tell({ do: 'close', session })
  }

  tell(request) {
    this.start()
    if (this.socket) this.send(request)
  }

  // The answer; undefined if there is none by `deadline` (Date.now()), or an error.
  ask(request, deadline = Date.now() + this.timeout) {
    this.start()
    const left = deadline - Date.now()
    if (!this.socket || this.isStalled || left <= 0 || this.pending.size >= PENDING_MAX) {
      this.tell(request) // what it counts is counted all the same, if anybody reads it
      return Promise.resolve(undefined)
    }
    const id = this.nextId
    this.nextId += 1
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.onTimeout(id), left)
      this.pending.set(id, { resolve, timer })
      this.send({ id, ...request })
    })
  }

  send(request) {
    this.write(`${JSON.stringify(request)}\n`)
  }

  // What is said in one turn of the loop, by all sessions, goes out in one piece.
  write(lines) {
    if (this.unsent === '') setImmediate(() => this.flush())
    this.unsent += lines
    if (this.unsent.length > PIECE_MAX) this.flush()
  }

  flush() {
    const { socket, unsent } = this
    this.unsent = ''
    if (!socket || !unsent) return
    socket.write(unsent)
    if (socket.writableLength > this.unsentMax) this.leave(socket, 'it reads nothing')
  }

  onData(socket, text) {
    if (socket !== this.socket) return
    const lines = (this.received + text).split('\n')
    this.received = lines.pop()
    for (const line of lines) {
      if (socket !== this.socket) return
      this.onLine(socket, line)
    }
    if (this.received.length > LINE_MAX) this.leave(socket, 'it sent a line without end')
  }

  onLine(socket, line) {
    let reply
    try {
      reply = JSON.parse(line)
    } catch (error) {
      reply = null
    }
    if (reply === null || typeof reply !== 'object' || Array.isArray(reply)) {
      this.leave(socket, 'it sent what is no answer')
      return
    }
    if (reply.hello !== undefined && reply.version !== VERSION) {
      this.leave(socket, `it speaks another version than ${VERSION}`)
      return
    }
    if (reply.hello !== undefined) this.onGreeting()
    this.isStalled = false
    clearTimeout(this.silence)
    this.silence = null
    if (reply.error !== undefined) this.lastError = String(reply.error).slice(0, 200)
    this.settle(reply.id, reply.error === undefined ? reply : undefined)
  }

  onGreeting() {
    if (this.isLost) this.log.notice(`tallygate answers again on ${this.path}`)
    this.isLost = false
  }

  onTimeout(id) {
    this.settle(id, undefined)
    if (!this.socket) return
    this.isStalled = true
    this.expectWord(this.socket)
  }

  expectWord(socket) {
    if (this.silence) return
    this.silence = setTimeout(() => this.leave(socket, 'it does not answer'), SILENCE_MAX_MS)
    this.silence.unref()
  }

  settle(id, reply) {
    const asked = this.pending.get(id)
    if (!asked) return
    this.pending.delete(id)
    clearTimeout(asked.timer)
    asked.resolve(reply)
  }

  // Whatever went wrong: nobody waits any longer, and some time later it is tried again. Then
  // nobody waits for a daemon that accepts and does not greet.
  leave(socket, why) {
    if (socket !== this.socket) return
    this.socket = null
    this.isStalled = true
    this.received = ''
    clearTimeout(this.silence)
    this.silence = null
    socket.removeAllListeners('data')
    socket.on('error', () => {})
    socket.destroy()
    for (const id of [...this.pending.keys()]) this.settle(id, undefined)
    if (this.isEnded) return
    this.noteLoss(this.lastError ? `it said: ${this.lastError}` : why)
    if (Date.now() - this.startedAt > STEADY_MS) this.backoff = BACKOFF_FIRST_MS
    this.retry = setTimeout(() => {
      this.retry = null
      this.start()
    }, this.backoff)
    this.retry.unref()
    this.backoff = Math.min(this.backoff * 2, BACKOFF_MAX_MS)
  }

  noteLoss(why) {
    if (this.isLost || Date.now() - this.lostAt < QUIET_MS) return
    this.isLost = true
    this.lostAt = Date.now()
    this.log.warn(`no tallygate on ${this.path}: ${why}; nothing is limited meanwhile`)
  }
}

module.exports = { Client }
