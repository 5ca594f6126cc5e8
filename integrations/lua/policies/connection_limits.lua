-- SPDX-License-Identifier: BSD-2-Clause
--
-- A policy in the manner of the one that Momentum ships, with its limits: how many connections a
-- client and his neighbours may hold, and how many they may make in an hour. A server calls
--
--     msys.callHook(connection, "validate_connect", connection, vctx)
--
-- with a vctx that has vctx:disconnect(code, text). tests/integrations runs it.

require("msys.core")
require("msys.audit")
require("msys.audit_series")
local whitelists = require("msys.cidr")

local policy = {}

-- A count over the limit is one too many: ten pass, the eleventh does not. The connection that is
-- asked about is counted.
policy.limits = {
  concurrent = {
    { mask = "/32", most = 10, honor_whitelist = true },
    { mask = "/24", most = 100, honor_whitelist = true },
    { mask = "/0", most = 20000, honor_whitelist = false },
  },
  rate = {
    { mask = "/32", most = 100 },
    { mask = "/24", most = 1000 },
  },
}
policy.whitelist = { "127.0.0.0/8", "::1/128" }

function policy:init()
  msys.audit_series.define("connections", "cidr", 900, 4, { persist = true })
  msys.audit_series.define("connections_ipv6", "cidr_ipv6", 900, 4, { persist = true })
end

local function refuse(vctx, text)
  vctx:disconnect(421, text)
  return msys.core.VALIDATE_DONE
end

local function series_of(address)
  return address:find(":") and "connections_ipv6" or "connections"
end

function policy:validate_connect(accept, vctx)
  local address = whitelists.address(accept)
  local is_whitelisted = whitelists.holds(self.whitelist, address)

  for _, limit in ipairs(self.limits.concurrent) do
    if not (is_whitelisted and limit.honor_whitelist)
      and msys.audit.inbound_session_count(limit.mask, "SMTP") > limit.most then
      return refuse(vctx, "connection limit exceeded")
    end
  end
  if is_whitelisted then
    return msys.core.VALIDATE_CONT
  end

  local series = series_of(address)
  msys.audit_series.add(series)
  for _, limit in ipairs(self.limits.rate) do
    local made = msys.audit_series.count(series, { key = limit.mask, startv = 0, endv = 3 })
    if made > limit.most then
      return refuse(vctx, "connection rate limit exceeded")
    end
  end
  return msys.core.VALIDATE_CONT
end

msys.registerModule("connection_limits", policy)
return policy
