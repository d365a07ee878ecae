--- Past sessions: finding one, going back in it, going another way from there.
local notice = require('podium.notice')
local server = require('podium.server')
local session = require('podium.session')

local M = {}

local KINDS = {
  turn_start = 'before the prompt',
  turn = 'within the answer',
  turn_end = 'after the answer',
  rewind = 'before a rewind',
}

---@param info table SessionInfo, or SessionHit
---@return string
local function describe(info)
  local place = info.worktree and (' [%s]'):format(info.worktree) or ''
  local found = vim.tbl_get(info, 'matches', 1, 'snippet')
  local where = found and ('  … %s'):format((found:gsub('%s+', ' '))) or ''
  return ('%-11s %s%s%s'):format(info.status, info.title, place, where)
end

---@param sessions table[]
---@param prompt string
---@param callback fun(info: table)
local function choose(sessions, prompt, callback)
  vim.ui.select(sessions, { prompt = prompt, kind = 'podium-session', format_item = describe }, function(info)
    if info then
      callback(info)
    end
  end)
end

--- Lets the user choose among sessions, newest first.
---@param params table SessionListParams
---@param prompt string
---@param callback fun(info: table)
function M.pick(params, prompt, callback)
  server.ask('session/list', params, function(answer)
    if #answer.sessions == 0 then
      return notice.info('there is no session' .. (params.status and ' that is ' .. params.status or ''))
    end
    choose(answer.sessions, prompt, callback)
  end)
end

--- Finds sessions by words of their transcripts, and opens the one that is chosen.
---@param query string?
function M.search(query)
  if not query or query == '' then
    vim.ui.input({ prompt = 'Search sessions: ' }, function(words)
      if words and words ~= '' then
        M.search(words)
      end
    end)
    return
  end
  server.ask('session/search', { query = query }, function(answer)
    if #answer.sessions == 0 then
      return notice.info(('no session holds %q'):format(query))
    end
    choose(answer.sessions, 'Sessions', function(hit)
      session.open(hit.id)
    end)
  end)
end

---@param notes string[]?
local function tell(notes)
  if notes and #notes > 0 then
    notice.warn(table.concat(notes, '\n'))
  end
end

---@param id string
---@param prompt string
---@param callback fun(checkpoint: table)
local function pick_checkpoint(id, prompt, callback)
  server.ask('session/checkpoints', { id = id }, function(answer)
    if #answer.checkpoints == 0 then
      return notice.info('this session has no checkpoint to go back to')
    end
    -- The newest first.
    local items = vim.iter(answer.checkpoints):rev():totable()
    vim.ui.select(items, {
      prompt = prompt,
      kind = 'podium-checkpoint',
      format_item = function(checkpoint)
        return ('turn %d, %s: %s'):format(checkpoint.turn, KINDS[checkpoint.kind] or checkpoint.kind, checkpoint.title)
      end,
    }, function(checkpoint)
      if checkpoint then
        callback(checkpoint)
      end
    end)
  end)
end

---@param id string
---@param to string
local function go_back(id, to)
  server.ask('session/rewind', { id = id, to = to }, function(done)
    notice.info(('rewound; %d files were brought back'):format(#done.filesChanged))
    local kept = vim.tbl_map(function(path)
      return path .. ' was left as it is'
    end, done.kept or {})
    tell(vim.list_extend(kept, done.notes or {}))
    session.revive(id)
    require('podium.files').look()
  end)
end

--- Goes back to a checkpoint: files and conversation. What is there now is kept in a checkpoint.
---@param id string
---@param to string? A checkpoint; without one the user chooses.
function M.rewind(id, to)
  if to then
    return go_back(id, to)
  end
  pick_checkpoint(id, 'Rewind to', function(checkpoint)
    go_back(id, checkpoint.id)
  end)
end

--- Makes a session of its own out of another one's beginning, and opens it.
---@param id string
---@param opts { at: string?, worktree: string? }
function M.fork(id, opts)
  server.ask('session/fork', { id = id, at = opts.at, worktree = opts.worktree }, function(forked)
    tell(forked.notes)
    session.open(forked.id)
  end)
end

return M
