-- SPDX-License-Identifier: BSD-2-Clause
--
-- Lists of blocks that a policy keeps itself. Beyond Momentum, whose msys.cidr asks a database.

local connection = require("msys.connection")

local cidr = {}

-- The client's address alone, without brackets and port: of `object`, or of the connection.
cidr.address = connection.public(function(object)
  return connection.must(connection.handle():address_of(connection.address(object)))
end)

-- Whether one of `blocks` holds the address. Asks nobody.
cidr.holds = connection.public(function(blocks, address)
  address = connection.address(address)
  for _, block in ipairs(blocks) do
    local is_inside, message = connection.handle():is_inside(address, block)
    if connection.must(is_inside, message) then
      return true
    end
  end
  return false
end)

connection.namespace().cidr = connection.namespace().cidr or cidr
return cidr
