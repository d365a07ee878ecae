-- A session and its buffer.
local fixture = require('fixture')
local support = require('support')

local text, wait, equal = support.text, support.wait, support.equal
local open_repo, item, buffer_of = fixture.open_repo, fixture.item, fixture.buffer_of
local push_items, start_session = fixture.push_items, fixture.start_session

---@param test fun(name: string, body: fun())
return function(test)
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

  test('Ctrl-C cancels and r asks for another turn', function()
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
    -- What a person ended goes on only with something to add.
    support.answering({ input = 'shorter' })
    vim.cmd.normal('r')
    wait('the turn', function()
      local sent = support.sent('podium/session/resume')
      return #sent == 1 and sent[1].prompt == 'shorter'
    end)
    wait('another attach', function()
      local attaches = support.sent('podium/session/attach')
      return #attaches == 2 and attaches[2].fromSeq == 2
    end)
    push_items(id, 2, { item(3, 'text', ' and half') })
    wait('the rest', function()
      return text(buf) == '> p\n\nhalf and half'
    end)
  end)

  test('a tool call is folded with its permission and result, and the answer is not', function()
    open_repo()
    local id, buf = start_session('p')
    local call = { data = { id = 't1', name = 'write_file', input = { path = 'src/a.lua', content = 'x\ny' } } }
    push_items(id, 1, { item(2, 'text', 'I write it.'), item(3, 'tool_call', 'write_file', call) })
    push_items(id, 1, {
      item(4, 'permission', 'allowed: write_file'),
      item(5, 'tool_result', 'wrote 2 lines\nto src/a.lua', { data = { id = 't1', isError = false } }),
      item(6, 'text', 'Done.\nAll of it.'),
    })
    wait('the text', function()
      return text(buf):find('All of it.', 1, true)
    end)
    local shown = '> p\n\nI write it.\n\n- **tool** write_file `src/a.lua`\n- **permission** allowed: write_file\n'
      .. '- **result** wrote 2 lines\n  to src/a.lua\n\nDone.\nAll of it.'
    equal(text(buf), shown)
    local folds = {}
    for line = 1, vim.api.nvim_buf_line_count(buf) do
      folds[line] = vim.fn.foldclosed(line)
    end
    equal(folds, { -1, -1, -1, -1, 5, 5, 5, 5, -1, -1, -1 })
    equal(vim.fn.foldtextresult(5), '- tool write_file `src/a.lua`  (3 more lines)')
  end)

  test('tokens and cost are in the status line of the session', function()
    open_repo()
    local id = start_session('p')
    local used = { inputTokens = 1200, outputTokens = 34, costUsd = 0.0123 }
    push_items(id, 1, { item(2, 'text', 'x', { final = true }), item(3, 'usage', '', { data = used }) })
    wait('the usage while it runs', function()
      return require('podium').statusline() == 'running · 1200 + 34 tokens · $0.0123'
    end)
    local unknown = { inputTokens = 1200, outputTokens = 34, costUsd = vim.NIL }
    push_items(id, 1, { item(4, 'usage', '', { data = unknown }) }, {
      context = { used = 50000, window = 200000 },
      health = { state = 'silent', since = '2026-01-02T03:04:05Z', revived = 0 },
    })
    wait('an unknown cost, the window, and silence', function()
      return require('podium').statusline() == 'running · silent · 1200 + 34 tokens · cost unknown · 25% of 200k'
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
end
