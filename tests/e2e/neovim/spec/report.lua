-- Reports and pickers.
local fixture = require('fixture')
local support = require('support')

local text, wait, equal = support.text, support.wait, support.equal
local open_repo = fixture.open_repo

---@param test fun(name: string, body: fun())
return function(test)
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

  test('a question about a tool shows what would be done and takes a scope', function()
    open_repo()
    local wanted = { 'see what would be done', 'allow for this session' }
    local select = vim.ui.select
    vim.ui.select = function(items, options, on_choice)
      if options.kind == 'podium-inbox' then
        return on_choice(items[2])
      end
      local label = table.remove(wanted, 1)
      for _, entry in ipairs(items) do
        if options.format_item(entry) == label then
          return on_choice(entry)
        end
      end
      error('no choice ' .. label)
    end
    vim.cmd('Podium inbox')
    wait('the change', function()
      return vim.bo.filetype == 'diff' and vim.api.nvim_buf_get_lines(0, 3, 5, false)[1] == '-old'
    end)
    vim.cmd('close')
    vim.cmd('Podium inbox')
    wait('the answer', function()
      local sent = support.sent('podium/inbox/answer')
      local last = sent[#sent]
      return last and last.id == 'q2' and last.decision == 'allow' and last.scope == 'session'
    end)
    vim.ui.select = select
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
end
