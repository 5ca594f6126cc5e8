-- SPDX-License-Identifier: BSD-2-Clause
--
-- Momentum's msys.audit_series, answered by tallygate: counters that a policy defines, in windows,
-- by address or by a text. docs/lua.md is its contract.

local connection = require("msys.connection")

local audit_series = {}

-- What this process has defined, by name: the type says what a key is, and a daemon that was
-- started anew may have to be told again.
local defined = {}

local function check_name(name)
  if type(name) ~= "string" or name == "" then
    error("a series has a name, a string, not a " .. type(name), 0)
  end
end

local function type_of(name)
  if defined[name] then
    return defined[name].type
  end
  local all = connection.answer(connection.handle():series_list())
  for _, each in ipairs(type(all) == "table" and all or {}) do
    if each.name == name then
      return each.type
    end
  end
  return "cidr" -- the daemon will say that it does not know the series
end

-- Asks, and if the daemon has forgotten a series that was defined here, once more. The monitor is
-- only named where the name alone would not do: a daemon that is told to add to a name and a
-- monitor defines what it does not know, by the key.
local function asked(name, method, ...)
  local handle = connection.handle()
  local definition = defined[name]
  local monitor = definition and definition.is_one_of_several and definition.monitor or nil
  local value, message, code = handle[method](handle, name, monitor, ...)
  if code == "unknown" and definition then
    handle:series_define(name, definition.type, definition.monitor, definition.persist)
    value, message, code = handle[method](handle, name, monitor, ...)
  end
  return connection.answer(value, message, code)
end

-- What `key` means in a series: an address, or for a count the block of "/24", of an accept
-- construct, or of the connecting client.
local function key_of(name, key, is_block)
  if key ~= nil and not connection.is_one(key) then
    key = tostring(key)
    if key:sub(1, 1) ~= "/" then
      return key
    end
  end
  if type_of(name) == "string" then
    if key == nil or connection.is_one(key) then
      error("the series '" .. name .. "' is one of strings: name a key", 0)
    end
    return key
  end
  if is_block then
    return connection.block(key)
  end
  if type(key) == "string" then
    error("'" .. key .. "' is no address to count", 0)
  end
  return connection.must(connection.handle():address_of(connection.address(key)))
end

-- Options may be the bare key: a text, a number, or an accept construct.
local function with_key(options)
  if type(options) ~= "table" or connection.is_one(options) then
    return { key = options }
  end
  return options
end

local function check_whole(value, what)
  if type(value) ~= "number" or value < 1 or value % 1 ~= 0 then
    error(what .. " is a whole number, 1 or more, and not " .. tostring(value), 0)
  end
end

-- kind: "cidr", "cidr_ipv6" or "string"; interval: seconds of a window.
audit_series.define = connection.public(function(name, kind, interval, num_windows, options)
  check_name(name)
  check_whole(interval, "interval")
  check_whole(num_windows, "num_windows")
  options = connection.check_options(options or {}, { "serialize", "replicate", "persist" })
  if options.replicate and options.replicate ~= "none" then
    connection.refuse_cluster("replicate = '" .. tostring(options.replicate) .. "'")
  end
  local definition = {
    type = kind,
    monitor = string.format("%d,%d", interval, num_windows),
    persist = options.persist and true or false,
  }
  local before = defined[name]
  definition.is_one_of_several = before
    and (before.is_one_of_several or before.monitor ~= definition.monitor)
  local done, message, code = connection.handle():series_define(name, definition.type,
    definition.monitor, definition.persist)
  if code ~= "wrong" then
    defined[name] = definition -- also one of which the daemon has yet to be told
  end
  connection.answer(done, message, code)
  return true
end)

audit_series.add = connection.public(function(name, options)
  check_name(name)
  options = connection.check_options(with_key(options), { "key", "count" })
  asked(name, "series_add", key_of(name, options.key, false), options.count or 1)
  return true
end)

audit_series.count = connection.public(function(name, options)
  check_name(name)
  options = connection.check_options(with_key(options), { "key", "startv", "endv" })
  return asked(name, "series_count", key_of(name, options.key, true), options.startv or 0,
    options.endv or 0)
end)

audit_series.remove_item = connection.public(function(name, key)
  check_name(name)
  asked(name, "series_remove_item", key_of(name, key, false))
  return true
end)

connection.namespace().audit_series = audit_series
return audit_series
