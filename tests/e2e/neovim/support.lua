-- What the Lua tests share: waiting for conditions, reading buffers, steering the mock server.
local M = {}

M.TIMEOUT_MS = tonumber(vim.env.PODIUM_TEST_TIMEOUT_MS) or 10000

---@param what string What is waited for, for the message.
---@param condition fun(): any
---@param timeout_ms integer?
---@return any The condition's value.
function M.wait(what, condition, timeout_ms)
  local value
  local ok = vim.wait(timeout_ms or M.TIMEOUT_MS, function()
    value = condition()
    return value and true or false
  end, 5)
  if not ok then
    local notices = vim.tbl_map(function(notice)
      return notice.message
    end, _G.PODIUM_TEST.notices)
    error(('waited in vain for: %s\nnotices: %s'):format(what, vim.inspect(notices)), 2)
  end
  return value
end

---@param buf integer
---@return string
function M.text(buf)
  return table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\n')
end

---@return vim.lsp.Client?
function M.client()
  return vim.lsp.get_clients({ name = 'podium' })[1]
end

--- Whether a notice held all of these pieces.
---@param ... string
---@return boolean
function M.noticed(...)
  local pieces = { ... }
  return vim.iter(_G.PODIUM_TEST.notices):any(function(notice)
    return vim.iter(pieces):all(function(piece)
      return notice.message:find(piece, 1, true) ~= nil
    end)
  end)
end

function M.clear_notices()
  _G.PODIUM_TEST.notices = {}
end

---@param a any
---@param b any
---@param what string?
function M.equal(a, b, what)
  if not vim.deep_equal(a, b) then
    error(('%s\n  got:      %s\n  expected: %s'):format(what or 'not equal', vim.inspect(a), vim.inspect(b)), 2)
  end
end

--- Asks the mock server.
---@param method string
---@param params table?
---@return any
function M.mock(method, params)
  local client = assert(M.client(), 'no client')
  local answer = assert(client:request_sync(method, params or vim.empty_dict(), M.TIMEOUT_MS))
  assert(not answer.err, vim.inspect(answer.err))
  return answer.result
end

---@param method string
---@param params table
function M.push(method, params)
  assert(M.client()):notify('mock/push', { method = method, params = params })
end

--- Parameters of everything the mock was sent with this method.
---@param method string
---@return table[]
function M.sent(method)
  local found = {}
  for _, message in ipairs(M.mock('mock/received')) do
    if message.method == method then
      found[#found + 1] = message.params
    end
  end
  return found
end

--- Answers the next question of `vim.ui.select` or `vim.ui.input`.
---@param answers { select: (fun(items: any[], opts: table): any)?, input: string? }
---@return table asked What was shown.
function M.answering(answers)
  local asked = {}
  local select, input = vim.ui.select, vim.ui.input
  vim.ui.select = function(items, opts, on_choice)
    vim.ui.select = select
    asked.items, asked.prompt = items, opts.prompt
    asked.shown = vim.tbl_map(opts.format_item or tostring, items)
    on_choice(answers.select(items, opts))
  end
  vim.ui.input = function(opts, on_confirm)
    vim.ui.input = input
    asked.prompt = opts.prompt
    on_confirm(answers.input)
  end
  return asked
end

--- Runs `body`, then leaves Neovim: 0, or 1 with the message on stderr.
---@param body fun()
function M.main(body)
  vim.schedule(function()
    local ok, problem = xpcall(body, function(err)
      return debug.traceback(tostring(err), 2)
    end)
    if not ok then
      io.stderr:write('\n' .. problem .. '\n')
    end
    io.stderr:flush()
    vim.cmd(ok and 'qall!' or 'cquit 1')
  end)
end

return M
