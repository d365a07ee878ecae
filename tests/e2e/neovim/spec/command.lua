-- Subcommands and their completion.
local fixture = require('fixture')
local support = require('support')

local wait, equal = support.wait, support.equal
local open_repo = fixture.open_repo

---@param test fun(name: string, body: fun())
return function(test)
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
      return support.noticed('there is no subcommand `destroy`', 'create, list, remove, review, switch, undo')
    end)
  end)
end
