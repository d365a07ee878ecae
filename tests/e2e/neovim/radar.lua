-- Opens a file of one worktree and sees which line another one changes too. Run as drive.lua is, with
--   PODIUM_E2E_FILE    the file to open, absolute
--   PODIUM_E2E_OTHER   the same file in the other worktree, which changes the same line
--   PODIUM_E2E_TEXT    what the other one is to hold again, so that nothing conflicts any more
--   PODIUM_E2E_OUT     where the result is written, as JSON
vim.env.PODIUM_TEST_TIMEOUT_MS = vim.env.PODIUM_TEST_TIMEOUT_MS or '60000'
package.path = _G.PODIUM_TEST.folder .. '/?.lua;' .. package.path
local support = require('support')

---@return vim.Diagnostic[]
local function of_radar()
  return vim.tbl_filter(function(diagnostic)
    return diagnostic.source == 'podium' and diagnostic.code == 'radar'
  end, vim.diagnostic.get(0))
end

support.main(function()
  vim.cmd.edit(vim.fn.fnameescape(assert(vim.env.PODIUM_E2E_FILE)))
  local shown = support.wait('the line that both change', function()
    local found = of_radar()
    return #found == 1 and found[1]
  end)
  vim.fn.writefile(vim.split(assert(vim.env.PODIUM_E2E_TEXT), '\n'), assert(vim.env.PODIUM_E2E_OTHER), 'b')
  support.wait('the line to be clear', function()
    return #of_radar() == 0
  end)
  local result = { line = shown.lnum, message = shown.message, severity = shown.severity }
  vim.fn.writefile({ vim.json.encode(result) }, assert(vim.env.PODIUM_E2E_OUT))
end)
