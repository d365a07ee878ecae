--- `:Podium <subcommand>`: the table of subcommands, their parsing and completion.
local notice = require('podium.notice')

local M = {}

---@class podium.Call
---@field words string[] Arguments that are not `key=value`.
---@field keys table<string, string> The `key=value` arguments.
---@field bang boolean
---@field range integer[]? First and last line, from 1.
---@field buf integer

---@class podium.Subcommand
---@field run fun(call: podium.Call)
---@field words fun(nth: integer): string[] What the nth word may be.
---@field keys table<string, fun(): string[]> Options, and what each may be.

local function nothing()
  return {}
end

local function worktrees()
  return require('podium.names').worktrees()
end

local function sessions()
  return require('podium.names').sessions()
end

local function models()
  return require('podium.names').models()
end

local function providers()
  return require('podium.names').providers()
end

local function kinds()
  return require('podium.worktree').TYPES
end

local function yes()
  return { 'true' }
end

--- Completes the first word only.
---@param names fun(): string[]
---@return fun(nth: integer): string[]
local function first(names)
  return function(nth)
    return nth == 1 and names() or {}
  end
end

---@param run fun(call: podium.Call)
---@param words (fun(nth: integer): string[])?
---@param keys table<string, fun(): string[]>?
---@return podium.Subcommand
local function command(run, words, keys)
  return { run = run, words = words or nothing, keys = keys or {} }
end

---@param value string?
---@return boolean?
local function flag(value)
  return value == 'true' or nil
end

---@param call podium.Call
---@param from integer
---@return string?
local function rest(call, from)
  return call.words[from] and table.concat(call.words, ' ', from) or nil
end

local worktree = {
  create = command(function(call)
    local kind, name = call.words[1], rest(call, 2)
    if kind and not name and not vim.tbl_contains(kinds(), kind) then
      kind, name = nil, kind
    end
    require('podium.worktree').create({ type = kind, name = name, agentId = call.keys.agent, from = call.keys.from })
  end, first(kinds), { agent = nothing, from = nothing }),
  list = command(function()
    require('podium.worktree').list()
  end),
  switch = command(function(call)
    require('podium.worktree').switch(call.words[1])
  end, first(worktrees)),
  review = command(function(call)
    require('podium.worktree').review(call.words[1], { remote = call.keys.remote, agentId = call.keys.agent })
  end, nothing, { remote = nothing, agent = nothing }),
  remove = command(function(call)
    require('podium.worktree').remove(call.words[1], {
      force = call.bang or nil,
      keepBranch = flag(call.keys.keep_branch),
      agentId = call.keys.agent,
      token = tonumber(call.keys.token),
    })
  end, first(worktrees), { keep_branch = yes, agent = nothing, token = nothing }),
  undo = command(function(call)
    require('podium.worktree').undo(call.words[1])
  end),
}

--- Parameters of a new session, without its prompt.
---@param call podium.Call
---@return table
local function session_params(call)
  local keys = call.keys
  return {
    provider = keys.provider,
    model = keys.model,
    worktree = keys.worktree,
    agentId = keys.agent,
    seed = tonumber(keys.seed),
    maxTokens = tonumber(keys.max_tokens),
    temperature = tonumber(keys.temperature),
    context = call.range and require('podium.context').of(call.buf, call.range[1], call.range[2]) or nil,
  }
end

--- The session that is named, else the one whose buffer this is, else the one the user chooses.
---@param call podium.Call
---@param prompt string
---@param callback fun(id: string)
local function meant(call, prompt, callback)
  local id = call.words[1] or vim.api.nvim_buf_get_name(call.buf):match('^podium://session/(.+)$')
  if id then
    return callback(id)
  end
  require('podium.history').pick({}, prompt, function(chosen)
    callback(chosen.id)
  end)
end

local session = {
  start = command(function(call)
    local params = session_params(call)
    params.prompt = rest(call, 1)
    require('podium.session').start(params, { buf = call.buf })
  end, nothing, {
    provider = providers,
    model = models,
    worktree = worktrees,
    agent = nothing,
    seed = nothing,
    max_tokens = nothing,
    temperature = nothing,
  }),
  resume = command(function(call)
    local module = require('podium.session')
    if call.words[1] then
      return module.resume(call.words[1], rest(call, 2))
    end
    require('podium.history').pick({}, 'Resume session', function(chosen)
      module.resume(chosen.id)
    end)
  end, first(sessions)),
  cancel = command(function(call)
    local module = require('podium.session')
    if call.words[1] then
      return module.cancel(call.words[1])
    end
    require('podium.history').pick({ status = 'in_progress' }, 'Cancel session', function(chosen)
      module.cancel(chosen.id)
    end)
  end, first(sessions)),
  list = command(function(call)
    require('podium.history').pick({ query = rest(call, 1), worktree = call.keys.worktree }, 'Sessions', function(chosen)
      require('podium.session').open(chosen.id)
    end)
  end, nothing, { worktree = worktrees }),
  show = command(function(call)
    local module = require('podium.session')
    if call.words[1] then
      return module.open(call.words[1])
    end
    require('podium.history').pick({}, 'Show session', function(chosen)
      module.open(chosen.id)
    end)
  end, first(sessions)),
  search = command(function(call)
    require('podium.history').search(rest(call, 1))
  end),
  diff = command(function(call)
    meant(call, 'Review session', function(id)
      require('podium.review').open(id, { turn = tonumber(call.keys.turn) })
    end)
  end, first(sessions), { turn = nothing }),
  revert = command(function(call)
    local id, path = call.words[1], call.words[2]
    if not path then
      return notice.error(notice.make('user', 'a path is missing', '`:Podium session revert ID PATH`'))
    end
    require('podium.review').revert(id, path)
  end, first(sessions)),
  fork = command(function(call)
    meant(call, 'Fork session', function(id)
      require('podium.history').fork(id, { at = call.keys.at, worktree = call.keys.worktree })
    end)
  end, first(sessions), { at = nothing, worktree = nothing }),
  rewind = command(function(call)
    meant(call, 'Rewind session', function(id)
      require('podium.history').rewind(id, call.words[2])
    end)
  end, first(sessions)),
}

local artifact = {
  search = command(function(call)
    require('podium.artifact').search(rest(call, 1))
  end),
}

local model = {
  list = command(function()
    require('podium.report').models()
  end),
  fetch = command(function(call)
    require('podium.report').fetch_model(call.words[1])
  end, first(models)),
}

--- Subcommands by name; those with parts have a table of tables.
---@type table<string, podium.Subcommand|table<string, podium.Subcommand>>
local SUBCOMMANDS = {
  worktree = worktree,
  session = session,
  artifact = artifact,
  model = model,
  claim = command(function(call)
    require('podium.worktree').claim({
      worktree = call.words[1],
      agentId = call.keys.agent,
      wait = tonumber(call.keys.wait),
      force = call.bang or nil,
    })
  end, first(worktrees), { agent = nothing, wait = nothing }),
  release = command(function(call)
    require('podium.worktree').release({
      worktree = call.words[1],
      agentId = call.keys.agent,
      token = tonumber(call.keys.token),
      allowDirty = flag(call.keys.allow_dirty),
      force = call.bang or nil,
    })
  end, first(worktrees), { agent = nothing, token = nothing, allow_dirty = yes }),
  inbox = command(function()
    require('podium.inbox').open()
  end),
  diff = command(function(call)
    require('podium.files').diff(call.buf)
  end),
  status = command(function()
    require('podium.report').status()
  end),
  doctor = command(function()
    require('podium.report').doctor()
  end),
  log = command(function(call)
    require('podium.report').log(call.words[1])
  end, first(function()
    return require('podium.report').LOGS
  end)),
}

---@param entry any
---@return boolean
local function is_leaf(entry)
  return type(entry) == 'table' and type(entry.run) == 'function'
end

---@param names string[]
---@return string
local function enumerate(names)
  table.sort(names)
  return table.concat(names, ', ')
end

--- Follows the words down to a subcommand.
---@param words string[]
---@return podium.Subcommand? leaf
---@return string[] rest Words behind the subcommand's name; without a leaf the ones that led nowhere.
---@return table entry Where the words led.
local function find(words)
  local entry = SUBCOMMANDS
  for index, word in ipairs(words) do
    local below = entry[word]
    if not below then
      return nil, vim.list_slice(words, index), entry
    end
    entry = below
    if is_leaf(entry) then
      return entry, vim.list_slice(words, index + 1), entry
    end
  end
  return nil, {}, entry
end

--- Options stand before everything else, so that a prompt may hold an equals sign.
---@param leaf podium.Subcommand
---@param words string[]
---@return string[] words
---@return table<string, string> keys
local function split_keys(leaf, words)
  local keys = {}
  local from = 1
  for index, word in ipairs(words) do
    local key, value = word:match('^([%w_]+)=(.*)$')
    if not key or not leaf.keys[key] then
      break
    end
    keys[key] = value
    from = index + 1
  end
  local left = {}
  for index = from, #words do
    local key, value = words[index]:match('^([%w_]+)=(.*)$')
    -- Behind names, too, where no free text follows.
    if key and leaf.keys[key] and leaf ~= session.start then
      keys[key] = value
    else
      left[#left + 1] = words[index]
    end
  end
  return left, keys
end

---@param args table What |nvim_create_user_command()| passes.
function M.run(args)
  local leaf, words, entry = find(args.fargs)
  if not leaf then
    local what = words[1] and ('there is no subcommand `%s`'):format(words[1]) or 'a subcommand is missing'
    return notice.error(notice.make('user', what, 'one of ' .. enumerate(vim.tbl_keys(entry)), 'see `:help :Podium`'))
  end
  local left, keys = split_keys(leaf, words)
  leaf.run({
    words = left,
    keys = keys,
    bang = args.bang,
    range = args.range > 0 and { args.line1, args.line2 } or nil,
    buf = vim.api.nvim_get_current_buf(),
  })
end

---@param lead string
---@param candidates string[]
---@return string[]
local function matching(lead, candidates)
  local found = vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, lead)
  end, candidates)
  table.sort(found)
  return found
end

---@param leaf podium.Subcommand
---@param words string[] Complete words before the one that is typed.
---@param lead string
---@return string[]
local function complete_leaf(leaf, words, lead)
  local key, value = lead:match('^([%w_]+)=(.*)$')
  if key and leaf.keys[key] then
    return vim.tbl_map(function(candidate)
      return key .. '=' .. candidate
    end, matching(value, leaf.keys[key]()))
  end
  local left = split_keys(leaf, words)
  local candidates = vim.deepcopy(leaf.words(#left + 1))
  for name in pairs(leaf.keys) do
    candidates[#candidates + 1] = name .. '='
  end
  return matching(lead, candidates)
end

---@param lead string
---@param line string
---@param pos integer
---@return string[]
function M.complete(lead, line, pos)
  local before = line:sub(1, pos)
  local typed = before:match('Podium!?%s+(.*)$') or ''
  local words = vim.split(typed, '%s+', { trimempty = true })
  if lead ~= '' then
    table.remove(words)
  end
  local leaf, left, entry = find(words)
  if leaf then
    return complete_leaf(leaf, left, lead)
  end
  return #left == 0 and matching(lead, vim.tbl_keys(entry)) or {}
end

return M
