-- The status line, and what the server is told of the focus.
local fixture = require('fixture')
local support = require('support')

local wait, equal = support.wait, support.equal
local open_repo = fixture.open_repo

---@param test fun(name: string, body: fun())
return function(test)
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
end
