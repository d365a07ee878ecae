--- Whose worktree this is: what the status line shows, cached for each worktree, never waited for.
local config = require('podium.config')
local server = require('podium.server')

local M = {}

local REFRESH_MS = 100

-- How often the age of a claim, which is part of the text, is looked at again.
local AGE_MS = 60000

---@class podium.StatusLine
---@field state 'free'|'mine'|'other'|'dead'|'off'
---@field text string
---@field worktree string?
---@field agentId string?
---@field since string?
---@field sessions integer

local by_root = {} ---@type table<string, podium.StatusLine>
local roots = {} ---@type table<integer, string|false>
local focused ---@type string?
local focused_uri ---@type string?
local told ---@type string?  URI of the last podium/didFocus
local focus_timer = assert(vim.uv.new_timer())
local refresh_timer = assert(vim.uv.new_timer())
local age_timer = assert(vim.uv.new_timer())

--- Root of the worktree that a buffer's file lies in; the disk is asked once for each buffer.
---@param buf integer
---@return string?
local function root_of(buf)
  if roots[buf] == nil then
    roots[buf] = server.is_file(buf) and server.root(buf) or false
  end
  return roots[buf] or nil
end

---@param root string
---@param line podium.StatusLine
local function store(root, line)
  if vim.deep_equal(by_root[root], line) then
    return
  end
  by_root[root] = line
  vim.cmd.redrawstatus({ bang = true })
  vim.api.nvim_exec_autocmds('User', { pattern = 'PodiumStatus', modeline = false, data = line })
end

---@param root string
---@param uri string
local function ask(root, uri)
  if server.client() then
    server.request('statusLine', { uri = uri }, function(err, line)
      if not err and line then
        store(root, line)
      end
    end)
  end
end

--- Asks anew for every worktree that a window shows.
local function refresh()
  local asked = {}
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    local buf = vim.api.nvim_win_get_buf(win)
    local root = root_of(buf)
    if root and not asked[root] then
      asked[root] = true
      ask(root, vim.uri_from_bufnr(buf))
    end
  end
  if focused and focused_uri and not asked[focused] then
    ask(focused, focused_uri)
  end
end

--- Several events in a row lead to one question.
function M.refresh_soon()
  refresh_timer:start(REFRESH_MS, 0, vim.schedule_wrap(refresh))
end

--- The root a status is about. The server speaks of the file that was focused last as far as it knows; when
--- the focus has moved on meanwhile, the worktree's name tells which one was meant.
---@param line podium.StatusLine
---@return string?
local function meant(line)
  local known = focused and by_root[focused]
  if not known or not known.worktree or not line.worktree or known.worktree == line.worktree then
    return focused
  end
  for root, other in pairs(by_root) do
    if other.worktree == line.worktree then
      return root
    end
  end
end

---@param line podium.StatusLine Parameters of `podium/status`.
function M.received(line)
  local root = meant(line)
  if root then
    store(root, line)
  else
    M.refresh_soon()
  end
end

---@param buf integer
local function tell(buf)
  if not vim.api.nvim_buf_is_valid(buf) or not root_of(buf) then
    return
  end
  local root = assert(root_of(buf))
  local uri = vim.uri_from_bufnr(buf)
  focused, focused_uri = root, uri
  if not server.client() then
    return
  end
  if told ~= uri then
    told = uri
    server.notify('didFocus', { uri = uri })
  end
  ask(root, uri)
end

--- The user looks at this buffer now. The server hears of it when the user stays.
---@param buf integer
function M.focus(buf)
  focus_timer:start(
    config.get().focus_ms,
    0,
    vim.schedule_wrap(function()
      tell(buf)
    end)
  )
end

--- The buffer's name or place may have changed.
---@param buf integer
function M.forget(buf)
  roots[buf] = nil
end

--- Status of the worktree that a buffer lies in; for buffers without a file, of the one used last.
---@param buf integer?
---@return podium.StatusLine?
function M.get(buf)
  local root = root_of(buf or vim.api.nvim_get_current_buf()) or focused
  return root and by_root[root] or nil
end

--- Text for a status line; empty where there is no repository or no daemon.
---@param buf integer?
---@return string
function M.text(buf)
  local session = require('podium.session').statusline(buf or vim.api.nvim_get_current_buf())
  if session then
    return session
  end
  local line = M.get(buf)
  if not line or line.state == 'off' then
    return ''
  end
  return (config.get().statusline.icons[line.state] or '') .. line.text
end

local function grow_older()
  for _, line in pairs(by_root) do
    if line.since then
      return refresh()
    end
  end
end

server.on('up', function()
  told = nil
  age_timer:start(AGE_MS, AGE_MS, vim.schedule_wrap(grow_older))
  M.focus(vim.api.nvim_get_current_buf())
end)
server.on('down', function()
  by_root, told = {}, nil
  age_timer:stop()
  vim.cmd.redrawstatus({ bang = true })
end)

return M
