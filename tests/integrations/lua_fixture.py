# SPDX-License-Identifier: BSD-2-Clause
"""Momentum's questions in Lua. Rows are a line of Lua and what it answers; the numbers in their
names are those of the acceptance cases."""
import pathlib
import shutil

from fixture import BUILD, TREE, LedgerTest, Speaker

LINES = pathlib.Path(__file__).parent / "lines.lua"
INTERPRETERS = {"lua5.1": "5.1", "luajit": "5.1", "lua5.2": "5.2", "lua5.3": "5.3",
                "lua5.4": "5.4"}
AUDIT = 'audit, series = require("msys.audit"), require("msys.audit_series")'


class LuaTest(LedgerTest):
    interpreter = ""

    def lua(self, interpreter):
        version = INTERPRETERS[interpreter]
        speaker = Speaker(interpreter, LINES, TALLYGATE_SOCKET=str(self.socket),
                          LUA_PATH=f"{TREE}/integrations/lua/?.lua",
                          LUA_CPATH=f"{BUILD}/lib/lua/{version}/?.so")
        self.addCleanup(speaker.end)
        self.assertEqual(speaker.say(AUDIT), "done")
        return speaker

    def check(self, speaker, rows):
        for name, line, wanted in rows:
            with self.subTest(f"{name}, {self.interpreter}", line=line):
                answer = speaker.say(line)
                if wanted.startswith("error "):
                    self.assertTrue(answer.startswith("error "), answer)
                    self.assertIn(wanted.removeprefix("error "), answer)
                else:
                    self.assertEqual(answer, wanted)

    def each_lua(self):
        """Each interpreter that is here; the three that must be are no matter of luck."""
        for interpreter in INTERPRETERS:
            module = BUILD / f"lib/lua/{INTERPRETERS[interpreter]}/tallygate.so"
            must = interpreter in ("lua5.1", "luajit", "lua5.4")
            if must or (shutil.which(interpreter) and module.exists()):
                self.ledger.end()
                self.start_ledger()
                self.interpreter = interpreter
                yield self.lua(interpreter)
