-- SPDX-License-Identifier: BSD-2-Clause
--
-- Whose connection a policy is asked about, and whom to ask. What msys.audit, msys.audit_series and
-- msys.extended.ac share; policies need not require it.
--
-- A connection is an address ("192.0.2.7"), or what Momentum calls an accept construct: a table or
-- a userdata with `remote_addr` ("192.0.2.7:40312") and, for questions about a listener,
-- `local_addr` ("198.51.100.25:25").

local tallygate = require("tallygate")

local connection = {}

-- By coroutine: a server that has one for each session may change between them at any time. The
-- main one's is everybody's who has none.
local current = setmetatable({}, { __mode = "k" })
local main = {}

local settings = { fail_open = false }
local handle
local failure_count, failure_last = 0, nil

local function key_of_coroutine()
  local running, is_main = coroutine.running()
  if running == nil or is_main then
    return main
  end
  return running
end

local function field(object, name)
  local kind = type(object)
  if kind ~= "table" and kind ~= "userdata" then
    return nil
  end
  local found, value = pcall(function() return object[name] end)
  return found and value or nil
end

-- Whether it is an accept construct, and no table of options.
function connection.is_one(object)
  return type(object) == "userdata" or field(object, "remote_addr") ~= nil
end

function connection.set(object)
  current[key_of_coroutine()] = object
end

function connection.get()
  return current[key_of_coroutine()] or current[main]
end

-- Calls work(...) with `object` as the connection, and puts back what was there before, whatever
-- happens.
function connection.during(object, work, ...)
  local key = key_of_coroutine()
  local before = current[key]
  current[key] = object
  local function finish(succeeded, ...)
    current[key] = before
    if not succeeded then
      error((...), 0)
    end
    return ...
  end
  return finish(pcall(work, ...))
end

-- The client's address as it was given: of `object`, or of the current connection.
function connection.address(object)
  object = object or connection.get()
  local address = type(object) == "string" and object or field(object, "remote_addr")
  if address == nil then
    error("there is no connecting address: name a CIDR, or tell whose connection it is "
      .. "with msys.audit.set_connecting_ip", 0)
  end
  return tostring(address)
end

function connection.listener(object)
  local listener = field(object, "local_addr")
  if listener == nil then
    error("this connection has no local_addr: its listener is not known", 0)
  end
  return tostring(listener)
end

-- The block that a CIDR means: "/24" and nothing are the connecting client's, and so is an accept
-- construct itself; all else is for the daemon to judge.
function connection.block(cidr, object)
  if connection.is_one(cidr) then
    cidr, object = nil, cidr
  end
  if cidr ~= nil and type(cidr) ~= "string" then
    error("a CIDR is a string such as '192.0.2.0/24', not a " .. type(cidr), 0)
  end
  if cidr == nil or cidr:sub(1, 1) == "/" then
    return connection.must(connection.handle():block_of(connection.address(object), cidr))
  end
  return cidr
end

local function opened(chosen)
  local new = tallygate.open(chosen.socket)
  if chosen.timeout_ms then
    new:set_timeout(chosen.timeout_ms)
  end
  return new
end

function connection.handle()
  handle = handle or opened(settings)
  return handle
end

-- socket: the control socket, if it is not $TALLYGATE_SOCKET's; timeout_ms: for a whole question;
-- fail_open: what cannot be asked is 0, and no error.
function connection.configure(options)
  local known = { socket = "string", timeout_ms = "number", fail_open = "boolean" }
  if type(options) ~= "table" then
    error("settings are a table, not a " .. type(options), 0)
  end
  for name, value in pairs(options) do
    if known[name] == nil then
      error("there is no setting '" .. tostring(name) .. "': expected socket, timeout_ms or "
        .. "fail_open", 0)
    elseif type(value) ~= known[name] then
      error("the setting " .. name .. " is a " .. known[name] .. ", not a " .. type(value), 0)
    end
  end
  local chosen = {}
  for name in pairs(known) do
    chosen[name] = settings[name]
    if options[name] ~= nil then
      chosen[name] = options[name]
    end
  end
  handle = opened(chosen) -- says what is wrong with the time before it is taken
  settings = chosen
end

-- How often the daemon could not be asked, and why the last time.
function connection.failures()
  return failure_count, failure_last
end

-- What is not there is an error.
function connection.must(value, message)
  if value == nil then
    error(message, 0)
  end
  return value
end

-- The number that was asked for. A daemon that is not there is 0 if that was chosen; a question
-- that is wrong is an error in any case.
function connection.answer(value, message, code)
  if value ~= nil then
    return value
  end
  if code == "unreachable" or code == "not permitted" or code == "failed" then
    failure_count, failure_last = failure_count + 1, message
    if settings.fail_open then
      return 0
    end
  end
  error(message, 0)
end

function connection.refuse_cluster(what)
  error("no cluster configured: " .. what .. " needs one", 0)
end

-- What Momentum knows about other nodes.
local cluster_services = { inbound_cidr = true, ECCluster = true, ECmmove2 = true }

-- Those of Momentum's own that may be configured. The daemon does not ask for capitals, but here a
-- name in others than Momentum's is unknown.
local momentum_services = { SMTP = true, Control = true, ECStream = true }

local function check_service(service)
  if type(service) ~= "string" then
    error("a service is a string such as 'SMTP', not a " .. type(service), 0)
  elseif cluster_services[service] then
    connection.refuse_cluster("the service " .. service)
  elseif service:find("%u") and not momentum_services[service] then
    error("there is no service '" .. service .. "': names are case sensitive", 0)
  end
end

-- Sessions open now from what `cidr` means to a service, SMTP if none is named.
function connection.sessions(cidr, service, object)
  service = service or "SMTP"
  check_service(service)
  return connection.answer(connection.handle():live({
    cidr = connection.block(cidr, object),
    service = service,
  }))
end

-- `options` as a table, whose keys are among `known`. Without, a misspelt one would go unnoticed.
function connection.check_options(options, known)
  if type(options) ~= "table" then
    error("options are a table, and not a " .. type(options), 0)
  end
  for name in pairs(options) do
    local is_known = false
    for _, each in ipairs(known) do
      is_known = is_known or name == each
    end
    if not is_known then
      error("there is no option '" .. tostring(name) .. "': expected one of "
        .. table.concat(known, ", "), 0)
    end
  end
  return options
end

-- A function of one result, whose errors, which carry no place, get that of its caller: the
-- policy's line.
function connection.public(work)
  return function(...)
    local succeeded, result = pcall(work, ...)
    if not succeeded then
      error(result, 2)
    end
    return result
  end
end

-- The global `msys`, as Momentum has it. One that is there already is kept.
function connection.namespace()
  if type(rawget(_G, "msys")) ~= "table" then
    rawset(_G, "msys", {})
  end
  return _G.msys
end

return connection
