-- Which files the language server is attached to.
local fixture = require('fixture')
local support = require('support')

local wait, equal = support.wait, support.equal
local new_repo, open_repo = fixture.new_repo, fixture.open_repo
local here = _G.PODIUM_TEST.folder

---@param test fun(name: string, body: fun())
return function(test)
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
      "vim.lsp.enable('podium')",
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
end
