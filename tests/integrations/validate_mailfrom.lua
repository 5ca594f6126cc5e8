-- SPDX-License-Identifier: BSD-2-Clause
--
-- The module of the specification, and one line that lets the test see what it saw.
require("msys.core");
require("msys.audit");
require("msys.extended.message");

local mod = {};

function mod:validate_mailfrom(str, ac, vctx)
  local conn = msys.audit.connections("60,1");
  local rcpt = msys.audit.receptions("60,1");
  local rejn = msys.audit.rejections("60,1");
  seen = { conn = conn, rcpt = rcpt, rejn = rejn };
  return msys.core.VALIDATE_DONE;
end

msys.registerModule("validate_mailfrom", mod);
