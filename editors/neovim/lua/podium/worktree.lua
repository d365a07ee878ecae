--- Worktrees and claims on them.
local config = require('podium.config')
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

M.TYPES = { 'feat', 'fix', 'aiops', 'devops' }

---@param params table?
---@return table
local function at(params)
  return vim.tbl_extend('keep', params or {}, server.selector())
end

--- Path as the file system knows it, also where it is not UTF-8.
---@param worktree table
---@return string
local function path_of(worktree)
  if worktree.pathBytes then
    return string.char(unpack(worktree.pathBytes))
  end
  return worktree.path
end

--- Seconds since 1970 of an RFC 3339 time in UTC.
---@param time string?
---@return integer?
local function seconds(time)
  local year, month, day, hour, minute, second = (time or ''):match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')
  if not year then
    return nil
  end
  -- Days since 1970 of a date; os.time would take it for local time.
  local y, m = tonumber(year), tonumber(month)
  if m <= 2 then
    y, m = y - 1, m + 12
  end
  local days = 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
    + math.floor((153 * (m - 3) + 2) / 5) + tonumber(day) - 1 - 719468
  return days * 86400 + tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
end

--- `active 2m ago`: its last commit or, if that is newer, its claim.
---@param worktree table
---@param now integer
---@return string?
function M.activity(worktree, now)
  local commit = seconds(worktree.lastCommit and worktree.lastCommit.time)
  local claim = seconds(worktree.claim and worktree.claim.since)
  local newest = math.max(commit or -1, claim or -1)
  if newest < 0 then
    return nil
  end
  local age = math.max(now - newest, 0)
  for _, unit in ipairs({ { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } }) do
    if age >= unit[1] then
      return ('active %d%s ago'):format(math.floor(age / unit[1]), unit[2])
    end
  end
  return ('active %ds ago'):format(age)
end

---@param worktree table
---@return string
local function describe(worktree)
  local parts = { worktree.name }
  if worktree.claim then
    parts[#parts + 1] = worktree.claim.agentId .. (worktree.claim.alive == false and ' (dead)' or '')
  end
  local status = worktree.status
  if status then
    local changed = status.staged + status.modified + status.untracked + status.conflicted
    if changed > 0 then
      parts[#parts + 1] = ('%d changed'):format(changed)
    end
    if status.ahead + status.behind > 0 then
      parts[#parts + 1] = ('+%d -%d'):format(status.ahead, status.behind)
    end
  end
  parts[#parts + 1] = M.activity(worktree, os.time())
  if #(worktree.conflictsWith or {}) > 0 then
    parts[#parts + 1] = 'conflicts with ' .. table.concat(worktree.conflictsWith, ', ')
  end
  if worktree.state ~= 'ready' then
    parts[#parts + 1] = worktree.state
  end
  return table.concat(parts, ' · ')
end

--- Lets the user choose a worktree of this repository.
---@param prompt string
---@param callback fun(worktree: table)
function M.pick(prompt, callback)
  server.ask('worktree/list', at(), function(answer)
    if #answer.worktrees == 0 then
      return notice.info('there is no worktree')
    end
    vim.ui.select(answer.worktrees, { prompt = prompt, kind = 'podium-worktree', format_item = describe }, function(worktree)
      if worktree then
        callback(worktree)
      end
    end)
  end)
end

---@param name string?
---@param prompt string
---@param callback fun(name: string)
local function named(name, prompt, callback)
  if name then
    return callback(name)
  end
  M.pick(prompt, function(worktree)
    callback(worktree.name)
  end)
end

local SCOPES = { tab = 'tcd', window = 'lcd', global = 'cd', newtab = 'tcd' }

--- Where the file of `buf` lies in the worktree at `path`, when it exists there.
---@param buf integer
---@param path string
---@return string?
local function same_file(buf, path)
  local root = server.is_file(buf) and server.root(buf)
  if not root then
    return nil
  end
  local relative = vim.fs.relpath(root, vim.api.nvim_buf_get_name(buf))
  local file = relative and vim.fs.joinpath(path, relative)
  return file and vim.uv.fs_stat(file) and file or nil
end

--- Goes to a worktree: working directory, and the same relative file.
---@param worktree table
---@param uri string? Where the current file lies there, as the server found it.
local function enter(worktree, uri)
  local settings = config.get().switch
  local path = path_of(worktree)
  local file = settings.same_file and (uri and vim.uri_to_fname(uri) or same_file(vim.api.nvim_get_current_buf(), path))
  if settings.scope == 'newtab' then
    vim.cmd.tabnew()
  end
  if SCOPES[settings.scope] then
    vim.cmd[SCOPES[settings.scope]](vim.fn.fnameescape(path))
  end
  if file then
    local ok, problem = pcall(vim.cmd.edit, vim.fn.fnameescape(file))
    if not ok then
      notice.warn(tostring(problem))
    end
  end
  vim.api.nvim_exec_autocmds('User', { pattern = 'PodiumSwitch', modeline = false, data = worktree })
end

---@param name string?
function M.switch(name)
  named(name, 'Switch to worktree', function(chosen)
    server.ask('worktree/switch', at({ name = chosen }), function(answer)
      enter(answer.worktree, answer.uri)
    end)
  end)
end

---@param params table `type`, `name`, `agentId`, `from`
function M.create(params)
  if not params.type then
    vim.ui.select(M.TYPES, { prompt = 'Type of worktree', kind = 'podium-type' }, function(kind)
      if kind then
        M.create(vim.tbl_extend('force', params, { type = kind }))
      end
    end)
    return
  end
  if not params.name then
    vim.ui.input({ prompt = ('Name of the worktree: %s-'):format(params.type) }, function(name)
      if name and name ~= '' then
        M.create(vim.tbl_extend('force', params, { name = name }))
      end
    end)
    return
  end
  server.ask('worktree/create', at(params), function(created)
    local verb = created.created and 'created' or 'entered'
    local lines = { ('%s %s (%.0f ms)'):format(verb, created.worktree.name, created.elapsedMs) }
    vim.list_extend(lines, created.notes or {})
    notice.info(table.concat(lines, '\n'))
    if config.get().switch.after_create then
      enter(created.worktree)
    end
  end)
end

--- Opens a pull request in a worktree of its own, or brings the one there is up to date.
---@param number string?
---@param params table? `remote`, `agentId`
function M.review(number, params)
  if not number then
    vim.ui.input({ prompt = 'Number of the pull request: ' }, function(text)
      if text and text ~= '' then
        M.review(text, params)
      end
    end)
    return
  end
  server.ask('worktree/review', at(vim.tbl_extend('force', params or {}, { number = number })), function(opened)
    local verb = opened.created and 'opened' or opened.updated and 'updated' or 'entered'
    local review = opened.review
    local title = review.title and (': ' .. review.title) or ''
    local author = review.author and (' by ' .. review.author) or ''
    local lines = { ('%s %s%s%s'):format(verb, opened.worktree.name, title, author) }
    vim.list_extend(lines, opened.notes or {})
    notice.info(table.concat(lines, '\n'))
    if config.get().switch.after_create then
      enter(opened.worktree)
    end
  end)
end

function M.list()
  M.pick('Worktrees (choose one to switch to)', function(worktree)
    M.switch(worktree.name)
  end)
end

--- The tab must not stay in a folder that is gone.
---@param worktree table
local function leave(worktree)
  local path = path_of(worktree)
  local cwd = vim.fn.getcwd()
  if cwd == path or vim.startswith(cwd, path .. '/') then
    vim.cmd.tcd(vim.fn.fnameescape(worktree.repo.root))
  end
end

---@param name string
---@param params table
local function remove(name, params)
  local here = at({ name = name })
  server.ask('worktree/status', here, function(answer)
    local worktree = answer.worktree
    server.ask('worktree/remove', vim.tbl_extend('force', params, here, { name = worktree.name }), function(removed)
      leave(worktree)
      notice.info(
        ('removed %s; `:Podium worktree undo %s` brings it back until %s'):format(
          removed.name,
          removed.undo,
          removed.undoUntil
        )
      )
    end)
  end)
end

---@param name string?
---@param params table `force`, `keepBranch`, `agentId`, `token`
function M.remove(name, params)
  named(name, 'Remove worktree', function(chosen)
    remove(chosen, params)
  end)
end

---@param id string?
function M.undo(id)
  server.ask('worktree/undo', at({ id = id }), function(answer)
    notice.info(('brought back %s at %s'):format(answer.worktree.name, answer.worktree.path))
  end)
end

--- Claims a worktree; without a name, the one the current file lies in.
---@param params table ClaimAcquireParams
function M.claim(params)
  server.ask('claim/acquire', at(params), function(claim)
    local how = claim.already and 'is already claimed by' or 'is claimed by'
    local lines = { ('%s %s %s (token %d)'):format(claim.worktree, how, claim.agentId, claim.token) }
    if claim.replaced then
      lines[#lines + 1] = ('taken over from %s'):format(claim.replaced.agentId)
    end
    notice.info(table.concat(lines, '\n'))
    require('podium.status').refresh_soon()
  end)
end

---@param params table ClaimReleaseParams
function M.release(params)
  server.ask('claim/release', at(params), function(released)
    notice.info(('%s is free (was %s)'):format(released.worktree, released.agentId))
    require('podium.status').refresh_soon()
  end)
end

return M
