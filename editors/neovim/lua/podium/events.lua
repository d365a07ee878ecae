--- The event log as it grows: refreshes what is shown, and passes events on as `User PodiumEvent`.
local server = require('podium.server')

local M = {}

local TYPES = { 'worktree.*', 'claim.*', 'session.*', 'inbox.*' }

local state = 'off' ---@type 'off'|'asking'|'on'

--- Asks for events, unless they come already. The language server keeps a subscription across restarts of the
--- daemon; while there is no daemon it refuses, and the next sign of life asks again.
function M.subscribe()
  if state ~= 'off' or not server.client() then
    return
  end
  state = 'asking'
  server.request('events/subscribe', { types = TYPES }, function(err)
    state = err and 'off' or 'on'
  end)
end

---@param event table
---@return string?
local function session_of(event)
  return type(event.subject) == 'string' and event.subject:match('^session/(.+)$') or nil
end

---@param event table Event of the log with CloudEvents attributes.
function M.received(event)
  require('podium.names').forget()
  require('podium.status').refresh_soon()
  if event.type == 'session.started' or event.type == 'session.resumed' then
    local id = session_of(event)
    if id then
      require('podium.session').revive(id)
    end
  elseif event.type == 'inbox.asked' then
    require('podium.inbox').announce(event)
  end
  if vim.startswith(event.type, 'worktree.') or vim.startswith(event.type, 'session.') then
    require('podium.files').look_soon()
  end
  vim.api.nvim_exec_autocmds('User', { pattern = 'PodiumEvent', modeline = false, data = event })
end

server.on('up', function()
  state = 'off'
  M.subscribe()
end)
server.on('down', function()
  state = 'off'
end)

return M
