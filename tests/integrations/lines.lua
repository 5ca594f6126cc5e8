-- SPDX-License-Identifier: BSD-2-Clause
--
-- Runs each line of its input as Lua, and prints what it answers on one line: values, or "error"
-- and the error. A line that only does something prints "done".
local load_text = loadstring or load
for line in io.lines() do
  local work, mistake = load_text("return " .. line)
  if not work then
    work, mistake = load_text(line)
  end
  local answers = work and { pcall(work) } or { false, mistake }
  local texts = {}
  for index = 2, #answers do
    texts[#texts + 1] = tostring(answers[index])
  end
  if not answers[1] then
    table.insert(texts, 1, "error")
  elseif #texts == 0 then
    texts[1] = "done"
  end
  print(table.concat(texts, " "))
  io.flush()
end
