--- Settings: defaults, and what `setup()` changes of them.
local M = {}

---@class podium.Config
---@field cmd string[] Command that starts the language server.
---@field enabled boolean Attach to files in git repositories by itself.
---@field focus_ms integer Wait this long after a change of window before the server is told, in milliseconds.
---@field switch podium.SwitchConfig
---@field session podium.SessionConfig
---@field statusline podium.StatuslineConfig

---@class podium.SwitchConfig
---@field scope 'tab'|'window'|'global'|'newtab'|'none' Whose working directory a switch changes.
---@field same_file boolean Open the same relative file in the worktree that was switched to.
---@field after_create boolean Switch to a worktree that was just created.

---@class podium.SessionConfig
---@field split 'vertical'|'horizontal'|'tab'|'current' Where a session opens.
---@field winbar boolean Show the session's status in the window bar.
---@field provider string? Provider of new sessions; absent: the first usable one.

---@class podium.StatuslineConfig
---@field icons table<string, string> Text before the status, by state: free, mine, other, dead.

---@type podium.Config
local defaults = {
  cmd = { 'podium', 'lsp' },
  enabled = true,
  focus_ms = 100,
  switch = { scope = 'tab', same_file = true, after_create = true },
  session = { split = 'vertical', winbar = true, provider = nil },
  statusline = { icons = { free = '○ ', mine = '● ', other = '◆ ', dead = '✗ ' } },
}

local current = vim.deepcopy(defaults)

local function one_of(...)
  local allowed = { ... }
  return function(value)
    return vim.tbl_contains(allowed, value)
  end, 'one of ' .. table.concat(allowed, ', ')
end

---@param config podium.Config
local function check(config)
  vim.validate('cmd', config.cmd, function(cmd)
    return vim.islist(cmd) and type(cmd[1]) == 'string'
  end, 'list of strings')
  vim.validate('enabled', config.enabled, 'boolean')
  vim.validate('focus_ms', config.focus_ms, 'number')
  vim.validate('switch.scope', config.switch.scope, one_of('tab', 'window', 'global', 'newtab', 'none'))
  vim.validate('switch.same_file', config.switch.same_file, 'boolean')
  vim.validate('switch.after_create', config.switch.after_create, 'boolean')
  vim.validate('session.split', config.session.split, one_of('vertical', 'horizontal', 'tab', 'current'))
  vim.validate('session.winbar', config.session.winbar, 'boolean')
  vim.validate('session.provider', config.session.provider, 'string', true)
  vim.validate('statusline.icons', config.statusline.icons, 'table')
end

---@return podium.Config
function M.get()
  return current
end

--- Replaces the settings by the defaults with `opts` over them. Raises an error on a wrong value, and then
--- changes nothing.
---@param opts table?
function M.set(opts)
  vim.validate('opts', opts, 'table', true)
  local merged = vim.tbl_deep_extend('force', vim.deepcopy(defaults), opts or {})
  check(merged)
  current = merged
end

return M
