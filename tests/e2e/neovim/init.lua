-- Minimal configuration for the tests: nothing but the plugin. Used as `nvim --headless --clean -u init.lua`.
local here = vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, 'S').source:sub(2)))
local plugin = vim.env.PODIUM_NVIM_PLUGIN or vim.fs.joinpath(here, '..', '..', '..', 'editors', 'neovim')
vim.opt.runtimepath:prepend(vim.fs.normalize(vim.fs.abspath(plugin)))
vim.o.swapfile = false
vim.o.shadafile = 'NONE'

-- Messages are data in a headless editor, and nobody is there to press Enter.
vim.o.more = false
_G.PODIUM_TEST = { folder = vim.fs.normalize(here), notices = {} }
vim.notify = function(message, level)
  table.insert(_G.PODIUM_TEST.notices, { message = message, level = level })
end

local program = vim.env.PODIUM_BIN
if program then
  require('podium').setup({ cmd = { program, 'lsp' } })
end
