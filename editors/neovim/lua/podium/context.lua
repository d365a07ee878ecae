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

-- Longest wait for a language server that knows the symbols of a file, in milliseconds.
local SYMBOLS_MS = 300

--- Symbols that lie around a range of lines, outermost first.
---@param symbols lsp.DocumentSymbol[]
---@param first integer Zero-based.
---@param last integer Zero-based.
---@return table[]
local function around(symbols, first, last)
  for _, symbol in ipairs(symbols) do
    local range = symbol.range
    if range and range.start.line <= first and range['end'].line >= last then
      local outer = { { name = symbol.name, kind = symbol.kind, range = range } }
      return vim.list_extend(outer, around(symbol.children or {}, first, last))
    end
  end
  return {}
end

--- The symbols that lines (from 1) of a buffer lie in, as another language server of the buffer knows them.
---@param buf integer
---@param line1 integer
---@param line2 integer
---@return table[]?
local function symbols(buf, line1, line2)
  for _, client in ipairs(vim.lsp.get_clients({ bufnr = buf, method = 'textDocument/documentSymbol' })) do
    local params = { textDocument = { uri = vim.uri_from_bufnr(buf) } }
    local answer = client:request_sync('textDocument/documentSymbol', params, SYMBOLS_MS, buf)
    local found = answer and type(answer.result) == 'table' and around(answer.result, line1 - 1, line2 - 1) or {}
    if #found > 0 then
      return found
    end
  end
end

--- Arguments of a command that starts a session, with the symbols that its place lies in: the language server that
--- made the command cannot ask the others.
---@param arguments any[]?
---@return any[]?
function M.with_symbols(arguments)
  local about = vim.tbl_get(arguments or {}, 1, 'context')
  if type(about) ~= 'table' or not about.uri or not about.range or about.symbols then
    return arguments
  end
  local buf = vim.uri_to_bufnr(about.uri)
  if vim.api.nvim_buf_is_loaded(buf) then
    arguments = vim.deepcopy(arguments)
    arguments[1].context.symbols = symbols(buf, about.range.start.line + 1, about.range['end'].line + 1)
  end
  return arguments
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
    symbols = server.is_file(buf) and symbols(buf, line1, line2) or nil,
  }
end

return M
