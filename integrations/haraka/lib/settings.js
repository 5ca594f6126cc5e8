// SPDX-License-Identifier: BSD-2-Clause
//
// limit.ini, as haraka-plugin-limit and the plugin of Haraka's older versions have it, to plain
// settings. What cannot be understood limits nothing, and is a sentence for the log.
'use strict'

const { LIMIT_MAX, parseRate } = require('./rate')
const { normalKey } = require('./lookup')

// What a section holds that leaves it out: the values of the file that haraka-plugin-limit brings.
const SHIPPED = {
  tarpit_delay: 3,
  concurrency: { max: 3 },
  unrecognized_commands: { max: 10 },
  errors: { max: 10 },
  concurrency_history: { plugin: 'karma', good: 10, bad: 1, none: 2 },
  recipients_history: { plugin: 'karma', good: 50, bad: 1, none: 5 },
  rate_conn_history: { plugin: 'karma', good: '15/1m', bad: '1/15m', none: '1/5m' },
  rate_conn: { 127: 0, default: 5 },
  rate_rcpt_host: { 127: 0, default: '50/5m' },
  rate_rcpt_sender: { 127: 0, default: '50/5m' },
  rate_rcpt: { 127: 0, default: '50/5m' },
  rate_rcpt_null: { default: 1 },
  rate_outbound: {},
  outbound: { delay: 30 },
}
// The same of the older plugin, where history is a key of the section itself.
const OLD_HISTORY = {
  concurrency: { good: 5, bad: 1, none: 3 },
  recipients: { good: 50, bad: 2, none: 15 },
}
const OLD_DELAY = 3

const RATES = [
  'rate_conn',
  'rate_rcpt_host',
  'rate_rcpt_sender',
  'rate_rcpt',
  'rate_rcpt_null',
  'rate_outbound',
]
const HISTORIES = ['concurrency_history', 'recipients_history', 'rate_conn_history']
const NEW_SECTIONS = [...RATES, ...HISTORIES, 'outbound', 'redis']
const HISTORY_KEYS = ['history', 'history_good', 'history_bad', 'history_none']
const KNOWN = {
  main: ['tarpit_delay'],
  concurrency: ['enabled', 'max', 'disconnect_delay', ...HISTORY_KEYS],
  recipients: ['enabled', 'max', 'max_relaying', ...HISTORY_KEYS],
  unrecognized_commands: ['enabled', 'max'],
  errors: ['enabled', 'max'],
}
const NO_MEANING = {
  redis: 'counts are kept by tallygate and not by Redis',
  storage: 'counts are kept by tallygate, for all processes',
  'concurrency.reset': 'a count is the sessions that are open, and has no drift to be reset',
}
const TRUTH = /^(?:true|yes|ok|enabled|on|1)$/i

const has = (object, key) => Object.prototype.hasOwnProperty.call(object, key)

class Reader {
  constructor(ini) {
    this.ini = ini
    this.lines = []
    this.isNew = Object.keys(ini).some(
      (name) => NEW_SECTIONS.includes(name) || has(ini[name] || {}, 'enabled'),
    )
  }

  section(name) {
    return this.ini[name] || {}
  }

  note(place, what) {
    this.lines.push(`limit.ini ${place}: ${what}`)
  }

  noteBad(name, key, expected) {
    const value = JSON.stringify(this.section(name)[key])
    this.note(`[${name}] ${key}`, `is ${value}: expected ${expected}; it limits nothing`)
  }

  // A limit that is no rate: 0 is none.
  number(name, key, fallback) {
    const section = this.section(name)
    if (!has(section, key)) return fallback
    const value = section[key]
    if (/^\d{1,15}$/.test(String(value))) return Math.min(Number(value), LIMIT_MAX)
    this.noteBad(name, key, 'a whole number')
    return 0
  }

  rate(name, key, fallback) {
    const section = this.section(name)
    if (!has(section, key)) return fallback === undefined ? undefined : parseRate(fallback)
    const rate = parseRate(section[key])
    if (!rate) this.noteBad(name, key, 'a limit such as 5, 50/5m or 1/1d')
    return rate
  }

  seconds(name, key, fallback) {
    const section = this.section(name)
    if (!has(section, key)) return fallback
    if (/^\d{1,6}(\.\d{1,6})?$/.test(String(section[key]))) return Number(section[key])
    const value = JSON.stringify(section[key])
    this.note(`[${name}] ${key}`, `is ${value}: expected seconds; ${fallback} are taken`)
    return fallback
  }

  // On, if it says so; where it says nothing, if it has a maximum. But not what stands in the
  // file that haraka-plugin-limit brings, where nothing is on until it is enabled.
  isOn(name) {
    const section = this.section(name)
    if (has(section, 'enabled')) return TRUTH.test(String(section.enabled))
    if (!has(section, 'max')) return false
    if (this.isNew && SHIPPED[name] && SHIPPED[name].max === section.max) {
      this.note(`[${name}]`, 'is off: it has the values of the default file, and no enabled')
      return false
    }
    return true
  }

  readLimit(name) {
    if (!this.isOn(name)) return null
    const max = this.number(name, 'max', (SHIPPED[name] || {}).max || 0)
    return { max, history: this.readHistory(name) }
  }

  // Of a section of its own, or of the older plugin's keys.
  readHistory(name) {
    const own = `${name}_history`
    const section = this.section(own)
    if (has(section, 'enabled') && TRUTH.test(String(section.enabled))) {
      return this.readTiers(own, '', section.plugin || SHIPPED[own].plugin, SHIPPED[own])
    }
    const old = OLD_HISTORY[name]
    const plugin = this.section(name).history
    if (!old || !plugin || has(section, 'enabled')) return null
    return this.readTiers(name, 'history_', plugin, old)
  }

  readTiers(name, prefix, plugin, fallbacks) {
    const history = { plugin: String(plugin) }
    const isRate = name === 'rate_conn_history'
    for (const tier of ['good', 'bad', 'none']) {
      history[tier] = isRate
        ? this.rate(name, tier, fallbacks[tier])
        : this.number(name, prefix + tier, fallbacks[tier])
    }
    return history
  }

  readRates(name) {
    const section = this.section(name)
    if (!has(section, 'enabled') || !TRUTH.test(String(section.enabled))) return null
    const rates = new Map()
    for (const [key, value] of Object.entries(SHIPPED[name])) {
      if (key !== 'default') rates.set(key, parseRate(value))
    }
    for (const key of Object.keys(section)) {
      if (key === 'enabled' || key === 'default') continue
      rates.set(normalKey(key), this.rate(name, key))
    }
    const fallback = this.rate(name, 'default', SHIPPED[name].default)
    const history = name === 'rate_conn' ? this.readHistory(name) : null
    const hasNames = [...rates.keys()].some((key) => !/^[\d.]+$/.test(key) && !key.includes(':'))
    return { rates, fallback, history, hasNames }
  }

  readOutbound() {
    const section = this.section('outbound')
    if (!TRUTH.test(String(section.enabled))) return null
    const domains = new Map()
    for (const key of Object.keys(section)) {
      if (key === 'enabled' || key === 'delay') continue
      domains.set(key.toLowerCase(), this.number('outbound', key))
    }
    return { delay: this.seconds('outbound', 'delay', SHIPPED.outbound.delay), domains }
  }

  // Seconds before a penalty, and those of the concurrency limit's own.
  readDelays() {
    const tarpit = this.seconds('main', 'tarpit_delay', this.isNew ? SHIPPED.tarpit_delay : 0)
    const concurrency = this.section('concurrency')
    const isGiven = has(this.section('main'), 'tarpit_delay') || this.isNew
    if (has(concurrency, 'disconnect_delay') || !isGiven) {
      return { tarpit, disconnect: this.seconds('concurrency', 'disconnect_delay', OLD_DELAY) }
    }
    return { tarpit, disconnect: tarpit }
  }

  noteUnknown() {
    const open = [...RATES, ...HISTORIES, 'outbound']
    for (const name of Object.keys(this.ini)) {
      if (has(NO_MEANING, name)) {
        this.note(`[${name}]`, `has no meaning any more: ${NO_MEANING[name]}`)
        continue
      }
      if (open.includes(name)) continue
      if (!has(KNOWN, name)) {
        this.note(`[${name}]`, 'is no section that is known')
        continue
      }
      for (const key of Object.keys(this.section(name))) this.noteKey(name, key)
    }
  }

  noteKey(name, key) {
    const place = `${name}.${key}`
    if (has(NO_MEANING, place)) {
      this.note(`[${name}] ${key}`, `has no meaning any more: ${NO_MEANING[place]}`)
    } else if (!KNOWN[name].includes(key)) {
      this.note(`[${name}] ${key}`, 'is no key that is known')
    }
  }
}

// `ini` is what haraka-config makes of limit.ini, without declared booleans: those would hide
// which keys the file has.
function readSettings(ini) {
  const reader = new Reader(ini || {})
  const settings = {
    delays: reader.readDelays(),
    concurrency: reader.readLimit('concurrency'),
    recipients: reader.readLimit('recipients'),
    unrecognized_commands: reader.readLimit('unrecognized_commands'),
    errors: reader.readLimit('errors'),
    outbound: reader.readOutbound(),
  }
  if (settings.recipients) {
    settings.recipients.max_relaying = reader.number('recipients', 'max_relaying', 0)
  }
  for (const name of RATES) settings[name] = reader.readRates(name)
  reader.noteUnknown()
  settings.lines = reader.lines
  return settings
}

module.exports = { readSettings }
