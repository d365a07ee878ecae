-- Drives the plugin against the real `podium`, from opening a file to a resumed session. Run as
--   nvim --headless --clean -u tests/e2e/neovim/init.lua -c 'luafile tests/e2e/neovim/drive.lua'
-- with, in the environment:
--   PODIUM_NVIM_PLUGIN       folder of the plugin (default: editors/neovim of this checkout)
--   PODIUM_BIN               the program `podium` (default: the one in PATH)
--   PODIUM_E2E_IMI           the program `imi` (default: beside PODIUM_BIN, else the one in PATH)
--   PODIUM_E2E_WORKSPACE     a git repository with a commit
--   PODIUM_E2E_FILE          a tracked file in it, relative (default: the first one)
--   PODIUM_E2E_OUT           where the result is written, as JSON
--   PODIUM_E2E_KILL_DAEMON   1: SIGKILL the daemon in the middle of an answer, and resume
--   PODIUM_E2E_KILL_SERVER   1: SIGKILL the language server in the middle of an answer
--   PODIUM_E2E_CODE_ACTION   1: start a session by a code action, and cancel it
--   PODIUM_TEST_TIMEOUT_MS   longest wait for one condition (default 60000)
-- Whatever `podium` needs (PODIUM_HOME, PODIUM_MODELS) it finds in the environment. Ends with 0, or with 1 and the
-- reason on stderr; the result holds the steps that were done in both cases.
vim.env.PODIUM_TEST_TIMEOUT_MS = vim.env.PODIUM_TEST_TIMEOUT_MS or '60000'
package.path = _G.PODIUM_TEST.folder .. '/?.lua;' .. package.path
local support = require('support')
local wait, text = support.wait, support.text

local result = { ok = false, steps = {} }

---@param name string
---@return string
local function need(name)
  return assert(vim.env[name], name .. ' is not set')
end

local workspace = need('PODIUM_E2E_WORKSPACE')
local out = need('PODIUM_E2E_OUT')
local podium = vim.env.PODIUM_BIN or 'podium'
local imi = vim.env.PODIUM_E2E_IMI or (vim.env.PODIUM_BIN and vim.fs.joinpath(vim.fs.dirname(podium), 'imi')) or 'imi'

--- Does one step and records how long it took.
---@param name string
---@param body fun(): table?
local function step(name, body)
  local began = vim.uv.hrtime()
  local done = body() or {}
  done.name, done.ms = name, (vim.uv.hrtime() - began) / 1e6
  table.insert(result.steps, done)
end

--- Runs a program outside the editor.
---@param ... string
---@return table data
local function outside(...)
  local done = vim.system({ ... }, { text = true, cwd = workspace, timeout = support.TIMEOUT_MS }):wait()
  local ok, answer = pcall(vim.json.decode, done.stdout, { luanil = { object = true } })
  assert(ok and answer.success, ('%s: exit %d\n%s%s'):format(table.concat({ ... }, ' '), done.code, done.stdout, done.stderr))
  return answer.data
end

---@return table
local function status()
  return require('podium').status() or {}
end

--- Asks the server and waits for the answer.
---@param method string
---@param params table
---@return table
local function ask(method, params)
  local err, answer
  require('podium').request(method, params, function(failure, value)
    err, answer = failure, value
  end)
  wait('the answer to ' .. method, function()
    return err or answer
  end)
  assert(not err, vim.inspect(err))
  return answer
end

---@param id string
---@return integer
local function buffer_of(id)
  return vim.fn.bufnr('^podium://session/' .. id .. '$')
end

---@return string? id
local function shown_session()
  return vim.api.nvim_buf_get_name(0):match('^podium://session/(.+)$')
end

-- What |podium-events| said last of each session.
local sessions = {} ---@type table<string, table>
local switched ---@type table?
vim.api.nvim_create_autocmd('User', {
  pattern = 'PodiumSession',
  callback = function(args)
    sessions[args.data.id] = args.data
  end,
})
vim.api.nvim_create_autocmd('User', {
  pattern = 'PodiumSwitch',
  callback = function(args)
    switched = args.data
  end,
})

---@param id string
---@param expected string
local function wait_for_end(id, expected)
  wait(('session %s to end'):format(id), function()
    local session = sessions[id]
    return session and not session.live and session.status ~= 'in_progress'
  end, support.TIMEOUT_MS * 3)
  support.equal(sessions[id].status, expected, 'status of the session')
end

--- Checks that a buffer holds exactly the stored transcript.
---@param id string
---@return { text: string, items: integer }
local function same_as_stored(id)
  local stored = ask('session/show', { id = id })
  local pieces, seqs = {}, {}
  for _, item in ipairs(stored.items) do
    seqs[#seqs + 1] = item.seq
    if item.kind == 'text' then
      pieces[#pieces + 1] = item.text
    end
  end
  for nth, seq in ipairs(seqs) do
    support.equal(seq, nth, 'sequence numbers of the stored items')
  end
  local shown = text(buffer_of(id))
  support.equal(shown, require('podium.transcript').render(stored.items), 'the buffer against the stored transcript')
  return { text = table.concat(pieces), items = #seqs }
end

local NAME = 'feat-nvim-e2e'

local function open_a_file()
  local file = vim.env.PODIUM_E2E_FILE
  if not file then
    local done = vim.system({ 'git', 'ls-files', '-z' }, { cwd = workspace, text = true }):wait()
    file = assert(done.stdout:match('^([^%z]+)'), 'the workspace has no tracked file')
  end
  vim.cmd.tcd(vim.fn.fnameescape(workspace))
  vim.cmd.edit(vim.fn.fnameescape(vim.fs.joinpath(workspace, file)))
  local client = wait('the server to attach', function()
    local client = support.client()
    return client and client.attached_buffers[vim.api.nvim_get_current_buf()] and client
  end)
  wait('a status line', function()
    return status().state == 'free'
  end)
  result.file = file
  return { server = client.server_info and client.server_info.version, statusline = require('podium').statusline() }
end

local function create_a_worktree()
  vim.cmd('Podium worktree create feat nvim-e2e')
  wait('the switch to the new worktree', function()
    return switched and switched.name == NAME
  end)
  local here = assert(vim.uv.fs_realpath(vim.fn.getcwd()))
  support.equal(here, vim.uv.fs_realpath(switched.path), 'working directory')
  support.equal(
    vim.uv.fs_realpath(vim.api.nvim_buf_get_name(0)),
    vim.uv.fs_realpath(vim.fs.joinpath(switched.path, result.file)),
    'the same file'
  )
  wait('the status line of the new worktree', function()
    return status().worktree == NAME and status().state == 'free'
  end)
  assert(vim.tbl_contains(vim.fn.getcompletion('Podium worktree switch feat-nvim', 'cmdline'), NAME), 'its name completes')
  return { path = switched.path, statusline = require('podium').statusline() }
end

local function see_a_foreign_claim()
  local claim = outside(imi, 'claim', NAME, '--agent-id', 'rival', '--json')
  wait('the claim in the status line', function()
    return status().state == 'other' and status().agentId == 'rival'
  end)
  local shown = require('podium').statusline()
  assert(shown:find('rival', 1, true), shown)
  vim.cmd('Podium claim ' .. NAME)
  wait('the refusal that names the owner', function()
    return support.noticed('Podium: ', 'rival')
  end)
  outside(imi, 'release', NAME, '--agent-id', 'rival', '--token', tostring(claim.token), '--json')
  wait('the release in the status line', function()
    return status().state == 'free'
  end)
  return { statusline = shown }
end

local function claim_it()
  vim.cmd('Podium claim ' .. NAME)
  wait('the own claim in the status line', function()
    return status().state == 'mine'
  end)
  return { statusline = require('podium').statusline() }
end

local function stream_a_session()
  local command = 'Podium session start provider=local worktree=%s seed=1 max_tokens=24 Say hello in one sentence.'
  vim.cmd(command:format(NAME))
  local id = wait('the session buffer', shown_session)
  local grew = {}
  wait('text in the session buffer', function()
    local now = #text(buffer_of(id))
    if now ~= grew[#grew] then
      grew[#grew + 1] = now
    end
    return sessions[id] and not sessions[id].live and sessions[id].status ~= 'in_progress'
  end, support.TIMEOUT_MS * 3)
  wait_for_end(id, 'completed')
  local stored = same_as_stored(id)
  assert(#stored.text > 0, 'the answer is empty')
  result.session = id
  return { id = id, text = stored.text, items = stored.items, growths = #grew }
end

local function take_another_turn()
  local id = result.session
  local before = text(buffer_of(id))
  vim.cmd('Podium session resume ' .. id .. ' Now say goodbye.')
  wait('the next turn', function()
    return text(buffer_of(id)):find('> Now say goodbye.', 1, true)
  end)
  wait_for_end(id, 'completed')
  local stored = same_as_stored(id)
  assert(vim.startswith(text(buffer_of(id)), before), 'what was there stays')
  return { items = stored.items }
end

local function attach_again()
  local id = result.session
  local before = text(buffer_of(id))
  vim.api.nvim_buf_delete(buffer_of(id), { force = true })
  sessions[id] = nil
  vim.cmd('Podium session show ' .. id)
  wait('the stored transcript', function()
    return buffer_of(id) > 0 and text(buffer_of(id)) == before
  end)
  wait_for_end(id, 'completed')
end

--- A request that meets the dying daemon may fail; a later one must not.
---@param old_pid integer
local function wait_for_another_daemon(old_pid)
  local asking, new = false, nil
  wait('a new daemon', function()
    if not asking and not new then
      asking = true
      require('podium').request('status', {}, function(_, daemon)
        asking = false
        new = daemon and daemon.pid ~= old_pid and daemon or nil
      end)
    end
    return new
  end)
end

local function survive_the_daemon()
  local prompt = 'Tell a long story about a lighthouse.'
  vim.cmd(('Podium session start provider=local worktree=%s seed=2 max_tokens=200 %s'):format(NAME, prompt))
  local id = wait('a second session', function()
    local id = shown_session()
    return id ~= result.session and id or nil
  end)
  local head = '> ' .. prompt .. '\n\n'
  wait('some text', function()
    return #text(buffer_of(id)) > #head + 20
  end)
  local pid = ask('status', {}).pid
  local before = text(buffer_of(id))
  local running = sessions[id].status == 'in_progress'
  assert(vim.uv.kill(pid, 'sigkill'))
  wait_for_another_daemon(pid)
  wait('the interruption or the end', function()
    return sessions[id].status ~= 'in_progress'
  end)
  local interrupted = sessions[id].status == 'interrupted'
  local kept = text(buffer_of(id))
  assert(vim.startswith(kept, before), 'what was shown stays')
  if interrupted then
    vim.api.nvim_set_current_buf(buffer_of(id))
    vim.cmd.normal('r')
    wait('the session to go on', function()
      return #text(buffer_of(id)) > #kept
    end)
  end
  wait_for_end(id, 'completed')
  same_as_stored(id)
  assert(vim.startswith(text(buffer_of(id)), kept), 'what was shown stays')
  return { midStream = running, interrupted = interrupted, shownBefore = #before }
end

---@return integer? pid
local function server_pid()
  for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
    local process = vim.api.nvim_get_proc(pid)
    if process and process.name == 'podium' then
      return pid
    end
  end
end

local function survive_the_server()
  local prompt = 'Tell a long story about a harbour.'
  local known = vim.tbl_keys(sessions)
  vim.cmd(('Podium session start provider=local worktree=%s seed=3 max_tokens=200 %s'):format(NAME, prompt))
  local id = wait('a third session', function()
    local id = shown_session()
    return id and not vim.tbl_contains(known, id) and id or nil
  end)
  wait('some text', function()
    return #text(buffer_of(id)) > #prompt + 30
  end)
  local before, old = text(buffer_of(id)), server_pid()
  local running = sessions[id].status == 'in_progress'
  assert(vim.uv.kill(assert(old, 'the language server is a child of the editor'), 'sigkill'))
  wait('a new language server', function()
    local new = server_pid()
    return new and new ~= old and support.client()
  end)
  wait_for_end(id, 'completed')
  same_as_stored(id)
  assert(vim.startswith(text(buffer_of(id)), before), 'what was shown stays')
  return { midStream = running, shownBefore = #before }
end

local function start_by_a_code_action()
  local known = vim.tbl_keys(sessions)
  vim.cmd.edit(vim.fn.fnameescape(vim.fs.joinpath(switched.path, result.file)))
  wait('the file to be attached', function()
    return support.client().attached_buffers[vim.api.nvim_get_current_buf()]
  end)
  local first = vim.api.nvim_buf_get_lines(0, 0, 1, false)[1]
  vim.lsp.buf.code_action({
    apply = true,
    range = { start = { 1, 0 }, ['end'] = { 1, #first } },
    filter = function(action)
      return action.title:find('Explain', 1, true) ~= nil
    end,
  })
  local id = wait('the session of the code action', function()
    local id = shown_session()
    return id and not vim.tbl_contains(known, id) and id or nil
  end)
  wait('its prompt', function()
    return vim.startswith(text(buffer_of(id)), '> ')
  end)
  if sessions[id] and sessions[id].status == 'in_progress' then
    vim.cmd('Podium session cancel ' .. id)
  end
  wait('its end', function()
    return sessions[id] and not sessions[id].live
  end)
  same_as_stored(id)
  return { id = id, status = sessions[id].status }
end

local function clean_up()
  vim.cmd('Podium release ' .. NAME .. ' allow_dirty=true')
  wait('the release', function()
    return support.noticed(NAME .. ' is free')
  end)
  vim.cmd('Podium worktree remove ' .. NAME)
  wait('the removal', function()
    return support.noticed('removed ' .. NAME)
  end)
  assert(not vim.uv.fs_stat(result.steps[2].path), 'the folder is gone')
end

local function write_result()
  result.notices = vim.tbl_map(function(notice)
    return notice.message
  end, _G.PODIUM_TEST.notices)
  vim.fn.writefile({ vim.json.encode(result) }, out)
end

support.main(function()
  local ok, problem = xpcall(function()
    step('open', open_a_file)
    step('create', create_a_worktree)
    step('foreign claim', see_a_foreign_claim)
    step('claim', claim_it)
    step('session', stream_a_session)
    step('turn', take_another_turn)
    step('attach', attach_again)
    if vim.env.PODIUM_E2E_KILL_DAEMON == '1' then
      step('kill', survive_the_daemon)
    end
    if vim.env.PODIUM_E2E_KILL_SERVER == '1' then
      step('kill server', survive_the_server)
    end
    if vim.env.PODIUM_E2E_CODE_ACTION == '1' then
      step('code action', start_by_a_code_action)
    end
    step('clean up', clean_up)
    result.ok = true
  end, function(err)
    return debug.traceback(tostring(err), 2)
  end)
  result.problem = problem and tostring(problem) or nil
  write_result()
  assert(ok, problem)
end)
