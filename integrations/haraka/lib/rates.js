// SPDX-License-Identifier: BSD-2-Clause
//
// How often: connections by host, recipients by host, by sender and by recipient. The daemon
// counts over sliding windows; here is decided under which key, and what happens.
'use strict'

const crypto = require('node:crypto')
const { find, hostParts, mailParts } = require('./lookup')
const { historyTier } = require('./limits')

const KEY_MAX = 255

// Senders choose the keys: a very long one is told from others by its hash.
function shortKey(key) {
  if (Buffer.byteLength(key) <= KEY_MAX) return key
  return `sha256:${crypto.createHash('sha256').update(key).digest('hex')}`
}

// What the daemon is asked about a rate that was found; nothing if it limits nothing.
function question(name, found, rate) {
  if (!found || !rate || rate.limit === 0) return undefined
  return { do: 'rate', rate: name, key: shortKey(found.key), limit: rate.limit, span: rate.span }
}

class Rates {
  constructor(plugin) {
    this.plugin = plugin
  }

  find(name, parts) {
    const section = this.plugin.settings[name]
    return section ? find(section, parts) : undefined
  }

  questionOf(name, parts) {
    const found = this.find(name, parts)
    return question(name, found, found && found.rate)
  }

  hostOf(connection) {
    return hostParts(connection.remote.ip, connection.remote.host)
  }

  // connect_init: counted at once, unless the name of the client or what its history says may
  // have a line of its own.
  connected(connection) {
    const section = this.plugin.settings.rate_conn
    const state = this.plugin.state(connection)
    state.rate_conn = undefined
    if (!section || state.is_allowed) return
    const found = this.find('rate_conn', hostParts(connection.remote.ip))
    if (found && found.isDefault && (section.hasNames || section.history)) return
    state.rate_conn = this.ask(question('rate_conn', found, found && found.rate))
  }

  // One who left before he could be judged has connected all the same; but not one who left before
  // a proxy said who he is.
  disconnected(connection) {
    const state = this.plugin.state(connection)
    if (state.address === undefined || state.rate_conn || state.is_allowed) return
    const { decides, others } = this.questionsAbout(connection)
    for (const each of [decides, ...others]) if (each) this.plugin.daemon().tell(each)
  }

  ask(asked, deadline) {
    if (!asked) return Promise.resolve(null)
    const answer = this.plugin.daemon().ask(asked, deadline)
    return answer.then((reply) => ({ asked, reply }))
  }

  // The one that decides; and where history chooses among spans, the others: they are counted as
  // well, so that whose history changes does not seem to come for the first time.
  questionsAbout(connection) {
    const section = this.plugin.settings.rate_conn
    const found = this.find('rate_conn', this.hostOf(connection))
    if (!found) return { others: [] }
    if (!found.isDefault || !section.history) {
      return { decides: question('rate_conn', found, found.rate), others: [] }
    }
    const { history, fallback } = section
    const tier = historyTier(history, connection, (name) => this.plugin.note_missing_history(name))
    const decides = question('rate_conn', found, tier ? history[tier] : fallback)
    const spans = new Set(decides ? [decides.span] : [])
    const others = [fallback, history.good, history.bad, history.none]
      .map((rate) => question('rate_conn', found, rate))
      .filter((each) => each && !spans.has(each.span) && spans.add(each.span))
    return { decides, others }
  }

  askLate(connection, deadline) {
    const { decides, others } = this.questionsAbout(connection)
    for (const each of others) this.plugin.daemon().tell(each)
    return this.ask(decides, deadline)
  }

  async check_connect(next, connection, deadline) {
    const state = this.plugin.state(connection)
    if (!state.rate_conn) state.rate_conn = this.askLate(connection, deadline)
    const byHost = this.questionOf('rate_rcpt_host', this.hostOf(connection))
    const [connections, recipients] = await Promise.all([
      state.rate_conn,
      this.ask(byHost && { ...byHost, amount: 0 }, deadline),
    ])

    if (this.isOver(connection, 'rate_conn', connections)) {
      return this.plugin.penalize(connection, true, 'connection rate limit exceeded', next)
    }
    if (this.isOver(connection, 'rate_rcpt_host', recipients)) {
      return this.plugin.penalize(connection, false, 'recipient rate limit exceeded', next)
    }
    return next()
  }

  // Publishes what was answered, and that it is over, if it is.
  isOver(connection, name, answered) {
    if (!answered) return false
    const { asked, reply } = answered
    if (!reply || typeof reply.over !== 'boolean' || !Number.isInteger(reply.count)) {
      this.plugin.no_answer(connection, name)
      return false
    }
    const results = { [name]: `${asked.key}:${reply.count}:${asked.limit}/${asked.span}s` }
    this.plugin.publish(connection, reply.over ? { ...results, fail: name } : results)
    return reply.over
  }

  async check_rcpt(next, connection, recipient) {
    const sender = connection.transaction && connection.transaction.mail_from
    const isNull = Boolean(sender && sender.isNull && sender.isNull())
    const host = this.questionOf('rate_rcpt_host', this.hostOf(connection))
    const checks = [
      ['rate_rcpt_sender', isNull ? undefined : sender, 'rcpt rate limit exceeded'],
      ['rate_rcpt_null', isNull ? recipient : undefined, 'null recip rate limit'],
      ['rate_rcpt', recipient, 'rate limit exceeded'],
    ]
    const deadline = Date.now() + this.plugin.own.timeout

    if (host) this.plugin.daemon().tell(host)
    for (const [name, mail, text] of checks) {
      const asked = mail && this.questionOf(name, mailParts(mail))
      if (!asked) continue
      const answered = await this.ask(asked, deadline)
      if (this.isOver(connection, name, answered)) {
        return this.plugin.penalize(connection, false, text, next)
      }
    }
    return next()
  }
}

module.exports = { Rates }
