// SPDX-License-Identifier: BSD-2-Clause
//
// What karma would know, by the last number of an address.
'use strict'

const HISTORIES = { 61: 5, 62: -5, 63: 0 }

exports.hook_connect_init = function (next, connection) {
  const history = HISTORIES[connection.remote.ip.split('.').pop()]
  connection.results.add(this, history === undefined ? {} : { history })
  next()
}
