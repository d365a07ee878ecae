--- What the language server sends, and which part of the plugin gets it.
local M = {}

---@return table<string, lsp.Handler>
function M.map()
  return {
    ['podium/status'] = function(_, params)
      require('podium.events').subscribe()
      require('podium.status').received(params)
    end,
    ['podium/session/update'] = function(_, params)
      require('podium.session').update(params)
    end,
    ['podium/event'] = function(_, params)
      require('podium.events').received(params.event)
    end,
    ['podium/progress'] = function(_, params)
      require('podium.report').progress(params)
    end,
  }
end

--- Commands of code actions and code lenses that this client carries out itself, because more follows here than
--- the server can do: a session opens in a buffer.
---@return table<string, fun(command: lsp.Command, ctx: table)>
function M.commands()
  return {
    ['podium.session.start'] = function(command, ctx)
      local params = vim.deepcopy(vim.tbl_get(command, 'arguments', 1) or {})
      require('podium.session').start(params, { buf = ctx.bufnr })
    end,
  }
end

return M
