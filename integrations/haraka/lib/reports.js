// SPDX-License-Identifier: BSD-2-Clause
//
// What the daemon's ledger is told: recipients that were answered, what was rejected, and
// messages that were received. Sums, at the end of each transaction and of the connection.
'use strict'

// Denials in these hooks are of the whole session or sender; those of recipients and messages
// are in Haraka's own counts.
const DENIAL_HOOKS = ['connect', 'lookup_rdns', 'helo', 'ehlo', 'mail']

const NONE = { accept: 0, tempfail: 0, reject: 0 }

class Reports {
  constructor(plugin) {
    this.plugin = plugin
  }

  // Of the deny hook: [code, text, plugin, function, parameters, hook].
  note_denial(connection, params) {
    const hook = Array.isArray(params) ? params[5] : undefined
    if (!connection.remote || !DENIAL_HOOKS.includes(hook)) return
    const state = this.plugin.state(connection)
    state.denials = (state.denials || 0) + 1
  }

  totals(connection) {
    const recipients = connection.rcpt_count || NONE
    const messages = connection.msg_count || NONE
    const refused = (count) => count.tempfail + count.reject
    const denials = this.plugin.state(connection).denials || 0
    return {
      recipients: recipients.accept + refused(recipients),
      rejections: refused(recipients) + refused(messages) + denials,
      receptions: messages.accept,
    }
  }

  // Tells what came since the last time.
  flush(connection) {
    const state = this.plugin.state(connection)
    const told = state.told || {}
    const totals = this.totals(connection)
    if (state.address === undefined) return
    for (const [event, total] of Object.entries(totals)) {
      const amount = total - (told[event] || 0)
      if (!(amount > 0)) continue
      this.plugin.daemon().tell({
        do: 'report',
        event,
        address: state.address,
        service: this.plugin.own.service,
        amount,
      })
    }
    state.told = totals
  }
}

module.exports = { Reports }
