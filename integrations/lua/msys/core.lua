-- SPDX-License-Identifier: BSD-2-Clause
--
-- As much of Momentum's msys.core as a counting policy needs to be loaded and called by another
-- server: what hooks answer, msys.registerModule, and msys.callHook, which a server calls. What the
-- server itself has put there is kept. docs/lua.md is its contract.

local connection = require("msys.connection")

local msys = connection.namespace()
local core = msys.core or {}
local modules = {}

core.VALIDATE_CONT = core.VALIDATE_CONT or 0
core.VALIDATE_DONE = core.VALIDATE_DONE or 1

msys.registerModule = msys.registerModule or function(name, module)
  modules[#modules + 1] = { name = name, module = module }
  if module.init then
    module:init()
  end
end

-- Calls `hook` of each module that has it, in the order in which they were registered, until one
-- answers something else than VALIDATE_CONT, and answers that. `of` is the connection that it is
-- about; the rest goes to the hook.
msys.callHook = msys.callHook or function(of, hook, ...)
  for _, each in ipairs(modules) do
    local work = each.module[hook]
    if work then
      local answer = connection.during(of, work, each.module, ...)
      if answer ~= nil and answer ~= core.VALIDATE_CONT then
        return answer, each.name
      end
    end
  end
  return core.VALIDATE_CONT
end

msys.core = core
return core
