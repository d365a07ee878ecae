-- A session whose agent changes a file and asks: the question is answered, its change taken back in part, and it is gone
-- on with. Run as drive.lua is, with
--   PODIUM_E2E_WORKSPACE   a git repository with a worktree `feat-agent`
--   PODIUM_E2E_FILE        the file that the agent changes, absolute, in that worktree
--   PODIUM_E2E_REVIEW      1: one of its two changes is taken back in the diff
--   PODIUM_E2E_OUT         where the result is written, as JSON
-- and what the provider `anthropic` needs.
vim.env.PODIUM_TEST_TIMEOUT_MS = vim.env.PODIUM_TEST_TIMEOUT_MS or '60000'
package.path = _G.PODIUM_TEST.folder .. '/?.lua;' .. package.path
local support = require('support')
local wait, text, equal = support.wait, support.text, support.equal

local file = assert(vim.env.PODIUM_E2E_FILE)
local result = {}

local sessions = {} ---@type table<string, table>
vim.api.nvim_create_autocmd('User', {
  pattern = 'PodiumSession',
  callback = function(args)
    sessions[args.data.id] = args.data
  end,
})

---@param id string
local function wait_for_end(id)
  wait('the session to end', function()
    return sessions[id] and not sessions[id].live and sessions[id].status ~= 'in_progress'
  end)
  equal(sessions[id].status, 'completed')
end

local function start()
  vim.cmd.edit(vim.fn.fnameescape(file))
  local buf = vim.api.nvim_get_current_buf()
  wait('the server to attach', function()
    return support.client() and support.client().attached_buffers[buf]
  end)
  -- Not where the agent will change it: typed text must survive what is written meanwhile.
  vim.cmd('Podium session start provider=anthropic worktree=feat-agent Change the poem, please')
  local id = wait('the session buffer', function()
    return vim.api.nvim_buf_get_name(0):match('^podium://session/(.+)$')
  end)
  return id, buf
end

local function answer_the_question()
  local before = vim.api.nvim_get_current_win()
  wait('the question to be told of', function()
    return support.noticed('asks', ':Podium inbox')
  end)
  equal(vim.api.nvim_get_current_win(), before, 'the window with the focus')
  -- First which question, then what may be said to it.
  local select = vim.ui.select
  local shown = {}
  vim.ui.select = function(items, opts, on_choice)
    local labels = vim.tbl_map(opts.format_item, items)
    table.insert(shown, labels)
    on_choice(items[1], 1)
  end
  vim.cmd('Podium inbox')
  wait('the answer', function()
    return support.noticed('answered', 'allow')
  end)
  vim.ui.select = select
  equal({ #shown[1], shown[2][1], shown[2][#shown[2]] }, { 1, 'allow once', 'see what would be done' })
  result.asked = shown[1][1]
end

---@param id string
---@param buf integer
local function look_at_it(id, buf)
  local session = vim.fn.bufnr('^podium://session/' .. id .. '$')
  local shown = text(session)
  assert(shown:find('I change **two** lines.', 1, true), shown)
  local folded = {}
  local win = vim.fn.bufwinid(session)
  vim.api.nvim_win_call(win, function()
    for line = 1, vim.api.nvim_buf_line_count(session) do
      if vim.fn.foldclosed(line) == line then
        table.insert(folded, (vim.fn.foldtextresult(line):gsub('%s+%(.*', '')))
      end
    end
  end)
  equal(folded, { '- tool edit_file `poem.txt`', '- tool run_command `true`' })
  vim.api.nvim_set_current_win(win)
  result.statusline = require('podium').statusline()
  assert(result.statusline:match('^completed · %d+ %+ %d+ tokens'), result.statusline)
  -- What the agent wrote is in the buffer that was open all the time.
  wait('the open buffer to be read again', function()
    return text(buf):find('zwei', 1, true)
  end)
end

---@param buf integer
local function reject_one_change(buf)
  -- In the session's buffer.
  vim.cmd.normal('d')
  wait('the review', function()
    return vim.fn.tabpagenr('$') == 2
  end)
  equal(vim.api.nvim_get_current_buf(), buf, 'the right side is the file itself')
  equal(vim.api.nvim_win_get_cursor(0)[1], 2, 'the cursor is on the first change')
  vim.cmd.normal('gr')
  wait('the first change to be gone, from file and buffer', function()
    local now = table.concat(vim.fn.readfile(file), '\n')
    return not now:find('zwei', 1, true) and now:find('neunzehn', 1, true) and text(buf) == now
  end)
  equal(vim.api.nvim_win_get_cursor(0)[1], 19, 'the cursor goes to the next one')
  vim.cmd.normal('ga')
  wait('the end of the review', function()
    return support.noticed('poem.txt is reviewed')
  end)
  vim.cmd.normal('q')
end

---@param id string
local function go_on(id)
  sessions[id] = nil
  vim.cmd('Podium session resume ' .. id .. ' Thank you')
  wait('the next turn', function()
    return text(vim.fn.bufnr('^podium://session/' .. id .. '$')):find('You are welcome.', 1, true)
  end)
  wait_for_end(id)
end

---@param id string
local function find_it(id)
  vim.cmd.enew()
  support.answering({
    select = function(items)
      return items[1]
    end,
  })
  vim.cmd('Podium session search welcome')
  wait('the session that was found', function()
    return vim.api.nvim_buf_get_name(0) == 'podium://session/' .. id
  end)
end

--- A file that is edited in the editor and written by somebody else: neither side is lost.
---@param buf integer
local function keep_what_is_typed(buf)
  vim.cmd.buffer(buf)
  vim.api.nvim_buf_set_lines(buf, 0, 0, false, { 'typed' })
  local theirs = vim.list_extend({ 'theirs' }, vim.fn.readfile(file))
  vim.fn.writefile(theirs, file)
  vim.fn.writefile({ 'new' }, file .. '.new')
  wait('the warning', function()
    return support.noticed('poem.txt was changed on the disk while it has unsaved changes')
  end)
  equal({ vim.bo[buf].modified, vim.api.nvim_buf_get_lines(buf, 0, 1, false) }, { true, { 'typed' } })
  equal(vim.fn.readfile(file), theirs)
end

support.main(function()
  local id, buf = start()
  answer_the_question()
  wait_for_end(id)
  look_at_it(id, buf)
  go_on(id)
  find_it(id)
  if vim.env.PODIUM_E2E_REVIEW == '1' then
    reject_one_change(buf)
  end
  result.file = vim.fn.readfile(file)
  keep_what_is_typed(buf)
  vim.fn.writefile({ vim.json.encode(result) }, assert(vim.env.PODIUM_E2E_OUT))
end)
