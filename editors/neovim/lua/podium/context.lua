--- What a session is told about the selection: place, text, language, diagnostics.
local server = require('podium.server')

local M = {}

-- The protocol's limit for the text of a selection, in bytes.
local MAX_TEXT = 64 * 1024

--- Whether the command's range is the last characterwise selection, whose columns count then.
---@param line1 integer
---@param line2 integer
---@return boolean
local function is_characterwise(line1, line2)
  return vim.fn.visualmode() == 'v' and vim.fn.line("'<") == line1 and vim.fn.line("'>") == line2
end

--- Byte columns of the selection: first included, last excluded.
---@param buf integer
---@param line1 integer
---@param line2 integer
---@return integer, integer
local function columns(buf, line1, line2)
  local last = vim.api.nvim_buf_get_lines(buf, line2 - 1, line2, false)[1] or ''
  if not is_characterwise(line1, line2) then
    return 0, #last
  end
  local from = vim.fn.col("'<") - 1
  local to = math.min(vim.fn.col("'>"), #last)
  -- The mark stands on the first byte of the last character.
  if to > 0 and to < #last then
    to = to + vim.str_utf_end(last, to)
  end
  if vim.o.selection == 'exclusive' then
    to = math.max(vim.fn.col("'>") - 1, 0)
  end
  return from, to
end

---@param text string
---@return string
local function bounded(text)
  if #text <= MAX_TEXT then
    return text
  end
  local cut = MAX_TEXT
  -- Not in the middle of a character.
  cut = cut + vim.str_utf_start(text, cut + 1)
  return text:sub(1, cut)
end

--- LSP position in the encoding that was negotiated with the server.
---@param buf integer
---@param line integer Zero-based.
---@param column integer Bytes.
---@return lsp.Position
local function position(buf, line, column)
  local text = vim.api.nvim_buf_get_lines(buf, line, line + 1, false)[1] or ''
  local client = server.client()
  local encoding = client and client.offset_encoding or 'utf-16'
  return { line = line, character = vim.str_utfindex(text, encoding, math.min(column, #text), false) }
end

---@param buf integer
---@param line1 integer First line, from 1.
---@param line2 integer Last line, from 1.
---@return lsp.Diagnostic[]
local function diagnostics(buf, line1, line2)
  local inside = vim.tbl_filter(function(diagnostic)
    return diagnostic.lnum <= line2 - 1 and (diagnostic.end_lnum or diagnostic.lnum) >= line1 - 1
  end, vim.diagnostic.get(buf))
  return vim.lsp.diagnostic.from(inside)
end

--- The lines `line1` to `line2` (from 1, both included) of a buffer as a session's context.
---@param buf integer
---@param line1 integer
---@param line2 integer
---@return table
function M.of(buf, line1, line2)
  local from, to = columns(buf, line1, line2)
  local text = vim.api.nvim_buf_get_text(buf, line1 - 1, from, line2 - 1, to, {})
  local found = diagnostics(buf, line1, line2)
  return {
    uri = server.is_file(buf) and vim.uri_from_bufnr(buf) or nil,
    range = { start = position(buf, line1 - 1, from), ['end'] = position(buf, line2 - 1, to) },
    text = bounded(table.concat(text, '\n')),
    language = vim.bo[buf].filetype ~= '' and vim.bo[buf].filetype or nil,
    diagnostics = #found > 0 and found or nil,
  }
end

return M
