--- Podium in Neovim. `require('podium').setup(opts)` is optional.
local M = {}

--- Changes settings; see `:help podium-settings`.
---@param opts table?
function M.setup(opts)
  require('podium.config').set(opts)
  -- An empty change makes Neovim read lsp/podium.lua again, which takes `cmd` from the settings.
  vim.lsp.config('podium', {})
end

--- Claim status of the current window's worktree, ready to show; empty where there is none. Never waits.
---@return string
function M.statusline()
  return require('podium.status').text()
end

--- The same as data: `{ state, text, worktree, agentId, since, sessions }`, or nil.
---@param buf integer?
---@return podium.StatusLine?
function M.status(buf)
  return require('podium.status').get(buf)
end

--- Sends `podium/<method>` of the protocol to the server, and starts it where needed.
---@param method string
---@param params table
---@param callback fun(err: podium.Error?, answer: table?)
function M.request(method, params, callback)
  require('podium.server').request(method, params, callback)
end

return M
