-- Tests of the plugin against a mock server. From the repository's root:
--   nvim --headless --clean -u tests/e2e/neovim/init.lua -c 'luafile tests/e2e/neovim/unit.lua'
-- PODIUM_TEST_FILTER=<words> runs the tests whose name holds them.
local here = _G.PODIUM_TEST.folder
package.path = here .. '/?.lua;' .. package.path

local fixture = require('fixture')
local support = require('support')

local globals_before = {}
for name in pairs(_G) do
  globals_before[name] = true
end

local tests = {} ---@type { name: string, body: fun() }[]

for _, file in ipairs(vim.fn.glob(here .. '/spec/*.lua', true, true)) do
  assert(loadfile(file))()(function(name, body)
    tests[#tests + 1] = { name = name, body = body }
  end)
end

local function leaked_globals()
  local leaked = {}
  for name in pairs(_G) do
    if not globals_before[name] then
      leaked[#leaked + 1] = tostring(name)
    end
  end
  return leaked
end

support.main(function()
  local filter = vim.env.PODIUM_TEST_FILTER
  local failed, ran = {}, 0
  for _, case in ipairs(tests) do
    if not filter or case.name:find(filter, 1, true) then
      ran = ran + 1
      fixture.set_up()
      local began = vim.uv.hrtime()
      local ok, problem = xpcall(case.body, function(err)
        return debug.traceback(tostring(err), 2)
      end)
      io.stdout:write(('%s %s (%.0f ms)\n'):format(ok and 'ok  ' or 'FAIL', case.name, (vim.uv.hrtime() - began) / 1e6))
      if not ok then
        failed[#failed + 1] = case.name
        io.stdout:write(problem .. '\n')
      end
      fixture.clean_up()
    end
  end
  support.equal(leaked_globals(), {}, 'globals were left behind')
  io.stdout:write(('%d passed, %d failed\n'):format(ran - #failed, #failed))
  assert(ran > 0, 'no test matches')
  assert(#failed == 0, 'failed: ' .. table.concat(failed, '; '))
end)
