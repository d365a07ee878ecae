--- Names that completion offers: asked from the server, kept for a moment.
local server = require('podium.server')

local M = {}

local TIMEOUT_MS = 500
local FRESH_MS = 2000

local cache = {} ---@type table<string, { at: number, names: string[] }>

---@param key string
---@param method string
---@param params table
---@param extract fun(answer: table): string[]
---@return string[]
local function ask(key, method, params, extract)
  local kept = cache[key]
  if kept and vim.uv.now() - kept.at < FRESH_MS then
    return kept.names
  end
  local answer = server.request_now(method, params, TIMEOUT_MS)
  if not answer then
    return kept and kept.names or {}
  end
  cache[key] = { at = vim.uv.now(), names = extract(answer) }
  return cache[key].names
end

--- Something changed: ask anew.
function M.forget()
  for _, kept in pairs(cache) do
    kept.at = -math.huge
  end
end

---@param list table[]
---@param field string
---@return string[]
local function column(list, field)
  return vim.tbl_map(function(row)
    return row[field]
  end, list)
end

---@return string[]
function M.worktrees()
  local at = server.selector()
  return ask('worktrees ' .. (at.uri or at.repo), 'worktree/list', at, function(answer)
    return column(answer.worktrees, 'name')
  end)
end

---@return string[]
function M.sessions()
  return ask('sessions', 'session/list', { limit = 100 }, function(answer)
    return column(answer.sessions, 'id')
  end)
end

---@return string[]
function M.providers()
  return ask('providers', 'provider/list', {}, function(answer)
    return column(answer.providers, 'name')
  end)
end

---@return string[]
function M.models()
  return ask('models', 'model/list', {}, function(answer)
    return column(answer.models, 'name')
  end)
end

return M
