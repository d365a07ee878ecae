--- Reports to read: status, doctor, logs, models, progress.
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

local LOG_EVENTS = 200
local MARKS = { ok = 'ok      ', degraded = 'DEGRADED', broken = 'BROKEN  ', off = 'off     ' }

--- Shows lines in a scratch window.
---@param name string
---@param lines string[]
local function scratch(name, lines)
  local buf = vim.fn.bufadd('podium://' .. name)
  vim.fn.bufload(buf)
  vim.bo[buf].buftype, vim.bo[buf].bufhidden, vim.bo[buf].swapfile = 'nofile', 'hide', false
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable, vim.bo[buf].modified = false, false
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, nowait = true, desc = 'Close' })
  if vim.fn.bufwinid(buf) == -1 then
    vim.cmd(('sbuffer %d'):format(buf))
  else
    vim.api.nvim_set_current_win(vim.fn.bufwinid(buf))
  end
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(buf), 0 })
end

function M.status()
  server.ask('status', {}, function(daemon)
    local line = require('podium.status').get()
    notice.info(table.concat({
      ('daemon %s, pid %d, up %d s, %.1f MB'):format(daemon.version, daemon.pid, daemon.uptimeMs / 1000, daemon.rssBytes / 1e6),
      ('%d worktrees, %d sessions running, %d clients'):format(daemon.worktrees, daemon.sessionsRunning, daemon.clients),
      'here: ' .. (line and line.text or 'no worktree'),
    }, '\n'))
  end)
end

function M.doctor()
  server.ask('doctor', {}, function(report)
    local lines = {}
    for _, part in ipairs(report.parts) do
      lines[#lines + 1] = ('%s  %s: %s'):format(MARKS[part.state] or part.state, part.name, part.message)
      if part.hint ~= '' then
        lines[#lines + 1] = '          ' .. part.hint
      end
    end
    scratch('doctor', vim.split(table.concat(lines, '\n'), '\n', { plain = true }))
  end)
end

---@param event table
---@return string
local function describe(event)
  local data = type(event.data) == 'table' and next(event.data) and vim.json.encode(event.data) or ''
  local line = ('%d %s %s %s %s'):format(event.seq, event.time, event.type, event.subject or '', data)
  return (line:gsub('%s+$', ''):gsub('\n', ' '))
end

local function events()
  server.ask('events/read', { fromSeq = 0, limit = 1 }, function(first)
    local from = math.max(0, first.headSeq - LOG_EVENTS)
    server.ask('events/read', { fromSeq = from, limit = LOG_EVENTS }, function(page)
      scratch('log', #page.events > 0 and vim.tbl_map(describe, page.events) or { 'no events' })
    end)
  end)
end

local function daemon_log()
  local program = server.program()
  vim.system({ program, 'daemon', 'logs' }, { text = true, timeout = 5000 }, function(done)
    vim.schedule(function()
      if done.code ~= 0 then
        return notice.warn(('`%s daemon logs` failed: %s'):format(program, vim.trim(done.stderr or '')))
      end
      scratch('daemon-log', vim.split(vim.trim(done.stdout), '\n', { plain = true }))
    end)
  end)
end

M.LOGS = { 'events', 'daemon', 'lsp' }

--- Shows the newest events, the daemon's log file, or that of the language server client.
---@param which string?
function M.log(which)
  if which == nil or which == 'events' then
    events()
  elseif which == 'lsp' then
    vim.cmd.split(vim.fn.fnameescape(vim.lsp.log.get_filename()))
  elseif which == 'daemon' then
    if vim.fn.executable(server.program()) == 0 then
      return notice.warn('the program `podium` is not there')
    end
    daemon_log()
  else
    notice.warn(('there is no log %q; there are %s'):format(which, table.concat(M.LOGS, ', ')))
  end
end

function M.models()
  server.ask('model/list', {}, function(answer)
    local lines = {}
    for _, model in ipairs(answer.models) do
      lines[#lines + 1] = ('%s: %s, %.0f MB, %s'):format(model.name, model.state, model.bytes / 1e6, model.licence)
    end
    notice.info(#lines > 0 and table.concat(lines, '\n') or 'the catalogue is empty')
  end)
end

---@param name string?
function M.fetch_model(name)
  notice.info('fetching the model; this happens once')
  server.ask('model/fetch', { name = name }, function(answer)
    notice.info(('model %s is %s'):format(answer.model.name, answer.model.state))
  end)
end

--- A request that takes long says how far it is; shown, not kept.
---@param progress table
function M.progress(progress)
  local share = progress.total > 0 and (' %d%%'):format(progress.done * 100 / progress.total) or ''
  vim.api.nvim_echo({ { 'Podium: ' .. progress.message .. share } }, false, {})
end

return M
