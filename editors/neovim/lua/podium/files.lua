--- Open files that somebody else changes on the disk: sessions do. Clean buffers are read again; of a buffer with unsaved
--- changes the user is told, once for each change, and nothing of it is touched.
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

-- Several events in a row lead to one look.
local SETTLE_MS = 50

local timer = assert(vim.uv.new_timer())

---@param buf integer
local function conflict(buf)
  local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buf), ':t')
  notice.warn(
    ('%s was changed on the disk while it has unsaved changes here\n  yours are untouched; `:Podium diff` shows both, `:edit!` takes the file'):format(
      name
    )
  )
end

--- Looks at one buffer's file. Neovim's own question is only replaced where it would ask which side to lose.
---@param buf integer
local function check(buf)
  local id = vim.api.nvim_create_autocmd('FileChangedShell', {
    buffer = buf,
    callback = function()
      if vim.v.fcs_reason == 'conflict' then
        vim.v.fcs_choice = ''
        conflict(buf)
      else
        vim.v.fcs_choice = 'ask'
      end
    end,
  })
  pcall(vim.cmd.checktime, tostring(buf))
  pcall(vim.api.nvim_del_autocmd, id)
end

--- Looks at the files of all buffers now.
function M.look()
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) and server.is_file(buf) and server.root(buf) then
      check(buf)
    end
  end
end

function M.look_soon()
  timer:start(SETTLE_MS, 0, vim.schedule_wrap(M.look))
end

--- A scratch buffer with these lines, in a window of its own left of the current one, in diff mode with it.
---@param name string
---@param lines string[]
---@param filetype string
---@return integer buf
function M.beside(name, lines, filetype)
  vim.cmd.diffthis()
  vim.cmd('leftabove vnew')
  local buf = vim.api.nvim_get_current_buf()
  local options = vim.bo[buf]
  options.buftype, options.bufhidden, options.swapfile, options.buflisted = 'nofile', 'wipe', false, false
  pcall(vim.api.nvim_buf_set_name, buf, name)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  options.modifiable, options.filetype = false, filetype
  vim.cmd.diffthis()
  vim.cmd.wincmd('p')
  return buf
end

--- Shows a buffer beside its file as it is on the disk.
---@param buf integer
function M.diff(buf)
  if not server.is_file(buf) then
    return notice.info('this buffer shows no file')
  end
  local path = vim.api.nvim_buf_get_name(buf)
  local ok, lines = pcall(vim.fn.readfile, path)
  M.beside('podium://disk/' .. path, ok and lines or {}, vim.bo[buf].filetype)
end

return M
