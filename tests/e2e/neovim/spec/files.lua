-- The files of the plugin: code that compiles, help that is complete.

local here = _G.PODIUM_TEST.folder

---@param test fun(name: string, body: fun())
return function(test)
  test('every Lua file compiles', function()
    local plugin = vim.api.nvim_get_runtime_file('lua/podium/init.lua', false)[1]:gsub('/lua/podium/init.lua$', '')
    local files = vim.fs.find(function(name)
      return name:match('%.lua$') ~= nil
    end, { path = plugin, type = 'file', limit = math.huge })
    vim.list_extend(files, vim.fn.glob(here .. '/**/*.lua', true, true))
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
end
