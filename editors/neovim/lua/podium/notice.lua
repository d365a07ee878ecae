--- What the user is told: messages, errors with their hints.
local M = {}

local levels = vim.log.levels

---@param message string
---@param level integer?
local function notify(message, level)
  vim.schedule(function()
    vim.notify(message, level or levels.INFO, { title = 'Podium' })
  end)
end

---@param message string
function M.info(message)
  notify(message, levels.INFO)
end

---@param message string
function M.warn(message)
  notify(message, levels.WARN)
end

---@class podium.Error
---@field kind string `user`, `not_found`, `conflict`, `busy`, `unavailable` or `internal`.
---@field message string
---@field hints string[]
---@field owner table?

---@param kind string
---@param message string
---@param ... string Hints.
---@return podium.Error
function M.make(kind, message, ...)
  return { kind = kind, message = message, hints = { ... } }
end

--- The error that a JSON-RPC error response carries. A response of another server has no `data`.
---@param err table
---@return podium.Error
function M.from_response(err)
  local data = type(err.data) == 'table' and err.data or {}
  return {
    kind = data.kind or 'internal',
    message = data.message or err.message or vim.inspect(err),
    hints = type(data.hints) == 'table' and data.hints or {},
    owner = data.owner,
  }
end

--- One line for the message, one for each hint.
---@param err podium.Error
---@return string
function M.format(err)
  local lines = { 'Podium: ' .. err.message }
  for _, hint in ipairs(err.hints) do
    lines[#lines + 1] = '  hint: ' .. hint
  end
  return table.concat(lines, '\n')
end

---@param err podium.Error
function M.error(err)
  notify(M.format(err), err.kind == 'internal' and levels.ERROR or levels.WARN)
end

return M
