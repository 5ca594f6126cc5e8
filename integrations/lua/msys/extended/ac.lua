-- SPDX-License-Identifier: BSD-2-Clause
--
-- Momentum's accept construct, as far as it counts: an object for a connection, with the methods
-- that policies call on it. docs/lua.md is its contract.

local connection = require("msys.connection")

local ac = {}
local methods = {}

-- Without arguments: sessions open now from this client to the listener that it connected to. Else
-- those from `cidr` to a service, SMTP if none is named.
methods.inbound_session_count = connection.public(function(self, cidr, service)
  if cidr ~= nil or service ~= nil then
    return connection.sessions(cidr, service, self)
  end
  return connection.answer(connection.handle():live({
    cidr = connection.block(nil, self),
    listener = connection.listener(self),
  }))
end)

-- As shipped policies call it.
methods.pbp_inbound_session_count_service = connection.public(function(self, service, cidr)
  return connection.sessions(cidr, service, self)
end)

-- remote_addr: "192.0.2.7:40312" or "192.0.2.7"; local_addr: "198.51.100.25:25". All other fields
-- are the caller's.
function ac.new(fields)
  assert(type(fields) == "table" and fields.remote_addr, "a connection has a remote_addr")
  return setmetatable(fields, { __index = methods })
end

local msys = connection.namespace()
msys.extended = msys.extended or {}
msys.extended.ac = ac
return ac
