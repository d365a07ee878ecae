-- What the specs share: repositories, the mock server, sessions that a test writes item by item.
local support = require('support')
local text, wait = support.text, support.wait

local M = {}

---@return string root
function M.new_repo()
  local root = vim.fs.joinpath(vim.uv.fs_realpath(vim.fs.dirname(vim.fn.tempname())), 'r ' .. vim.uv.hrtime(), 'main')
  vim.fn.mkdir(root .. '/.git', 'p')
  vim.fn.writefile({ 'hello wörld', 'second 😀 line', 'third' }, root .. '/a file.txt')
  return root
end

---@return string root
function M.open_repo()
  local root = M.new_repo()
  vim.cmd.tcd(vim.fn.fnameescape(root))
  vim.cmd.edit(vim.fn.fnameescape(root .. '/a file.txt'))
  wait('the server attaches', function()
    local client = support.client()
    return client and client.attached_buffers[vim.api.nvim_get_current_buf()]
  end)
  return root
end

function M.clean_up()
  for _, client in ipairs(vim.lsp.get_clients()) do
    client:stop()
  end
  wait('the server ends', function()
    return #vim.lsp.get_clients() == 0
  end)
  vim.cmd('silent! tabonly! | silent! only! | silent! %bwipeout!')
  support.clear_notices()
end

function M.set_up()
  require('podium').setup({ cmd = { vim.v.progpath, '-l', _G.PODIUM_TEST.folder .. '/mock_server.lua' }, focus_ms = 1 })
end

function M.item(seq, kind, words, extra)
  return vim.tbl_extend('error', { seq = seq, kind = kind, text = words, time = 't' }, extra or {})
end

---@param id string
---@return integer
function M.buffer_of(id)
  return wait('the session buffer', function()
    local buf = vim.fn.bufnr('^podium://session/' .. id .. '$')
    return buf > 0 and buf
  end)
end

function M.push_items(id, subscription, items, extra)
  local update = { id = id, subscription = subscription, items = items }
  support.push('podium/session/update', vim.tbl_extend('error', update, extra or {}))
end

---@param prompt string
---@return string id
---@return integer buf
function M.start_session(prompt)
  vim.cmd.Podium({ args = { 'session', 'start', 'provider=local', prompt } })
  local buf = M.buffer_of('s1')
  wait('the prompt', function()
    return text(buf) == '> ' .. prompt
  end)
  wait('the answer to attach', function()
    return #support.sent('podium/session/attach') == 1
  end)
  return 's1', buf
end

return M
