-- Configuration of the language server, for |vim.lsp.enable()|. Override with vim.lsp.config('podium', { ... });
-- keep `on_init`, `on_exit` and the capability, or the plugin hears nothing from the server.
local config = require('podium.config')
local server = require('podium.server')

-- They listen for the server's coming and going, whoever starts it.
require('podium.events')
require('podium.status')

---@type vim.lsp.Config
return {
  cmd = config.get().cmd,
  root_dir = server.root_dir,
  reuse_client = server.reuse_client,
  -- Only a client that announces this gets `podium/...` notifications.
  capabilities = { experimental = { podium = true } },
  handlers = require('podium.handlers').map(),
  commands = require('podium.handlers').commands(),
  on_init = server.on_init,
  on_exit = server.on_exit,
}
