-- What a session is started with, and from where.
local fixture = require('fixture')
local support = require('support')

local text, wait, equal = support.text, support.wait, support.equal
local open_repo, buffer_of = fixture.open_repo, fixture.buffer_of

---@param test fun(name: string, body: fun())
return function(test)
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
end
