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

--- Commands of code actions and code lenses in which this client has a part: a question is typed into an input
--- box, and a session opens in its buffer.
---@return table<string, fun(command: lsp.Command, ctx: table)>
function M.commands()
  local function perform(command, ctx)
    require('podium.action').perform(command, ctx.client_id)
  end
  return {
    ['podium.session.start'] = perform,
    ['podium.session.resume'] = perform,
    ['podium.scratch.send'] = perform,
    ['podium.ask'] = function(command, ctx)
      require('podium.action').ask(command, ctx.client_id)
    end,
  }
end

return M
