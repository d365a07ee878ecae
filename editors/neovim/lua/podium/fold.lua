--- Folds of a session's buffer: a tool's call with its permission and result is one line until it is opened.
local M = {}

---@class podium.Folds
---@field levels table<integer, string|integer> By line, from 1; lines that are not named are in no fold.
---@field open boolean Whether a call's fold goes on with what follows.

-- What belongs to a call when it follows one.
local INNER = { permission = true, tool_result = true }

local by_buf = {} ---@type table<integer, podium.Folds>

---@param buf integer
function M.reset(buf)
  by_buf[buf] = { levels = {}, open = false }
end

---@param buf integer
function M.forget(buf)
  by_buf[buf] = nil
end

--- Says how the lines that a piece adds are folded. Called before they are added: Neovim asks at once.
---@param buf integer
---@param last integer Number of lines in the buffer, to the last of which the piece is added.
---@param kind string Kind of the item that the piece is of.
---@param piece string
function M.add(buf, last, kind, piece)
  local folds = by_buf[buf]
  if not folds or piece == '' then
    return
  end
  local lead = #piece:match('^\n*')
  local lines = select(2, piece:gsub('\n', '')) - lead + 1
  local first = last + lead
  if kind == 'tool_call' then
    folds.levels[first], folds.open = '>1', true
  elseif INNER[kind] and folds.open then
    folds.levels[first] = 1
  else
    folds.open = false
    return
  end
  for line = first + 1, first + lines - 1 do
    folds.levels[line] = 1
  end
end

--- 'foldexpr' of a session's window.
---@return string|integer
function M.level()
  local folds = by_buf[vim.api.nvim_get_current_buf()]
  return folds and folds.levels[vim.v.lnum] or 0
end

--- 'foldtext': the call, and how much is folded away.
---@return string
function M.text()
  local count = vim.v.foldend - vim.v.foldstart
  local line = vim.api.nvim_buf_get_lines(0, vim.v.foldstart - 1, vim.v.foldstart, false)[1] or ''
  local shown = line:gsub('%*%*', '')
  return count == 0 and shown or ('%s  (%d more %s)'):format(shown, count, count == 1 and 'line' or 'lines')
end

return M
