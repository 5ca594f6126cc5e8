-- SPDX-License-Identifier: BSD-2-Clause
--
-- Momentum's msys.audit, answered by tallygate: how many connections, receptions and rejections of
-- a block there were in windows of a monitor, and how many sessions are open now. docs/lua.md is
-- its contract.

local connection = require("msys.connection")

local audit = {}

local function count_of(event)
  return function(monitor, options)
    if type(monitor) ~= "string" then
      error("a monitor is a string such as '60,1', not a " .. type(monitor), 0)
    end
    if type(options) ~= "table" or connection.is_one(options) then
      options = { cidr = options }
    end
    connection.check_options(options, { "startv", "endv", "cidr", "cluster" })
    if options.cluster then
      connection.refuse_cluster("the option cluster")
    end
    return connection.answer(connection.handle():count({
      event = event,
      monitor = monitor,
      cidr = connection.block(options.cidr),
      start = options.startv or 0,
      ["end"] = options.endv or 0,
    }))
  end
end

audit.connections = connection.public(count_of("connections"))
audit.receptions = connection.public(count_of("receptions"))
audit.rejections = connection.public(count_of("rejections"))

-- Sessions open now from `cidr` ("/24", "/32": the connecting client's) to a service.
audit.inbound_session_count = connection.public(function(cidr, service)
  return connection.sessions(cidr, service)
end)

-- Beyond Momentum, where the server tells: whose connection it is, and whom to ask.
audit.set_connecting_ip = connection.set
audit.with_connection = connection.during
audit.configure = connection.public(connection.configure)
audit.failures = connection.failures

connection.namespace().audit = audit
return audit
