-- What a session changed: reviewed, kept, taken back; and files that change under the editor.
local fixture = require('fixture')
local support = require('support')

local wait, equal = support.wait, support.equal
local item = fixture.item

local BEFORE = { '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local AFTER = { '1', 'two', 'zwei', '3', '4', '5', '6', '7', '9' }

---@param lines string[]
---@param start integer[]
---@return table DiffHunk
local function hunk(start, lines)
  local counts = { ['+'] = 0, ['-'] = 0, [' '] = 0 }
  for _, line in ipairs(lines) do
    counts[line:sub(1, 1)] = counts[line:sub(1, 1)] + 1
  end
  return {
    oldStart = start[1],
    oldLines = counts[' '] + counts['-'],
    newStart = start[2],
    newLines = counts[' '] + counts['+'],
    lines = lines,
    state = 'there',
  }
end

--- A session that changed `a file.txt` of the repository.
---@return string file
local function changed()
  local root = fixture.open_repo()
  local file = root .. '/a file.txt'
  vim.fn.writefile(AFTER, file)
  support.mock('mock/session', {
    id = 'done',
    status = 'completed',
    title = 't',
    worktree = 'w',
    worktreePath = root,
    items = { item(1, 'prompt', 'p') },
  })
  support.mock('mock/diff', {
    root = root,
    files = {
      {
        path = 'a file.txt',
        status = 'modified',
        binary = false,
        hunks = { hunk({ 1, 1 }, { ' 1', '-2', '+two', '+zwei', ' 3' }), hunk({ 7, 8 }, { ' 7', '-8', ' 9' }) },
      },
    },
  })
  vim.cmd('silent edit!')
  return file
end

---@return table<string, string[]> Lines of the two windows of the review.
local function sides()
  local found = {}
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    local buf = vim.api.nvim_win_get_buf(win)
    local before = vim.startswith(vim.api.nvim_buf_get_name(buf), 'podium://before/')
    assert(vim.wo[win].diff, 'the window is in diff mode')
    found[before and 'before' or 'now'] = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  end
  return found
end

local function open_review()
  vim.cmd('Podium session diff done')
  wait('the review', function()
    return vim.fn.tabpagenr('$') == 2
  end)
end

---@param test fun(name: string, body: fun())
return function(test)
  test('a review shows both sides, and a rejected change is taken back in the file', function()
    local file = changed()
    open_review()
    equal(sides(), { before = BEFORE, now = AFTER })
    equal(vim.api.nvim_win_get_cursor(0)[1], 2)
    vim.cmd.normal('gr')
    wait('the first change to be gone', function()
      return vim.deep_equal(sides(), { before = BEFORE, now = { '1', '2', '3', '4', '5', '6', '7', '9' } })
    end)
    equal(vim.fn.readfile(file), { '1', '2', '3', '4', '5', '6', '7', '9' })
    equal(support.sent('podium/session/revert')[1].hunks, { 0 })
    vim.cmd.normal('ga')
    wait('the word that all is reviewed', function()
      return support.noticed('a file.txt is reviewed')
    end)
    equal(#support.sent('podium/session/revert'), 1)
    vim.cmd.normal('q')
    equal(vim.fn.tabpagenr('$'), 1)
    equal(vim.fn.maparg('gr', 'n', false, true), {}, 'the keys are gone with the review')
  end)

  test('a change in a buffer that is not saved is not taken back', function()
    local file = changed()
    open_review()
    vim.api.nvim_buf_set_lines(0, 0, 0, false, { 'mine' })
    vim.cmd.normal('gr')
    wait('the refusal', function()
      return support.noticed('has changes that are not saved')
    end)
    equal({ #support.sent('podium/session/revert'), vim.fn.readfile(file) }, { 0, AFTER })
    -- What was typed is on both sides, so that the diff is the session's alone.
    equal(sides().now[1], 'mine')
    vim.cmd('silent undo')
  end)

  test('hunks are found where others moved them to, and left alone where somebody changed them', function()
    local hunks = require('podium.hunks')
    local both = { hunk({ 1, 1 }, { ' 1', '-2', '+two', '+zwei', ' 3' }), hunk({ 7, 8 }, { ' 7', '-8', ' 9' }) }
    local moved = vim.list_extend({ 'new', 'lines' }, AFTER)
    local placed = hunks.place(moved, both)
    equal({ placed[1].changed, placed[2].changed }, { 4, 11 })
    equal(hunks.without(moved, placed), vim.list_extend({ 'new', 'lines' }, BEFORE))
    equal(hunks.place({ 'other', 'text' }, both), {})
    both[1].state = 'gone'
    local rest = { '1', '2', '3', '4', '5', '6', '7', '9' }
    equal(hunks.without(rest, hunks.place(rest, both)), BEFORE)
  end)

  local function tell()
    support.push('podium/event', { subscription = 900, event = { seq = 11, type = 'worktree.changed', data = {} } })
  end

  test('a file that a session writes is read again, unless the buffer has unsaved changes', function()
    local root = fixture.open_repo()
    local file, buf = root .. '/a file.txt', vim.api.nvim_get_current_buf()
    vim.fn.writefile({ 'written by a session' }, file)
    tell()
    wait('the new text', function()
      return support.text(buf) == 'written by a session'
    end)
    vim.api.nvim_buf_set_lines(buf, 0, 0, false, { 'mine' })
    vim.fn.writefile({ 'written again, and longer' }, file)
    tell()
    wait('the warning', function()
      return support.noticed('a file.txt was changed on the disk while it has unsaved changes', ':Podium diff')
    end)
    equal({ support.text(buf), vim.bo[buf].modified }, { 'mine\nwritten by a session', true })
    vim.cmd('Podium diff')
    local shown = {}
    for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
      shown[#shown + 1] = { vim.wo[win].diff, support.text(vim.api.nvim_win_get_buf(win)) }
    end
    equal(shown, { { true, 'written again, and longer' }, { true, 'mine\nwritten by a session' } })
    vim.bo[buf].modified = false
  end)

  test('past sessions are found by their words, forked and rewound', function()
    changed()
    local asked = support.answering({
      select = function(items)
        return items[1]
      end,
    })
    vim.cmd('Podium session search lighthouse')
    wait('the session', function()
      return vim.api.nvim_buf_get_name(0) == 'podium://session/done'
    end)
    equal({ #asked.shown, support.sent('podium/session/search')[1].query }, { 1, 'lighthouse' })
    equal(asked.shown[1]:match('  … .*$'), '  … the lighthouse was dark')
    vim.cmd('Podium session fork')
    wait('the fork', function()
      return vim.api.nvim_buf_get_name(0) == 'podium://session/forked'
    end)
    support.answering({
      select = function(items, opts)
        equal(vim.tbl_map(opts.format_item, items), { 'turn 1, after the answer: p', 'turn 1, before the prompt: p' })
        return items[2]
      end,
    })
    vim.cmd('Podium session rewind done')
    wait('what was left as it is', function()
      return support.noticed('a.txt was left as it is')
    end)
    equal(support.sent('podium/session/rewind')[1].to, 'c1')
  end)
end
