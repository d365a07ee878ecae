--- Artifacts: search, and a buffer `podium://artifact/<id>` with the content of one.
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

local PREFIX = 'podium://artifact/'

---@param hit table
---@return string
local function describe(hit)
  local snippet = vim.trim((hit.snippet or ''):gsub('%s+', ' '))
  return ('%s [%s] %s'):format(hit.title, hit.kind, snippet)
end

---@param id string
function M.open(id)
  vim.cmd(('sbuffer %d'):format(vim.fn.bufadd(PREFIX .. id)))
end

---@param query string?
function M.search(query)
  if not query or query == '' then
    vim.ui.input({ prompt = 'Search artifacts: ' }, function(words)
      if words and words ~= '' then
        M.search(words)
      end
    end)
    return
  end
  server.ask('artifact/search', { query = query }, function(answer)
    if #answer.hits == 0 then
      return notice.info(('no artifact matches %q'):format(query))
    end
    vim.ui.select(answer.hits, { prompt = 'Artifacts', kind = 'podium-artifact', format_item = describe }, function(hit)
      if hit then
        M.open(hit.id)
      end
    end)
  end)
end

---@param buf integer
---@param content table ArtifactContent
local function fill(buf, content)
  local lines = content.text and vim.split(content.text, '\n', { plain = true })
    or { ('%s is not text (%s, %d bytes):'):format(content.title, content.mediaType, content.bytes), content.path }
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable, vim.bo[buf].modified = false, false
  local filetype = content.mediaType == 'text/markdown' and 'markdown' or vim.filetype.match({ filename = content.title })
  if filetype then
    vim.bo[buf].filetype = filetype
  end
end

--- Fills the buffer of an artifact (BufReadCmd).
---@param buf integer
---@param id string
function M.load(buf, id)
  vim.bo[buf].buftype, vim.bo[buf].swapfile, vim.bo[buf].modifiable = 'nofile', false, false
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, nowait = true, desc = 'Close the artifact' })
  server.ask('artifact/get', { id = id }, function(content)
    if vim.api.nvim_buf_is_loaded(buf) then
      fill(buf, content)
    end
  end)
end

return M
