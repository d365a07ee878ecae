-- Tests of the plugin against a mock server. From the repository's root:
--   nvim --headless --clean -u tests/e2e/neovim/init.lua -c 'luafile tests/e2e/neovim/unit.lua'
-- PODIUM_TEST_FILTER=<words> runs the tests whose name holds them.
local here = _G.PODIUM_TEST.folder
package.path = here .. '/?.lua;' .. package.path

local support = require('support')
local text, wait, equal = support.text, support.wait, support.equal

local globals_before = {}
for name in pairs(_G) do
  globals_before[name] = true
end

local tests = {} ---@type { name: string, body: fun() }[]

local function test(name, body)
  tests[#tests + 1] = { name = name, body = body }
end

-- Folders ---------------------------------------------------------------------------------------------------

---@return string root
local function new_repo()
  local root = vim.fs.joinpath(vim.uv.fs_realpath(vim.fs.dirname(vim.fn.tempname())), 'r ' .. vim.uv.hrtime(), 'main')
  vim.fn.mkdir(root .. '/.git', 'p')
  vim.fn.writefile({ 'hello wörld', 'second 😀 line', 'third' }, root .. '/a file.txt')
  return root
end

---@return string root
local function open_repo()
  local root = new_repo()
  vim.cmd.tcd(vim.fn.fnameescape(root))
  vim.cmd.edit(vim.fn.fnameescape(root .. '/a file.txt'))
  wait('the server attaches', function()
    local client = support.client()
    return client and client.attached_buffers[vim.api.nvim_get_current_buf()]
  end)
  return root
end

local function clean_up()
  for _, client in ipairs(vim.lsp.get_clients()) do
    client:stop()
  end
  wait('the server ends', function()
    return #vim.lsp.get_clients() == 0
  end)
  vim.cmd('silent! tabonly! | silent! only! | silent! %bwipeout!')
  support.clear_notices()
end

local function set_up()
  require('podium').setup({ cmd = { vim.v.progpath, '-l', here .. '/mock_server.lua' }, focus_ms = 1 })
end

-- Sessions --------------------------------------------------------------------------------------------------

local function item(seq, kind, words, extra)
  return vim.tbl_extend('error', { seq = seq, kind = kind, text = words, time = 't' }, extra or {})
end

---@param id string
---@return integer
local function buffer_of(id)
  return wait('the session buffer', function()
    local buf = vim.fn.bufnr('^podium://session/' .. id .. '$')
    return buf > 0 and buf
  end)
end

local function push_items(id, subscription, items, extra)
  local update = { id = id, subscription = subscription, items = items }
  support.push('podium/session/update', vim.tbl_extend('error', update, extra or {}))
end

---@param prompt string
---@return string id
---@return integer buf
local function start_session(prompt)
  vim.cmd.Podium({ args = { 'session', 'start', 'provider=local', prompt } })
  local buf = buffer_of('s1')
  wait('the prompt', function()
    return text(buf) == '> ' .. prompt
  end)
  wait('the answer to attach', function()
    return #support.sent('podium/session/attach') == 1
  end)
  return 's1', buf
end

-- Files of the plugin ---------------------------------------------------------------------------------------

test('every Lua file compiles', function()
  local plugin = vim.api.nvim_get_runtime_file('lua/podium/init.lua', false)[1]:gsub('/lua/podium/init.lua$', '')
  local files = vim.fs.find(function(name)
    return name:match('%.lua$') ~= nil
  end, { path = plugin, type = 'file', limit = math.huge })
  vim.list_extend(files, vim.fn.glob(here .. '/*.lua', true, true))
  assert(#files > 20, 'too few files found: ' .. #files)
  for _, file in ipairs(files) do
    assert(loadfile(file))
  end
end)

test('the help file has tags without duplicates', function()
  local source = vim.api.nvim_get_runtime_file('doc/podium.txt', false)[1]
  local folder = vim.fn.tempname()
  vim.fn.mkdir(folder, 'p')
  assert(vim.uv.fs_copyfile(source, folder .. '/podium.txt'))
  vim.cmd.helptags(folder)
  local tags = table.concat(vim.fn.readfile(folder .. '/tags'), '\n')
  for _, tag in ipairs({ 'podium.txt', ':Podium', 'podium-settings', 'podium-session', 'podium.statusline()' }) do
    assert(tags:find(tag .. '\t', 1, true), 'no tag ' .. tag)
  end
end)

test('every subcommand is in the help file', function()
  local file = vim.api.nvim_get_runtime_file('doc/podium.txt', false)[1]
  local help = table.concat(vim.fn.readfile(file), '\n'):gsub('%[!%]', ''):gsub('%[range%]', '')
  local complete = require('podium.command').complete
  local with_parts = { worktree = true, session = true, artifact = true, model = true }
  for _, word in ipairs(complete('', 'Podium ', 7)) do
    local parts = with_parts[word] and complete('', 'Podium ' .. word .. ' ', 8 + #word) or { '' }
    for _, part in ipairs(parts) do
      local line = vim.trim((':Podium %s %s'):format(word, part))
      assert(help:find('\n' .. line, 1, true), line .. ' is not in the help file')
    end
  end
end)

-- Attaching -------------------------------------------------------------------------------------------------

test('a file in a repository is attached and the client announces podium notifications', function()
  open_repo()
  local announced = support.sent('initialize')[1].capabilities.experimental
  equal(announced.podium, true)
end)

test('files outside repositories and other buffers are left alone', function()
  local folder = vim.fn.tempname()
  vim.fn.mkdir(folder, 'p')
  vim.cmd.edit(folder .. '/loose.txt')
  vim.cmd.enew()
  open_repo()
  equal(#vim.tbl_keys(support.client().attached_buffers), 1)
end)

test('one server serves several repositories and learns of each', function()
  open_repo()
  local first = support.client().id
  local second = new_repo()
  vim.cmd.edit(vim.fn.fnameescape(second .. '/a file.txt'))
  wait('the second buffer attaches', function()
    return #vim.tbl_keys(support.client().attached_buffers) == 2
  end)
  equal(#vim.lsp.get_clients(), 1)
  equal(support.client().id, first)
  local added = support.sent('workspace/didChangeWorkspaceFolders')[1].event.added
  equal(added[1].uri, vim.uri_from_fname(second))
end)

test('a missing program is told once, however many files are opened', function()
  local root = new_repo()
  vim.fn.writefile({ 'x' }, root .. '/b.txt')
  local script = vim.fn.tempname() .. '.lua'
  vim.fn.writefile({
    'vim.schedule(function()',
    "vim.cmd.edit(vim.fn.fnameescape(vim.env.ROOT .. '/a file.txt'))",
    "vim.cmd.edit(vim.fn.fnameescape(vim.env.ROOT .. '/b.txt'))",
    'vim.wait(50)',
    'local before = #_G.PODIUM_TEST.notices',
    "vim.cmd('Podium worktree list')",
    'vim.wait(1000, function() return #_G.PODIUM_TEST.notices > before end)',
    'io.stdout:write(vim.json.encode({ before = before, notices = _G.PODIUM_TEST.notices }))',
    "vim.cmd('qall!')",
    'end)',
  }, script)
  local command = { vim.v.progpath, '--headless', '--clean', '-u', here .. '/init.lua', root .. '/a file.txt' }
  vim.list_extend(command, { '-c', 'luafile ' .. script })
  local environment = { ROOT = root, PODIUM_BIN = '/nowhere/podium' }
  local done = vim.system(command, { text = true, timeout = support.TIMEOUT_MS, env = environment }):wait()
  equal(done.code, 0, done.stderr)
  local said = vim.json.decode(done.stdout)
  equal(said.before, 1, done.stdout)
  assert(said.notices[1].message:find('hint: install it', 1, true), done.stdout)
  -- The user's own command says it again.
  equal(#said.notices, 2)
end)

-- Status line -----------------------------------------------------------------------------------------------

test('the server hears which file has the focus, once for a burst of changes', function()
  require('podium').setup({ cmd = require('podium.config').get().cmd, focus_ms = 50 })
  local root = open_repo()
  vim.fn.writefile({ 'b' }, root .. '/b.txt')
  wait('the first focus', function()
    return #support.sent('podium/didFocus') == 1
  end)
  for _ = 1, 10 do
    vim.cmd.edit(vim.fn.fnameescape(root .. '/b.txt'))
    vim.cmd.edit(vim.fn.fnameescape(root .. '/a file.txt'))
  end
  vim.cmd.edit(vim.fn.fnameescape(root .. '/b.txt'))
  local sent = wait('the second focus', function()
    local sent = support.sent('podium/didFocus')
    return #sent == 2 and sent
  end)
  equal(sent[2].uri, vim.uri_from_fname(root .. '/b.txt'))
end)

test('the status line follows podium/status without asking', function()
  open_repo()
  local podium = require('podium')
  wait('the first status', function()
    return podium.statusline() == '○ trunk-main: free'
  end)
  support.mock('mock/status', { state = 'other', text = 'trunk-main: claude-1 (3m)', worktree = 'trunk-main', sessions = 1 })
  wait('the claim', function()
    return podium.statusline() == '◆ trunk-main: claude-1 (3m)'
  end)
  equal(podium.status().state, 'other')
  support.mock('mock/status', { state = 'off', text = '', sessions = 0 })
  wait('off', function()
    return podium.statusline() == ''
  end)
end)

test('the status line is empty after the server ended', function()
  open_repo()
  wait('the first status', function()
    return require('podium').statusline() ~= ''
  end)
  support.client():stop()
  wait('no status', function()
    return require('podium').statusline() == ''
  end)
end)

test('the lualine component shows the status with percent signs escaped', function()
  local Base = {}
  Base.__index = Base
  function Base:init(options)
    self.options = options
  end
  function Base.extend(base)
    local class = setmetatable({ super = base }, { __index = base })
    return class
  end
  package.loaded['lualine.component'] = Base
  local Component = require('lualine.components.podium')
  open_repo()
  support.mock('mock/status', { state = 'mine', text = 'x: me 100%', worktree = 'trunk-main', sessions = 0 })
  wait('the status', function()
    return Component:update_status() == '● x: me 100%%'
  end)
  Component:init({})
  equal(Component.options.color(), 'DiagnosticOk')
end)

-- Worktrees and claims --------------------------------------------------------------------------------------

test('a created worktree is entered: working directory and the same file', function()
  local root = open_repo()
  local switched
  vim.api.nvim_create_autocmd('User', {
    pattern = 'PodiumSwitch',
    once = true,
    callback = function(args)
      switched = args.data.name
    end,
  })
  vim.cmd('Podium worktree create feat login')
  wait('the switch', function()
    return switched == 'feat-login'
  end)
  local path = vim.fs.normalize(root .. '/../feat-login')
  equal(vim.uv.fs_realpath(vim.fn.getcwd()), vim.uv.fs_realpath(path))
  equal(vim.uv.fs_realpath(vim.api.nvim_buf_get_name(0)), vim.uv.fs_realpath(path .. '/a file.txt'))
  assert(support.noticed('created feat-login'))
  local sent = support.sent('podium/worktree/create')[1]
  equal({ sent.type, sent.name }, { 'feat', 'login' })
  equal(sent.uri, vim.uri_from_fname(root .. '/a file.txt'))
end)

test('without arguments the user is asked for type and name', function()
  open_repo()
  local asked = support.answering({
    select = function(items)
      return items[2]
    end,
    input = 'typed name',
  })
  vim.cmd('Podium worktree create')
  wait('the worktree', function()
    return support.noticed('created fix-typed name')
  end)
  equal(asked.prompt, 'Name of the worktree: fix-')
end)

test('a conflict is told with its hints', function()
  open_repo()
  vim.cmd('Podium worktree create feat x')
  wait('the worktree', function()
    return support.noticed('created feat-x')
  end)
  vim.cmd('Podium claim feat-x agent=claude-1')
  wait('the claim', function()
    return support.noticed('feat-x is claimed by claude-1 (token 1)')
  end)
  vim.cmd('Podium claim feat-x')
  wait('the refusal', function()
    return support.noticed('feat-x is claimed by claude-1', 'hint: wait for it', 'hint: take it over')
  end)
  vim.cmd('Podium! claim feat-x')
  wait('the takeover', function()
    return support.noticed('feat-x is claimed by me')
  end)
  wait('the status line', function()
    return require('podium').statusline() == '● feat-x: me (100%)'
  end)
  vim.cmd('Podium release feat-x')
  wait('the release', function()
    return support.noticed('feat-x is free')
  end)
end)

test('a removed worktree is left, and undone', function()
  local root = open_repo()
  vim.cmd('Podium worktree create feat gone')
  wait('the switch', function()
    return vim.fn.getcwd():match('feat%-gone$')
  end)
  vim.cmd('Podium! worktree remove feat-gone keep_branch=true')
  wait('the removal', function()
    return support.noticed('removed feat-gone', ':Podium worktree undo u1')
  end)
  equal(vim.uv.fs_realpath(vim.fn.getcwd()), vim.uv.fs_realpath(root))
  local sent = support.sent('podium/worktree/remove')[1]
  equal({ sent.force, sent.keepBranch }, { true, true })
  vim.cmd('Podium worktree undo')
  wait('the undo', function()
    return support.noticed('brought back feat-back')
  end)
end)

test('the picker of worktrees switches', function()
  open_repo()
  vim.cmd('Podium worktree create feat one')
  wait('the switch', function()
    return vim.fn.getcwd():match('feat%-one$')
  end)
  vim.cmd('Podium worktree create feat two')
  wait('the switch', function()
    return vim.fn.getcwd():match('feat%-two$')
  end)
  local asked = support.answering({
    select = function(items)
      return items[2]
    end,
  })
  vim.cmd('Podium worktree list')
  wait('the switch back', function()
    return vim.fn.getcwd():match('feat%-one$')
  end)
  equal(asked.shown, { 'feat-two', 'feat-one' })
end)

-- Completion ------------------------------------------------------------------------------------------------

test('subcommands, options and names of the server complete', function()
  open_repo()
  local function complete(line)
    return vim.fn.getcompletion(line, 'cmdline')
  end
  equal(complete('Podium w'), { 'worktree' })
  equal(complete('Podium worktree s'), { 'switch' })
  equal(complete('Podium worktree create f'), { 'feat', 'fix', 'from=' })
  vim.cmd('Podium worktree create feat zebra')
  wait('the worktree', function()
    return support.noticed('created feat-zebra')
  end)
  require('podium.names').forget()
  equal(complete('Podium worktree switch feat-z'), { 'feat-zebra' })
  equal(complete('Podium claim feat-z'), { 'feat-zebra' })
  equal(complete('Podium session start provider='), { 'provider=anthropic', 'provider=local' })
  equal(complete('Podium session start worktree=fe'), { 'worktree=feat-zebra' })
  equal(complete('Podium nonsense x'), {})
end)

test('an unknown subcommand names those that exist', function()
  vim.cmd('Podium worktree destroy x')
  wait('the error', function()
    return support.noticed('there is no subcommand `destroy`', 'create, list, remove, switch, undo')
  end)
end)

-- Sessions --------------------------------------------------------------------------------------------------

test('a session streams into its buffer and ends', function()
  open_repo()
  local id, buf = start_session('Say hello.')
  push_items(id, 1, { item(2, 'text', 'Hel'), item(3, 'text', 'lo') })
  push_items(id, 1, { item(4, 'checkpoint', ''), item(5, 'text', ' there\nfriend') })
  push_items(id, 1, { item(6, 'text', '.', { final = true }), item(7, 'usage', '') }, {
    ['end'] = { status = 'completed', usage = { inputTokens = 3, outputTokens = 7, costUsd = 0 }, filesChanged = {} },
  })
  wait('the end', function()
    return text(buf) == '> Say hello.\n\nHello there\nfriend.'
  end)
  local bar = vim.api.nvim_eval_statusline(vim.wo.winbar, { winid = vim.fn.bufwinid(buf), use_winbar = true }).str
  assert(vim.startswith(bar, ' completed · 3 + 7 tokens · local · Say'), bar)
  equal({ vim.bo[buf].filetype, vim.bo[buf].buftype, vim.bo[buf].modifiable }, { 'markdown', 'nofile', false })
  equal(support.sent('podium/session/start')[1].provider, 'local')
end)

test('what is repeated or overtaken appears once and in order', function()
  open_repo()
  local id, buf = start_session('p')
  push_items(id, 1, { item(2, 'text', 'a'), item(3, 'text', 'b') })
  push_items(id, 7, { item(5, 'text', 'd') })
  push_items(id, 1, { item(2, 'text', 'a'), item(3, 'text', 'b'), item(4, 'text', 'c') })
  push_items(id, 1, { item(5, 'text', 'd'), item(6, 'text', 'e') })
  wait('the text', function()
    return text(buf) == '> p\n\nabcde'
  end)
end)

test('a gap in the stream is asked for again', function()
  open_repo()
  local id, buf = start_session('p')
  support.mock('mock/session', {
    id = id,
    status = 'in_progress',
    title = 'p',
    items = { item(1, 'prompt', 'p'), item(2, 'text', 'a'), item(3, 'text', 'b'), item(4, 'text', 'c') },
  })
  push_items(id, 1, { item(4, 'text', 'c') })
  wait('the whole text', function()
    return text(buf) == '> p\n\nabc'
  end)
  local attaches = support.sent('podium/session/attach')
  equal({ #attaches, attaches[2].fromSeq }, { 2, 1 })
  equal(support.sent('podium/unsubscribe')[1].subscription, 1)
end)

test('any cut of a stream gives the text of its items', function()
  open_repo()
  local id, buf = start_session('p')
  local kinds = { 'text', 'text', 'text', 'thinking', 'tool_call', 'tool_result', 'checkpoint', 'prompt', 'error' }
  local words = { 'a', ' b\n', '\n\n', 'ü😀', '- x', '', '\t', '> q\r\n' }
  math.randomseed(7)
  local items = { item(1, 'prompt', 'p') }
  for seq = 2, 400 do
    local extra = math.random(20) == 1 and { final = true } or nil
    items[seq] = item(seq, kinds[math.random(#kinds)], words[math.random(#words)], extra)
  end
  local sent = 1
  while sent < #items do
    local from = math.max(2, sent + 1 - math.random(0, 5))
    local to = math.min(#items, sent + math.random(1, 30))
    push_items(id, 1, vim.list_slice(items, from, to))
    sent = to
  end
  local expected = require('podium.transcript').render(items)
  wait('all items', function()
    return text(buf) == expected
  end)
end)

test('the cursor follows on the last line and stays elsewhere', function()
  open_repo()
  local id, buf = start_session('p')
  local win = vim.fn.bufwinid(buf)
  push_items(id, 1, { item(2, 'text', 'one\ntwo\nthree') })
  wait('three lines', function()
    return vim.api.nvim_buf_line_count(buf) == 5
  end)
  equal(vim.api.nvim_win_get_cursor(win)[1], 5)
  vim.api.nvim_win_set_cursor(win, { 2, 0 })
  push_items(id, 1, { item(3, 'text', '\nfour') })
  wait('a fourth', function()
    return vim.api.nvim_buf_line_count(buf) == 6
  end)
  equal(vim.api.nvim_win_get_cursor(win)[1], 2)
end)

test('q closes the window, and opening again goes on where the buffer is', function()
  open_repo()
  local id, buf = start_session('p')
  push_items(id, 1, { item(2, 'text', 'before') })
  wait('text', function()
    return text(buf):find('before', 1, true)
  end)
  vim.cmd.normal('q')
  equal(vim.fn.bufwinid(buf), -1)
  push_items(id, 1, { item(3, 'text', ' hidden') })
  wait('text in the hidden buffer', function()
    return text(buf) == '> p\n\nbefore hidden'
  end)
  vim.cmd('Podium session show ' .. id)
  wait('the window', function()
    return vim.fn.bufwinid(buf) ~= -1
  end)
  equal(text(buf), '> p\n\nbefore hidden')
end)

test('a stored session opens with its transcript, also by :edit and after a wipe', function()
  open_repo()
  support.mock('mock/session', {
    id = 'old',
    status = 'completed',
    title = 'old one',
    items = { item(1, 'prompt', 'why?'), item(2, 'text', 'be'), item(3, 'text', 'cause', { final = true }) },
  })
  local expected = '> why?\n\nbecause'
  for _, open in ipairs({ 'Podium session show old', 'edit!', 'edit podium://session/old' }) do
    vim.cmd(open)
    local buf = buffer_of('old')
    wait('the transcript after ' .. open, function()
      return text(buf) == expected
    end)
  end
  local subscribed = #support.sent('podium/session/attach')
  vim.cmd('bwipeout!')
  vim.cmd('Podium session show old')
  wait('the transcript after a wipe', function()
    return text(buffer_of('old')) == expected
  end)
  equal(#support.sent('podium/session/attach'), subscribed + 1)
end)

test('wiping the buffer of a running session ends its subscription', function()
  open_repo()
  local _, buf = start_session('p')
  vim.api.nvim_buf_delete(buf, { force = true })
  wait('the end of the subscription', function()
    local sent = support.sent('podium/unsubscribe')
    return #sent == 1 and sent[1].subscription == 1
  end)
end)

test('Ctrl-C cancels and r resumes', function()
  open_repo()
  local id, buf = start_session('p')
  push_items(id, 1, { item(2, 'text', 'half') })
  wait('text', function()
    return text(buf):find('half', 1, true)
  end)
  vim.api.nvim_feedkeys(vim.keycode('<C-c>'), 'xt', false)
  wait('the notice', function()
    return support.noticed('session s1 is cancelled')
  end)
  vim.cmd.normal('r')
  wait('another attach', function()
    local attaches = support.sent('podium/session/attach')
    return #attaches == 2 and attaches[2].fromSeq == 2
  end)
  push_items(id, 2, { item(3, 'text', ' and half') })
  wait('the rest', function()
    return text(buf) == '> p\n\nhalf and half'
  end)
end)

test('r on a complete session asks for the next prompt', function()
  open_repo()
  support.mock('mock/session', { id = 'done', status = 'completed', title = 't', items = { item(1, 'prompt', 'p') } })
  vim.cmd('Podium session show done')
  local buf = buffer_of('done')
  wait('the transcript', function()
    return text(buf) == '> p'
  end)
  support.answering({ input = 'and then?' })
  vim.cmd.normal('r')
  wait('the turn', function()
    local sent = support.sent('podium/session/resume')
    return #sent == 1 and sent[1].prompt == 'and then?'
  end)
end)

test('an end that overtakes the answer to attach counts', function()
  open_repo()
  local items = { item(1, 'prompt', 'p') }
  support.mock('mock/session', { id = 'q', status = 'failed', reason = 'no key', title = 't', items = items })
  vim.cmd('Podium session show q')
  local buf = buffer_of('q')
  wait('the status', function()
    local marks = vim.api.nvim_buf_get_extmarks(buf, -1, 0, -1, { details = true })
    return marks[1] and marks[1][4].virt_lines[1][1][1] == '— failed · no key'
  end)
end)

test('after the server died it is started again and the session goes on', function()
  open_repo()
  local id, buf = start_session('p')
  push_items(id, 1, { item(2, 'text', 'before') })
  wait('text', function()
    return text(buf):find('before', 1, true)
  end)
  local old = support.client().id
  support.client():notify('mock/die', { code = 3 })
  wait('a new server', function()
    local client = support.client()
    return client and client.id ~= old
  end)
  -- The new mock knows nothing of the session; the plugin asked for what it lacks all the same.
  wait('the attach', function()
    local attaches = support.sent('podium/session/attach')
    return #attaches == 1 and attaches[1].fromSeq == 2
  end)
  equal(text(buf), '> p\n\nbefore')
  assert(next(support.client().attached_buffers), 'files are attached again')
end)

test('a session that somebody else resumed goes on in an open buffer', function()
  open_repo()
  support.mock('mock/session', { id = 'z', status = 'completed', title = 't', items = { item(1, 'prompt', 'p') } })
  vim.cmd('Podium session show z')
  local buf = buffer_of('z')
  wait('the transcript', function()
    return text(buf) == '> p'
  end)
  support.mock('mock/session', {
    id = 'z',
    status = 'in_progress',
    title = 't',
    items = { item(1, 'prompt', 'p'), item(2, 'text', 'more') },
  })
  local event = { seq = 11, type = 'session.resumed', subject = 'session/z', data = {} }
  support.push('podium/event', { subscription = 900, event = event })
  wait('more', function()
    return text(buf) == '> p\n\nmore'
  end)
end)

test('the selection is the context of a session, in the positions of the server', function()
  local root = open_repo()
  vim.fn.cursor(1, 7)
  vim.cmd('normal! vj3l\27')
  local last = vim.fn.col("'>")
  assert(last > 0)
  vim.cmd("'<,'>Podium session start explain = this")
  local params = wait('the start', function()
    return support.sent('podium/session/start')[1]
  end)
  equal(params.prompt, 'explain = this')
  local lines = vim.fn.readfile(root .. '/a file.txt')
  local context = params.context
  equal(context.range.start, { line = 0, character = 6 })
  equal(context.range['end'].line, 1)
  equal(context.text, lines[1]:sub(7) .. '\n' .. vim.fn.strcharpart(lines[2], 0, vim.fn.charidx(lines[2], last - 1) + 1))
  equal(context.uri, vim.uri_from_fname(root .. '/a file.txt'))
end)

test('a range of lines reaches to their ends', function()
  open_repo()
  vim.fn.cursor(1, 1)
  vim.cmd('normal! V\27')
  vim.cmd('2Podium session start x')
  local params = wait('the start', function()
    return support.sent('podium/session/start')[1]
  end)
  equal(params.context.text, 'second 😀 line')
  -- The emoji is two units of UTF-16.
  equal(params.context.range, { start = { line = 1, character = 0 }, ['end'] = { line = 1, character = 14 } })
end)

test('the command of a code action opens the session', function()
  local root = open_repo()
  support.client():exec_cmd({
    title = 'Explain',
    command = 'podium.session.start',
    arguments = { { prompt = 'Explain this', uri = vim.uri_from_fname(root .. '/a file.txt') } },
  })
  wait('the buffer', function()
    return text(buffer_of('s1')) == '> Explain this'
  end)
end)

test('the code action that asks takes the question from an input box', function()
  local root = open_repo()
  support.answering({ input = 'why?' })
  support.client():exec_cmd({
    title = 'Ask',
    command = 'podium.ask',
    arguments = { { prompt = '', interactive = true, uri = vim.uri_from_fname(root .. '/a file.txt') } },
  })
  wait('the buffer', function()
    return text(buffer_of('s1')) == '> why?'
  end)
  equal(support.sent('workspace/executeCommand')[1].arguments[1].interactive, true)
end)

test('a failing start is told and opens nothing', function()
  open_repo()
  support.mock('mock/fail', {
    method = 'podium/session/start',
    error = { kind = 'unavailable', message = 'no provider is usable', hints = { 'podium models fetch' } },
  })
  vim.cmd('Podium session start hi')
  wait('the error', function()
    return support.noticed('no provider is usable', 'hint: podium models fetch')
  end)
  equal(vim.fn.bufnr('podium://session/s1'), -1)
end)

-- Reports and pickers ---------------------------------------------------------------------------------------

test('an artifact that is found opens read-only', function()
  open_repo()
  support.answering({
    select = function(items)
      return items[1]
    end,
  })
  vim.cmd('Podium artifact search big answer')
  wait('the content', function()
    return vim.api.nvim_buf_get_name(0) == 'podium://artifact/a1' and text(0) == '# Answer\n'
  end)
  equal({ vim.bo.filetype, vim.bo.modifiable }, { 'markdown', false })
  equal(support.sent('podium/artifact/search')[1].query, 'big answer')
end)

test('a question in the inbox is announced and answered', function()
  open_repo()
  support.push('podium/event', {
    subscription = 900,
    event = { seq = 11, type = 'inbox.asked', data = { question = 'May I push?', agentId = 'claude-1' } },
  })
  wait('the announcement', function()
    return support.noticed('claude-1 asks: May I push?', ':Podium inbox')
  end)
  local picks = 0
  local select = vim.ui.select
  vim.ui.select = function(items, _, on_choice)
    picks = picks + 1
    on_choice(items[1])
  end
  vim.cmd('Podium inbox')
  wait('the answer', function()
    return support.noticed('answered claude-1: allow')
  end)
  vim.ui.select = select
  equal(picks, 2)
end)

test('doctor, log and status can be read', function()
  open_repo()
  vim.cmd('Podium doctor')
  wait('the report', function()
    return vim.api.nvim_buf_get_name(0) == 'podium://doctor' and text(0):find('BROKEN    model: checksum differs', 1, true)
  end)
  vim.cmd('Podium log')
  wait('the log', function()
    return vim.api.nvim_buf_get_name(0) == 'podium://log' and text(0):find('worktree.created worktree/1 {"name":"x"}', 1, true)
  end)
  vim.cmd('Podium status')
  wait('the status', function()
    return support.noticed('daemon 0.1, pid 7')
  end)
end)

test('checkhealth tells what is there and what is not', function()
  local program = vim.fn.tempname()
  vim.fn.writefile({
    '#!/bin/sh',
    'case "$*" in',
    '--version) echo "podium 9.9.9" ;;',
    '"daemon status --json") echo \'{"success":true,"data":{"version":"9.9.9","pid":42,"uptimeMs":5000}}\' ;;',
    '"models list --json") echo \'{"success":true,"data":{"models":[{"name":"smol","state":"absent"}]}}\' ;;',
    '"doctor --json") echo \'{"success":false,"error":{"kind":"unavailable","message":"no daemon","hints":[]}}\'; exit 5 ;;',
    'esac',
  }, program)
  vim.fn.setfperm(program, 'rwx------')
  require('podium').setup({ cmd = { program, 'lsp' } })
  vim.cmd('checkhealth podium')
  local said = text(0)
  for _, piece in ipairs({
    'podium 9.9.9',
    'daemon 9.9.9 runs as process 42, up 5 s',
    'model smol is absent',
    '`podium doctor`: no daemon',
  }) do
    assert(said:find(piece, 1, true), said)
  end
  require('podium').setup({ cmd = { '/nowhere/podium', 'lsp' } })
  vim.cmd('checkhealth podium')
  assert(text(0):find('`/nowhere/podium` is not an executable program', 1, true), text(0))
end)

test('wrong settings are refused and change nothing', function()
  local before = require('podium.config').get()
  local ok, problem = pcall(require('podium').setup, { switch = { scope = 'galaxy' } })
  equal(ok, false)
  assert(tostring(problem):find('switch.scope', 1, true), problem)
  equal(require('podium.config').get(), before)
end)

-- Running ---------------------------------------------------------------------------------------------------

local function leaked_globals()
  local leaked = {}
  for name in pairs(_G) do
    if not globals_before[name] then
      leaked[#leaked + 1] = tostring(name)
    end
  end
  return leaked
end

support.main(function()
  local filter = vim.env.PODIUM_TEST_FILTER
  local failed, ran = {}, 0
  for _, case in ipairs(tests) do
    if not filter or case.name:find(filter, 1, true) then
      ran = ran + 1
      set_up()
      local began = vim.uv.hrtime()
      local ok, problem = xpcall(case.body, function(err)
        return debug.traceback(tostring(err), 2)
      end)
      io.stdout:write(('%s %s (%.0f ms)\n'):format(ok and 'ok  ' or 'FAIL', case.name, (vim.uv.hrtime() - began) / 1e6))
      if not ok then
        failed[#failed + 1] = case.name
        io.stdout:write(problem .. '\n')
      end
      clean_up()
    end
  end
  equal(leaked_globals(), {}, 'globals were left behind')
  io.stdout:write(('%d passed, %d failed\n'):format(ran - #failed, #failed))
  assert(ran > 0, 'no test matches')
  assert(#failed == 0, 'failed: ' .. table.concat(failed, '; '))
end)
