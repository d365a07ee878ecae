--- Autocommands of the plugin.
local M = {}

---@param group integer
local function buffers(group)
  vim.api.nvim_create_autocmd('BufReadCmd', {
    group = group,
    pattern = 'podium://session/*',
    callback = function(args)
      require('podium.session').load(args.buf, args.match:match('^podium://session/(.+)$'))
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufUnload', 'BufWipeout' }, {
    group = group,
    pattern = 'podium://session/*',
    callback = function(args)
      require('podium.session').unload(args.buf)
    end,
  })
  vim.api.nvim_create_autocmd('BufWinEnter', {
    group = group,
    pattern = 'podium://session/*',
    callback = function()
      require('podium.session').shown()
    end,
  })
  vim.api.nvim_create_autocmd('BufReadCmd', {
    group = group,
    pattern = 'podium://artifact/*',
    callback = function(args)
      require('podium.artifact').load(args.buf, args.match:match('^podium://artifact/(.+)$'))
    end,
  })
end

---@param group integer
local function focus(group)
  vim.api.nvim_create_autocmd({ 'BufEnter', 'FocusGained' }, {
    group = group,
    callback = function(args)
      require('podium.status').focus(args.buf)
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufFilePost', 'BufDelete', 'BufWipeout' }, {
    group = group,
    callback = function(args)
      require('podium.status').forget(args.buf)
    end,
  })
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(args)
      local client = vim.lsp.get_client_by_id(args.data.client_id)
      if client and client.name == 'podium' and args.buf == vim.api.nvim_get_current_buf() then
        require('podium.status').focus(args.buf)
      end
    end,
  })
end

local settled = false

--- Attaches to files, or says once why it cannot.
local function attach()
  if settled or not require('podium.config').get().enabled then
    return
  end
  local server = require('podium.server')
  -- Asked of the program and not of `vim.lsp`, which may have been told to enable what is not there.
  settled = server.enable()
  if settled then
    return
  end
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) and server.is_file(buf) and server.root(buf) then
      return server.tell_missing()
    end
  end
end

---@param group integer
local function start(group)
  if vim.v.vim_did_enter == 1 then
    attach()
  else
    -- After the user's whole configuration, so that a later `setup()` counts.
    vim.api.nvim_create_autocmd('VimEnter', { group = group, once = true, callback = attach })
  end
  vim.api.nvim_create_autocmd('BufReadPost', {
    group = group,
    callback = function()
      if vim.v.vim_did_enter == 1 then
        attach()
      end
    end,
  })
end

function M.create()
  local group = vim.api.nvim_create_augroup('podium', { clear = true })
  buffers(group)
  focus(group)
  start(group)
end

return M
