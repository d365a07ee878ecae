-- A language server for the plugin's tests: speaks the LSP wire format on stdio, answers `podium/...` from a small
-- state, and records what it was sent. Run as `nvim -l mock_server.lua`.
--
-- A test steers it: the notification `mock/push` {method, params} sends a notification to the client, the request
-- `mock/received` answers with everything that came, `mock/fail` {method, error} makes the next request of that
-- method fail, `mock/die` {code} ends the process.
local received = {}
local failures = {}
local state = {
  worktrees = {},
  sessions = {},
  subscriptions = 0,
  silent_attach = false,
}

local function write(message)
  message.jsonrpc = '2.0'
  local body = vim.json.encode(message)
  io.stdout:write(('Content-Length: %d\r\n\r\n%s'):format(#body, body))
  io.stdout:flush()
end

local function read()
  local length
  while true do
    local line = io.stdin:read('*l')
    if not line then
      return nil
    end
    line = line:gsub('\r$', '')
    if line == '' then
      break
    end
    length = tonumber(line:match('^[Cc]ontent%-[Ll]ength: (%d+)')) or length
  end
  local body = io.stdin:read(length)
  return body and vim.json.decode(body, { luanil = { object = true } })
end

local function push(method, params)
  write({ method = method, params = params })
end

local function worktree(name, path)
  return {
    id = 'w-' .. name,
    repo = { id = 'r', root = state.root },
    name = name,
    path = path,
    branch = name,
    type = 'feat',
    trunk = false,
    status = { staged = 0, modified = 0, untracked = 0, conflicted = 0, ahead = 0, behind = 0 },
    conflictsWith = {},
    state = 'ready',
  }
end

local function find(name)
  for index, tree in ipairs(state.worktrees) do
    if tree.name == name then
      return tree, index
    end
  end
  error({ kind = 'not_found', message = ('no worktree `%s`'):format(name), hints = { 'see `:Podium worktree list`' } })
end

local function session_info(session)
  return {
    id = session.id,
    provider = 'local',
    status = session.status,
    title = session.title,
    worktree = session.worktree,
    worktreePath = session.worktreePath,
    createdAt = '2026-01-01T00:00:00Z',
    updatedAt = '2026-01-01T00:00:00Z',
    lastSeq = #session.items,
    usage = { inputTokens = 3, outputTokens = 7, costUsd = 0 },
  }
end

local function above(session, seq)
  return vim.tbl_filter(function(item)
    return item.seq > seq
  end, session.items)
end

local function status_line()
  if state.line then
    return state.line
  end
  local tree = state.worktrees[1]
  if not tree then
    return { state = 'free', text = 'trunk-main: free', worktree = 'trunk-main', sessions = 0 }
  end
  local claim = tree.claim
  return {
    state = claim and (claim.agentId == 'me' and 'mine' or 'other') or 'free',
    text = claim and ('%s: %s (100%%)'):format(tree.name, claim.agentId) or tree.name .. ': free',
    worktree = tree.name,
    agentId = claim and claim.agentId,
    sessions = 0,
  }
end

local methods = {}

methods['initialize'] = function(params)
  state.root = vim.uri_to_fname(params.rootUri)
  return {
    capabilities = {
      positionEncoding = 'utf-16',
      textDocumentSync = 1,
      codeActionProvider = true,
      executeCommandProvider = { commands = { 'podium.session.start', 'podium.ask' } },
      workspace = { workspaceFolders = { supported = true, changeNotifications = true } },
    },
    serverInfo = { name = 'podium', version = 'mock' },
  }
end
methods['shutdown'] = function()
  return vim.NIL
end
methods['mock/received'] = function()
  return received
end
methods['mock/fail'] = function(params)
  failures[params.method] = params.error
  return vim.empty_dict()
end
methods['mock/session'] = function(params)
  state.sessions[params.id] = params
  return vim.empty_dict()
end
methods['mock/status'] = function(params)
  state.line = params
  push('podium/status', status_line())
  return vim.empty_dict()
end

methods['podium/worktree/create'] = function(params)
  local name = ('%s-%s'):format(params.type, params.name)
  local path = vim.fs.joinpath(state.root, '..', name)
  vim.fn.mkdir(path, 'p')
  vim.fn.writefile({ 'gitdir: elsewhere' }, path .. '/.git')
  vim.fn.writefile({ 'in the worktree' }, path .. '/a file.txt')
  local tree = worktree(name, vim.fs.normalize(path))
  table.insert(state.worktrees, 1, tree)
  return { worktree = tree, elapsedMs = 12.5, fromSpare = true, created = true, notes = {} }
end
methods['podium/worktree/review'] = function(params)
  local name = 'review-' .. tostring(params.number):gsub('%D', '')
  local known = pcall(find, name)
  local path = vim.fs.joinpath(state.root, '..', name)
  vim.fn.mkdir(path, 'p')
  vim.fn.writefile({ 'gitdir: elsewhere' }, path .. '/.git')
  local tree = worktree(name, vim.fs.normalize(path))
  if not known then
    table.insert(state.worktrees, 1, tree)
  end
  local review = { number = 7, remote = 'origin', head = 'c', title = 'Count the sheep', author = 'bob', source = 'gh' }
  local notes = { 'request 7 is merged' }
  return { worktree = tree, elapsedMs = 3, fromSpare = false, created = true, updated = false, review = review, notes = notes }
end
methods['podium/worktree/list'] = function()
  return { worktrees = state.worktrees }
end
methods['podium/worktree/status'] = function(params)
  return { worktree = find(params.name), changed = {} }
end
methods['podium/worktree/switch'] = function(params)
  return { worktree = find(params.name) }
end
methods['podium/worktree/remove'] = function(params)
  local _, index = find(params.name)
  table.remove(state.worktrees, index)
  return { name = params.name, undo = 'u1', branchDeleted = true, undoUntil = '2026-02-01T00:00:00Z' }
end
methods['podium/worktree/undo'] = function()
  local tree = worktree('feat-back', '/back')
  table.insert(state.worktrees, tree)
  return { undo = 'u1', worktree = tree }
end
methods['podium/claim/acquire'] = function(params)
  local tree = find(params.worktree)
  if tree.claim and not params.force then
    error({
      kind = 'conflict',
      message = ('%s is claimed by %s'):format(tree.name, tree.claim.agentId),
      hints = { 'wait for it with `wait=60`', 'take it over with `:Podium! claim`' },
    })
  end
  tree.claim = { agentId = params.agentId or 'me', host = 'h', since = '2026-01-01T00:00:00Z', token = 1, alive = true }
  push('podium/status', status_line())
  return {
    worktree = tree.name,
    agentId = tree.claim.agentId,
    token = 1,
    since = tree.claim.since,
    path = tree.path,
    already = false,
  }
end
methods['podium/claim/release'] = function(params)
  local tree = find(params.worktree)
  tree.claim = nil
  push('podium/status', status_line())
  return { worktree = tree.name, agentId = 'me', token = 1, releasedAt = '2026-01-01T00:00:00Z' }
end
methods['podium/statusLine'] = status_line

methods['podium/session/start'] = function(params)
  local id = params.sessionId or ('s%d'):format(vim.tbl_count(state.sessions) + 1)
  state.sessions[id] = {
    id = id,
    status = 'in_progress',
    title = params.prompt,
    worktree = params.worktree,
    items = { { seq = 1, kind = 'prompt', text = params.prompt, time = '' } },
  }
  return { id = id, provider = 'local', status = 'in_progress', lastSeq = 1 }
end
methods['workspace/executeCommand'] = function(params)
  if params.command ~= 'podium.session.start' then
    return vim.NIL
  end
  return methods['podium/session/start'](params.arguments[1])
end
methods['podium/session/resume'] = function(params)
  local session = state.sessions[params.id]
  session.status = 'in_progress'
  return { id = params.id, provider = 'local', status = 'in_progress', lastSeq = #session.items }
end
methods['podium/session/attach'] = function(params)
  local session = state.sessions[params.id]
  if not session then
    error({ kind = 'not_found', message = ('no session `%s`'):format(params.id), hints = {} })
  end
  state.subscriptions = state.subscriptions + 1
  local update = { subscription = state.subscriptions, id = session.id, items = above(session, params.fromSeq) }
  local over = session.status ~= 'in_progress'
  if over then
    update['end'] = { status = session.status, reason = session.reason, usage = session_info(session).usage, filesChanged = {} }
  end
  -- Before the answer on purpose: nothing orders the two on the wire.
  push('podium/session/update', update)
  return { subscription = state.subscriptions, session = session_info(session) }
end
methods['podium/session/cancel'] = function(params)
  local session = state.sessions[params.id]
  session.status = 'cancelled'
  push('podium/session/update', {
    subscription = state.subscriptions,
    id = params.id,
    items = {},
    ['end'] = { status = 'cancelled', usage = session_info(session).usage, filesChanged = {} },
  })
  return { id = params.id, status = 'cancelled' }
end
methods['podium/session/list'] = function()
  local list = {}
  for _, session in vim.spairs(state.sessions) do
    list[#list + 1] = session_info(session)
  end
  return { sessions = list }
end
methods['podium/session/search'] = function(params)
  local hits = {}
  for _, session in vim.spairs(state.sessions) do
    local match = { seq = 1, kind = 'text', snippet = ('the\n%s was dark'):format(params.query) }
    hits[#hits + 1] = vim.tbl_extend('error', session_info(session), { matches = { match } })
  end
  return { sessions = hits }
end
methods['podium/session/show'] = function(params)
  local session = state.sessions[params.id]
  return vim.tbl_extend('error', session_info(session), { items = session.items, more = false })
end
methods['mock/diff'] = function(params)
  state.diff = params
  return vim.empty_dict()
end
methods['podium/session/diff'] = function(params)
  return { id = params.id, from = 'a', to = 'b', files = state.diff.files }
end
--- Takes hunks back as the daemon does: in the file on the disk.
methods['podium/session/revert'] = function(params)
  for _, file in ipairs(state.diff.files) do
    if file.path == params.path then
      local path = vim.fs.joinpath(state.diff.root, file.path)
      local lines = vim.fn.readfile(path)
      for _, number in ipairs(params.hunks or {}) do
        local hunk = file.hunks[number + 1]
        for _ = 1, hunk.newLines do
          table.remove(lines, hunk.newStart)
        end
        for index, line in ipairs(vim.tbl_filter(function(line)
          return line:find('^[ -]')
        end, hunk.lines)) do
          table.insert(lines, hunk.newStart + index - 1, line:sub(2))
        end
        hunk.state = 'gone'
      end
      vim.fn.writefile(lines, path)
      return { id = params.id, filesChanged = { file.path }, file = file }
    end
  end
end
methods['podium/session/checkpoints'] = function(params)
  local function checkpoint(id, kind)
    return { id = id, kind = kind, seq = 0, turn = 1, title = 'p', usage = {}, createdAt = '' }
  end
  return { id = params.id, checkpoints = { checkpoint('c1', 'turn_start'), checkpoint('c2', 'turn_end') } }
end
methods['podium/session/rewind'] = function(params)
  return { id = params.id, to = params.to, seq = 0, undo = 'u', status = 'completed', filesChanged = {}, kept = { 'a.txt' } }
end
methods['podium/session/fork'] = function(params)
  state.sessions.forked = { id = 'forked', status = 'completed', title = 'fork', items = state.sessions[params.id].items }
  return { id = 'forked', from = params.id, lastSeq = 1, status = 'completed' }
end
methods['podium/provider/list'] = function()
  return { providers = { { name = 'anthropic', usable = false }, { name = 'local', usable = true } } }
end
methods['podium/artifact/search'] = function(params)
  return { hits = { { id = 'a1', title = 'answer.md', kind = 'docs', score = 1, snippet = 'about ' .. params.query } } }
end
methods['podium/artifact/get'] = function(params)
  local content = { id = params.id, title = 'answer.md', kind = 'docs', mediaType = 'text/markdown', bytes = 9 }
  content.text, content.path = '# Answer\n', '/x'
  return content
end
methods['podium/inbox/list'] = function()
  return {
    items = {
      { id = 'q1', agentId = 'claude-1', question = 'May I push?', askedAt = '' },
      {
        id = 'q2',
        agentId = 'claude-1',
        question = 'edit a.txt',
        askedAt = '',
        tool = 'edit_file',
        detail = '--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n',
        options = { 'once', 'session', 'project' },
      },
    },
  }
end
methods['podium/inbox/answer'] = function(params)
  return { item = { id = params.id, agentId = 'claude-1', question = 'May I push?', decision = params.decision } }
end
methods['podium/events/subscribe'] = function()
  return { subscription = 900, headSeq = 10, oldestSeq = 1, missed = false }
end
methods['podium/events/read'] = function(params)
  local event = { seq = params.fromSeq + 1, time = 't', type = 'worktree.created', subject = 'worktree/1', data = { name = 'x' } }
  return { events = { event }, headSeq = 10 }
end
methods['podium/unsubscribe'] = function()
  return { existed = true }
end
methods['podium/status'] = function()
  return { version = '0.1', pid = 7, uptimeMs = 1000, rssBytes = 1e6, worktrees = 1, sessionsRunning = 0, clients = 1 }
end
methods['podium/doctor'] = function()
  return {
    parts = {
      { name = 'git', state = 'ok', message = 'git 2.50', hint = '' },
      { name = 'model', state = 'broken', message = 'checksum differs', hint = 'fetch it again' },
    },
  }
end

local function answer(message)
  local method = methods[message.method]
  local planned = failures[message.method]
  failures[message.method] = nil
  if planned then
    return write({ id = message.id, error = { code = -32003, message = planned.message, data = planned } })
  end
  if not method then
    return write({ id = message.id, error = { code = -32601, message = 'unknown method ' .. message.method } })
  end
  local ok, result = pcall(method, message.params or {})
  if ok then
    write({ id = message.id, result = result })
  elseif type(result) == 'table' then
    write({ id = message.id, error = { code = -32003, message = result.message, data = result } })
  else
    write({ id = message.id, error = { code = -32603, message = result } })
  end
end

for message in read do
  if message.method == 'exit' then
    os.exit(0)
  elseif message.method == 'mock/push' then
    push(message.params.method, message.params.params)
  elseif message.method == 'mock/die' then
    os.exit(message.params.code)
  elseif message.id then
    received[#received + 1] = { method = message.method, params = message.params }
    answer(message)
  else
    received[#received + 1] = { method = message.method, params = message.params }
  end
end
