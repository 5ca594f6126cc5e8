-- SPDX-License-Identifier: BSD-2-Clause
--
-- Policies written for Momentum require this. tallygate counts connections and knows no message:
-- there is nothing in it.
local msys = require("msys.connection").namespace()
msys.extended = msys.extended or {}
msys.extended.message = msys.extended.message or {}
return msys.extended.message
