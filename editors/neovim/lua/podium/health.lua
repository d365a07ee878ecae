--- `:checkhealth podium`
local M = {}

local health = vim.health
local TIMEOUT_MS = 5000

--- Runs `podium <arguments> --json`.
---@param program string
---@param ... string
---@return table? data
---@return string? problem
---@return string[]? hints
local function ask(program, ...)
  local command = { program, ... }
  command[#command + 1] = '--json'
  local ok, done = pcall(function()
    return vim.system(command, { text = true, timeout = TIMEOUT_MS }):wait()
  end)
  if not ok then
    return nil, tostring(done)
  end
  local parsed, answer = pcall(vim.json.decode, done.stdout or '', { luanil = { object = true } })
  if not parsed or type(answer) ~= 'table' then
    local said = vim.trim(done.stderr or '')
    return nil, ('exit code %d%s'):format(done.code, said ~= '' and ': ' .. said or '')
  end
  if answer.success then
    return answer.data
  end
  local err = answer.error or {}
  return nil, err.message or 'unknown error', err.hints
end

---@param server table
---@return string? program
local function check_program(server)
  local program = server.program()
  local path = vim.fn.exepath(program)
  if path == '' then
    health.error(('`%s` is not an executable program'):format(program), {
      'install it: `cargo install --path server/cli` in a checkout of Podium',
      "or say where it is: require('podium').setup({ cmd = { '/path/to/podium', 'lsp' } })",
    })
    return nil
  end
  local ok, done = pcall(function()
    return vim.system({ path, '--version' }, { text = true, timeout = TIMEOUT_MS }):wait()
  end)
  if not ok or done.code ~= 0 then
    health.error(('%s does not run'):format(path), { ok and vim.trim(done.stderr or '') or tostring(done) })
    return nil
  end
  health.ok(('%s: %s'):format(path, vim.trim(done.stdout)))
  return path
end

---@param program string
local function check_daemon(program)
  local daemon, problem, hints = ask(program, 'daemon', 'status')
  if daemon then
    health.ok(('daemon %s runs as process %d, up %d s'):format(daemon.version, daemon.pid, daemon.uptimeMs / 1000))
  else
    health.warn('the daemon does not answer: ' .. problem, hints or { 'any `:Podium` command starts it' })
  end
end

---@param program string
local function check_models(program)
  local answer, problem, hints = ask(program, 'models', 'list')
  if not answer then
    health.warn('local models: ' .. problem, hints)
    return
  end
  for _, model in ipairs(answer.models) do
    local line = ('model %s is %s'):format(model.name, model.state)
    if model.state == 'present' then
      health.ok(line)
    elseif model.state == 'absent' then
      health.info(line .. '; `:Podium model fetch` gets it')
    else
      health.warn(line, { '`:Podium model fetch` goes on or repairs it' })
    end
  end
end

---@param program string
local function check_parts(program)
  local report, problem = ask(program, 'doctor')
  if not report then
    health.warn('`podium doctor`: ' .. problem)
    return
  end
  for _, part in ipairs(report.parts) do
    local line = ('%s: %s'):format(part.name, part.message)
    local hints = part.hint ~= '' and { part.hint } or nil
    if part.state == 'ok' then
      health.ok(line)
    elseif part.state == 'off' then
      health.info(line)
    elseif part.state == 'degraded' then
      health.warn(line, hints)
    else
      health.error(line, hints)
    end
  end
end

---@param server table
local function check_attached(server)
  local client = server.client()
  if client then
    local info = client.server_info or {}
    health.ok(
      ('language server %s runs, attached to %d buffers, positions in %s'):format(
        info.version or '',
        #vim.tbl_keys(client.attached_buffers),
        client.offset_encoding
      )
    )
  elseif vim.lsp.is_enabled('podium') then
    health.info('the language server starts with the first file of a git repository')
  else
    health.warn('the language server is not enabled', { "`enabled = false` in setup()? Then: vim.lsp.enable('podium')" })
  end
end

function M.check()
  health.start('podium')
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim 0.11 or newer is needed')
    return
  end
  if vim.fn.executable('git') == 0 then
    health.error('`git` is not an executable program')
  end
  local server = require('podium.server')
  local program = check_program(server)
  if program then
    check_daemon(program)
    check_models(program)
    check_parts(program)
  end
  check_attached(server)
end

return M
