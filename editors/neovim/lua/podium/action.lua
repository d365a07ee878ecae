--- Commands of code actions and code lenses in which this client has a part.
local context = require('podium.context')
local notice = require('podium.notice')
local session = require('podium.session')

local M = {}

--- Has the server carry out a command, which may ask the user more, and opens the session that it started.
---@param command lsp.Command
---@param client_id integer
function M.perform(command, client_id)
  local client = vim.lsp.get_client_by_id(client_id)
  if not client then
    return
  end
  local params = { command = command.command, arguments = context.with_symbols(command.arguments) }
  client:request('workspace/executeCommand', params, function(err, answer)
    local told = vim.tbl_get(command, 'arguments', 1, 'interactive')
    if err and not told then
      notice.error(notice.from_response(err))
    elseif type(answer) == 'table' and type(answer.id) == 'string' then
      session.open(answer.id)
    end
  end)
end

--- Asks the user for the question of a code action, then starts the session.
---@param command lsp.Command
---@param client_id integer
function M.ask(command, client_id)
  local params = vim.deepcopy(vim.tbl_get(command, 'arguments', 1) or {})
  vim.ui.input({ prompt = 'Ask about this: ', default = params.prompt }, function(prompt)
    if prompt and prompt ~= '' then
      params.prompt = prompt
      M.perform({ title = command.title, command = 'podium.session.start', arguments = { params } }, client_id)
    end
  end)
end

return M
