// SPDX-License-Identifier: BSD-2-Clause
//
// How many sessions are open: of an address, and of the networks around it.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const limits = require('./limits')

// Until it is asked again whether a burst, which the gate counts at once, has come to Haraka.
const BURST_MS = 50

// The whole numbers of an answer; none if that is not what it holds.
function numbersOf(answer, name) {
  const numbers = answer && answer[name]
  return Array.isArray(numbers) && numbers.every(Number.isInteger) ? numbers : []
}

class Concurrency {
  constructor(plugin) {
    this.plugin = plugin
  }

  // Nobody waits: the answer is there by the time that the name of the client was looked up.
  open(connection, address) {
    const { plugin } = this
    const state = plugin.state(connection)
    state.address = address
    state.session = state.session || connection.uuid // which XCLIENT changes
    state.prefixes = limits.prefixesOf(plugin.own.prefixes, address)
    state.lengths = limits.lengthsOf(address, state.prefixes)
    state.live = plugin.daemon().open(state.session, { address }, { prefixes: state.lengths })
  }

  close(connection) {
    const { session } = this.plugin.state(connection)
    if (session !== undefined) this.plugin.daemon().close(session)
  }

  // Answers whether the connection may go on; if not, it has called next.
  async check(next, connection, deadline) {
    const { plugin } = this
    const answer = await plugin.state(connection).live
    if (answer && answer.allowed === true) plugin.state(connection).is_allowed = true
    if (plugin.is_allowed(connection)) return true

    const max = this.maximum(connection)
    const counts = await this.counts(connection, answer, max, deadline)
    return this.checkAddress(next, connection, counts[0], max) &&
      this.checkNetworks(next, connection, counts)
  }

  maximum(connection) {
    const { concurrency } = this.plugin.settings
    return concurrency ? this.plugin.maximum(concurrency, connection) : 0
  }

  // Of each length. Where the gate counts, each of a burst is told of all the others, and all of
  // them would be refused. So who would be is counted as he came among Haraka's own sessions, and
  // to them what the gate sees beyond these, once the burst has come to Haraka. Who came too late
  // in any case waits as long: gone from Haraka, and not yet from the gate, he would be another's.
  async counts(connection, answer, max, deadline) {
    const live = numbersOf(answer, 'live')
    const rank = numbersOf(answer, 'told')
    const isOver = (counts) => (max && counts[0] > max) || this.overNetwork(connection, counts)
    if (rank.length !== live.length || !isOver(live)) return live
    if (isOver(rank)) {
      await sleep(Math.max(deadline - Date.now(), 0))
      return live
    }
    let counts = rank
    do {
      await sleep(BURST_MS)
      const others = await this.others(connection, deadline)
      counts = rank.map((each, index) => each + (others[index] || 0))
    } while (isOver(counts) && Date.now() + 2 * BURST_MS < deadline)
    return counts
  }

  // What the gate sees and nobody has told, of each length; nothing if there is no answer.
  async others(connection, deadline) {
    const { address, lengths } = this.plugin.state(connection)
    const question = { do: 'live', address, prefixes: lengths }
    const answer = await this.plugin.daemon().ask(question, deadline)
    const told = numbersOf(answer, 'told')
    return numbersOf(answer, 'live').map((each, index) => Math.max(each - told[index], 0))
  }

  overNetwork(connection, counts) {
    const { prefixes, lengths } = this.plugin.state(connection)
    return prefixes.find((each) => counts[lengths.indexOf(each.bits)] > each.max)
  }

  checkAddress(next, connection, count, max) {
    const { plugin } = this
    if (!max) return true
    if (count === undefined) {
      plugin.no_answer(connection, 'concurrency')
      return true
    }
    const results = { concurrent_count: count, concurrent: `${count}/${max}` }
    if (count <= max) {
      plugin.publish(connection, results)
      return true
    }
    plugin.publish(connection, { ...results, fail: 'concurrency.max' })
    this.refuse(next, connection, 'Too many concurrent connections')
    return false
  }

  checkNetworks(next, connection, counts) {
    const over = this.overNetwork(connection, counts)
    if (!over) return true
    this.plugin.publish(connection, { fail: 'concurrency.prefix', concurrency_prefix: over.key })
    this.refuse(next, connection, 'Too many concurrent connections from your network')
    return false
  }

  refuse(next, connection, text) {
    this.plugin.penalize(connection, true, text, next, this.plugin.settings.delays.disconnect)
  }
}

module.exports = { Concurrency }
