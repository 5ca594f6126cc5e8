// SPDX-License-Identifier: BSD-2-Clause
//
// Stands behind the plugin that is tested: takes every recipient and every message, and knows
// names without asking anybody.
'use strict'

const HOSTS = { '192.0.2.50': 'mail.example.com' }

exports.hook_lookup_rdns = function (next, connection) {
  next(OK, HOSTS[connection.remote.ip] || 'NXDOMAIN')
}

exports.hook_rcpt = function (next, connection, params) {
  if (params[0].host === 'relay.example') connection.relaying = true
  next(params[0].user === 'refused' ? DENY : OK)
}

exports.hook_queue = function (next) {
  next(OK)
}

exports.hook_get_mx = function (next) {
  next(OK, '198.51.100.25:2526')
}
