// SPDX-License-Identifier: BSD-2-Clause
//
// Deliveries: how many to a domain at a time, and how many in a span.
'use strict'

const constants = require('haraka-constants')
const { find, nameParts } = require('./lookup')

function domainOf(hmail) {
  const domain = (hmail && hmail.todo && hmail.todo.domain) || (hmail && hmail.domain)
  return domain ? String(domain).toLowerCase() : undefined
}

class Outbound {
  constructor(plugin) {
    this.plugin = plugin
    this.sessions = new WeakMap() // of a delivery that is under way
    this.nextSession = 1
  }

  async begin(next, hmail) {
    const domain = domainOf(hmail)
    if (!domain) return next()

    const deadline = Date.now() + this.plugin.own.timeout
    this.end(hmail) // one that is tried again
    const delay = (await this.open(hmail, domain)) || (await this.rate(hmail, domain, deadline))
    return delay ? next(constants.DELAY || constants.delay, delay) : next()
  }

  // Seconds to wait, if too many are under way.
  async open(hmail, domain) {
    const { outbound } = this.plugin.settings
    if (!outbound) return 0

    const daemon = this.plugin.daemon()
    const session = `outbound ${this.nextSession}`
    const max = outbound.domains.get(domain)
    this.nextSession += 1
    this.sessions.set(hmail, session)
    this.endWithAttempt(hmail)
    if (!max) {
      daemon.open(session, { domain })
      return 0
    }
    const answer = await daemon.open(session, { domain }, { max })
    if (answer && answer.opened === false) {
      this.end(hmail)
      return outbound.delay || 30
    }
    // It is under way now, whatever the daemon would have said.
    if (!answer && this.sessions.get(hmail) === session) daemon.open(session, { domain })
    return 0
  }

  async rate(hmail, domain, deadline) {
    const section = this.plugin.settings.rate_outbound
    const found = section && find(section, nameParts(domain))
    if (!found || !found.rate || found.rate.limit === 0) return 0

    const answer = await this.plugin.daemon().ask(
      {
        do: 'rate',
        rate: 'rate_outbound',
        key: found.key,
        limit: found.rate.limit,
        span: found.rate.span,
        charge: 'conforming',
      },
      deadline,
    )
    if (!answer || answer.over !== true) return 0
    this.end(hmail)
    const wait = Number(answer.retry_ms)
    return wait > 0 ? Math.ceil(wait / 1000) : found.rate.span
  }

  // No hook tells of a mail that Haraka drops for two others, because some of its recipients are
  // tried again and the rest is bounced. But whatever becomes of an attempt, Haraka's queue is told.
  endWithAttempt(hmail) {
    const { next_cb: tellQueue } = hmail
    if (typeof tellQueue !== 'function') return
    hmail.next_cb = (...results) => {
      hmail.next_cb = tellQueue
      this.end(hmail)
      return tellQueue.apply(hmail, results)
    }
  }

  end(hmail) {
    const session = hmail && this.sessions.get(hmail)
    if (!session) return
    this.sessions.delete(hmail)
    this.plugin.daemon().close(session)
  }
}

module.exports = { Outbound }
