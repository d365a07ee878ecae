if vim.g.loaded_podium then
  return
end
vim.g.loaded_podium = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('Podium needs Neovim 0.11 or newer', vim.log.levels.ERROR, { title = 'Podium' })
  return
end

vim.api.nvim_create_user_command('Podium', function(args)
  require('podium.command').run(args)
end, {
  nargs = '*',
  bang = true,
  range = true,
  desc = 'Worktrees, claims, sessions and artifacts of Podium',
  complete = function(lead, line, pos)
    return require('podium.command').complete(lead, line, pos)
  end,
})

require('podium.autocmds').create()
