--- From the items of a session to the text of its buffer, piece by piece.
---
--- What an item adds depends on the items before it only, so that a buffer that grew while the session streamed
--- equals one that was made from the stored transcript. Pieces of an answer are joined exactly as they came.
local M = {}

---@class podium.Item
---@field seq integer
---@field kind string
---@field text string?
---@field final boolean?
---@field data any

---@class podium.Transcript
---@field block string? What the last line belongs to.
---@field empty boolean

-- Kinds that mark a place in the stream and have no text of their own.
local SILENT = { checkpoint = true, usage = true }

-- Kinds whose pieces are joined, and what each of their lines begins with.
local FLOWING = { text = '', prompt = '> ', thinking = '> _thinking_ ' }

local LABELS = { tool_call = 'tool', tool_result = 'result' }

---@return podium.Transcript
function M.new()
  return { block = nil, empty = true }
end

---@param item podium.Item
---@return string
local function text_of(item)
  if type(item.text) == 'string' and (item.text ~= '' or FLOWING[item.kind]) then
    return item.text
  end
  local data = item.data
  if type(data) == 'table' then
    return type(data.name) == 'string' and data.name or vim.json.encode(data)
  end
  return ''
end

-- Fields of an input that say best what a call is about, best first.
local TELLING = { 'path', 'command', 'query', 'pattern', 'message', 'title' }

-- What is shown of them, in characters.
local SUMMARY = 90

--- `write_file src/a.lua`: enough to know a call by while it is folded.
---@param item podium.Item
---@return string
local function call_of(item)
  local input = type(item.data) == 'table' and item.data.input
  for _, key in ipairs(type(input) == 'table' and TELLING or {}) do
    local told = input[key]
    if type(told) == 'string' and told ~= '' then
      local line = told:match('^[^\n]*')
      local cut = vim.fn.strchars(line) > SUMMARY or #line < #told:gsub('%s+$', '')
      return ('%s `%s%s`'):format(text_of(item), vim.fn.strcharpart(line, 0, SUMMARY), cut and '…' or '')
    end
  end
  return text_of(item)
end

---@param item podium.Item
---@return string
local function bullet(item)
  local label = LABELS[item.kind] or item.kind
  if type(item.data) == 'table' and item.data.isError == true then
    label = 'failed'
  end
  local text = item.kind == 'tool_call' and call_of(item) or text_of(item)
  return ('- **%s** %s'):format(label, (text:gsub('\n+$', ''):gsub('\n', '\n  ')))
end

--- What `item` adds at the end of the text.
---@param transcript podium.Transcript
---@param item podium.Item
---@return string
function M.piece(transcript, item)
  local kind = item.kind
  if SILENT[kind] then
    return ''
  end
  local flows = FLOWING[kind]
  local block = flows and kind or 'bullet'
  local same = transcript.block == block
  local piece
  if not flows then
    piece = (same and '\n' or '\n\n') .. bullet(item)
  elseif kind == 'text' then
    piece = (same and '' or '\n\n') .. text_of(item)
  else
    piece = (same and kind == 'thinking' and '' or '\n\n' .. flows) .. text_of(item):gsub('\n', '\n> ')
  end
  if transcript.empty then
    piece = piece:gsub('^\n\n', '', 1)
  end
  transcript.empty = false
  -- Behind the last piece of an answer the next one begins a paragraph of its own.
  transcript.block = not item.final and block or nil
  return piece
end

--- The whole text of `items`, which are in order.
---@param items podium.Item[]
---@return string
function M.render(items)
  local transcript, pieces = M.new(), {}
  for _, item in ipairs(items) do
    pieces[#pieces + 1] = M.piece(transcript, item)
  end
  return table.concat(pieces)
end

return M
