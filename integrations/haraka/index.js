// SPDX-License-Identifier: BSD-2-Clause
//
// Haraka's limits, counted by tallygate. Which hook asks what; how it is decided is in lib/.
'use strict'

const cluster = require('node:cluster')
const constants = require('haraka-constants')

const { Client } = require('./lib/client')
const { Concurrency } = require('./lib/concurrency')
const limits = require('./lib/limits')
const { plainAddress } = require('./lib/lookup')
const { Outbound } = require('./lib/outbound')
const { Rates } = require('./lib/rates')
const { Reports } = require('./lib/reports')
const { readSettings } = require('./lib/settings')
const { version } = require('./package.json')

const TIMEOUT_MAX_MS = 300
// Haraka's own patience with a plugin, unless it is configured.
const PLUGIN_TIMEOUT_SECONDS = 30

// A hook that waits for an answer. What goes wrong in it is a line of the log, and mail goes on;
// what goes wrong in Haraka, after it was given its answer, is left to Haraka.
function waiting(hook) {
  return async function (next, ...others) {
    let isAnswered = false
    const answer = (...answers) => {
      isAnswered = true
      next(...answers)
    }
    try {
      await hook.call(this, answer, ...others)
    } catch (error) {
      if (isAnswered) throw error
      this.logerror(`not limited: ${error.stack || error}`)
      next()
    }
  }
}

exports.register = function () {
  this.load_settings()
  this.concurrency = new Concurrency(this)
  this.reports = new Reports(this)
  this.outbound = new Outbound(this)
  this.rates = new Rates(this)

  this.register_hook('init_master', 'start_client')
  this.register_hook('init_child', 'start_client')

  this.register_hook('connect_init', 'open_session')
  this.register_hook('connect', 'check_connect')
  this.register_hook('disconnect', 'close_session')

  for (const hook of ['helo', 'ehlo', 'mail', 'data']) this.register_hook(hook, 'check_errors')
  this.register_hook('rcpt', 'check_rcpt')
  this.register_hook('unrecognized_command', 'check_unrecognized')

  this.register_hook('reset_transaction', 'report')
  this.register_hook('deny', 'note_denial')

  // As late as can be: what is delayed by another plugin must not be counted as under way.
  this.register_hook('send_email', 'begin_delivery', 100)
  for (const hook of ['delivered', 'deferred', 'bounce']) this.register_hook(hook, 'end_delivery')
}

exports.shutdown = function () {
  if (this.client) this.client.end()
}

// One process says it, however many there are.
exports.say = function (level, text) {
  if (cluster.isPrimary === false) return
  this[level](text)
}

exports.load_settings = function () {
  const ini = this.config.get('limit.ini', {}, () => this.load_settings())
  const own = this.config.get('tallygate.ini', {}, () => this.load_settings()) || {}

  this.settings = readSettings(ini)
  this.settings.lines.forEach((line) => this.say('logwarn', line))
  this.missing_history = new Set()
  this.load_own(own)
  this.load_delays()
}

exports.load_own = function (own) {
  const main = own.main || {}
  const usual = 'expected what the default file shows'
  const bad = (section) => (key, why) =>
    this.say('logwarn', `tallygate.ini [${section}] ${key}: ${why || usual}`)

  this.own = {
    socket: String(main.socket || '/run/tallygate/sessions.sock'),
    timeout: Math.min(Number(main.timeout) > 0 ? Number(main.timeout) : 250, TIMEOUT_MAX_MS),
    service: main.service || undefined,
    results: main.results === undefined ? 'limit' : main.results,
    allow: limits.blockList(Object.keys(own.allow || {}), bad('allow')),
    prefixes: limits.readPrefixes(own.concurrency_prefixes || {}, bad('concurrency_prefixes')),
  }
  if (this.client && this.client.path !== this.own.socket) {
    this.say('logwarn', 'tallygate.ini socket: is taken when Haraka starts again')
  }
}

// A delay that is as long as Haraka's patience would end in its "plugin timeout".
exports.load_delays = function () {
  const patience = this.timeout === 0 ? Infinity : Number(this.timeout) || PLUGIN_TIMEOUT_SECONDS
  const delays = this.settings.delays
  for (const name of Object.keys(delays)) {
    if (delays[name] < patience) continue
    delays[name] = Math.max(patience - 1, 0)
    this.say('logwarn', `limit.ini: a delay is not below the plugin's timeout: ${delays[name]} s`)
  }
}

exports.start_client = function (next) {
  this.daemon().start()
  next()
}

// The connection of this process.
exports.daemon = function () {
  if (!this.client) {
    this.client = new Client({
      path: this.own.socket,
      timeout: this.own.timeout,
      name: `haraka-plugin-tallygate/${version} ${process.pid}`,
      log: { notice: (text) => this.lognotice(text), warn: (text) => this.logwarn(text) },
    })
  }
  return this.client
}

// Under our own name; and what fails also under that of the plugin whose place this takes, because
// karma's rules and watch's columns are about that one.
exports.publish = function (connection, results) {
  connection.results.add(this, results)
  if (results.fail !== undefined && this.own.results && this.own.results !== this.name) {
    connection.results.add({ name: this.own.results }, results)
  }
}

exports.no_answer = function (connection, what) {
  this.publish(connection, { err: `${what}: no answer from tallygate, not limited` })
}

// What we remember of a connection.
exports.state = function (connection) {
  if (!this.states) this.states = new WeakMap()
  if (!this.states.has(connection)) this.states.set(connection, { unrecognized: 0, prefixes: [], lengths: [] })
  return this.states.get(connection)
}

// In the list of this plugin's configuration, or on the gate's allow list.
exports.is_allowed = function (connection) {
  return Boolean(this.state(connection).is_allowed)
}

exports.penalize = function (connection, disconnect, text, next, seconds) {
  const code = disconnect ? constants.DENYSOFTDISCONNECT : constants.DENYSOFT
  const delay = seconds === undefined ? this.settings.delays.tarpit : seconds

  if (!delay) return next(code, text)
  connection.loginfo(this, `tarpitting for ${delay}s`)
  setTimeout(() => next(code, text), delay * 1000)
}

exports.note_missing_history = function (plugin) {
  if (this.missing_history.has(plugin)) return
  this.missing_history.add(plugin)
  this.logerror(`no ${plugin} results: history is not looked at, the usual maximum holds`)
}

exports.maximum = function (section, connection) {
  return limits.maximum(section, connection, (plugin) => this.note_missing_history(plugin))
}

// connect_init: the session is open from now on.
exports.open_session = function (next, connection) {
  const address = plainAddress(connection.remote.ip)
  if (address === undefined) return next() // nobody whom one could count

  this.state(connection).is_allowed = limits.isListed(this.own.allow, address)
  this.concurrency.open(connection, address)
  this.rates.connected(connection)
  return next()
}

exports.close_session = function (next, connection) {
  this.rates.disconnected(connection)
  this.reports.flush(connection)
  this.concurrency.close(connection)
  next()
}

exports.check_connect = waiting(async function (next, connection) {
  const deadline = Date.now() + this.own.timeout // for all that is asked here
  // XCLIENT tells of another client when the session is open already.
  const address = plainAddress(connection.remote.ip)
  if (address !== this.state(connection).address) this.open_session(() => {}, connection)
  const goes_on = await this.concurrency.check(next, connection, deadline)
  if (!goes_on) return undefined
  return this.is_allowed(connection) ? next() : this.rates.check_connect(next, connection, deadline)
})

exports.are_errors_over = function (connection) {
  const { errors } = this.settings
  if (!errors || !errors.max || this.is_allowed(connection)) return false
  return connection.errors > errors.max
}

exports.check_errors = function (next, connection) {
  if (!this.are_errors_over(connection)) return next()
  this.publish(connection, { fail: 'errors.max' })
  return this.penalize(connection, true, 'Too many errors', next)
}

exports.check_unrecognized = function (next, connection, command) {
  const { unrecognized_commands: section } = this.settings
  const state = this.state(connection)
  const verb = Array.isArray(command) ? command[0] : command

  if (!section || this.is_allowed(connection)) return next()
  state.unrecognized += 1
  connection.results.push(this, { unrec_cmds: String(verb) })
  if (!section.max || state.unrecognized <= section.max) return next()
  this.publish(connection, { fail: 'unrec_cmds.max' })
  return this.penalize(connection, true, 'Too many unrecognized commands', next)
}

exports.check_rcpt = waiting(async function (next, connection, params) {
  if (this.is_allowed(connection)) return next()
  if (this.are_errors_over(connection)) return this.check_errors(next, connection)

  const { recipients } = this.settings
  const max = recipients ? this.maximum(recipients, connection) : 0
  if (max && limits.attempts(connection) > max) {
    this.publish(connection, { fail: 'recipients.max' })
    return this.penalize(connection, false, 'Too many recipient attempts', next)
  }
  return this.rates.check_rcpt(next, connection, Array.isArray(params) ? params[0] : params)
})

exports.report = function (next, connection) {
  this.reports.flush(connection)
  next()
}

exports.note_denial = function (next, connection, params) {
  this.reports.note_denial(connection, params)
  next()
}

exports.begin_delivery = waiting(function (next, hmail) {
  return this.outbound.begin(next, hmail)
})

exports.end_delivery = function (next, hmail) {
  this.outbound.end(hmail)
  next()
}
