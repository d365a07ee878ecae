-- Worktrees and claims.
local fixture = require('fixture')
local support = require('support')

local wait, equal = support.wait, support.equal
local open_repo = fixture.open_repo

---@param test fun(name: string, body: fun())
return function(test)
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

  test('a review is opened by its number, which is asked for, and gone to', function()
    open_repo()
    support.answering({
      input = '#7',
    })
    vim.cmd('Podium worktree review')
    wait('the switch', function()
      return vim.fn.getcwd():match('review%-7$')
    end)
    equal(support.sent('podium/worktree/review')[1].number, '#7')
    wait('what it is', function()
      return support.noticed('opened review-7: Count the sheep by bob', 'request 7 is merged')
    end)
    vim.cmd('Podium worktree review 8 remote=upstream')
    wait('the next one', function()
      return vim.fn.getcwd():match('review%-8$')
    end)
    equal(support.sent('podium/worktree/review')[2].remote, 'upstream')
  end)

  test('the picker tells how long ago something happened in a worktree', function()
    local activity = require('podium.worktree').activity
    local tree = { lastCommit = { time = '2026-01-01T00:00:00Z' } }
    equal(activity(tree, 1767225600 + 125), 'active 2m ago')
    tree.claim = { since = '2026-01-01T00:02:00.500Z' }
    equal(activity(tree, 1767225600 + 125), 'active 5s ago')
    equal(activity({}, 1767225600), nil)
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
end
