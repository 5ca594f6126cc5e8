// SPDX-License-Identifier: BSD-2-Clause
//
// "50/5m": what limit.ini writes for a rate.
'use strict'

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 }
const SPAN_DEFAULT = 60
const SPAN_MAX = 366 * 86400
const LIMIT_MAX = 1000000000

// A limit and the seconds it is for; a limit of 0 is none. Nothing: this is not how a rate is
// written.
function parseRate(value) {
  const match = /^(\d{1,15})(?:\/(\d{1,15})([smhd])?)?$/i.exec(String(value))
  if (!match) return undefined

  const limit = Math.min(Number(match[1]), LIMIT_MAX)
  const unit = match[3] === undefined ? 1 : UNITS[match[3].toLowerCase()]
  const span = match[2] === undefined ? SPAN_DEFAULT : Number(match[2]) * unit
  if (span < 1 || span > SPAN_MAX) return undefined
  return { limit, span }
}

module.exports = { parseRate, LIMIT_MAX }
