--- What a session changed, file by file: as it was beside as it is, each change kept or taken back by a key.
local files = require('podium.files')
local hunks = require('podium.hunks')
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

local namespace = vim.api.nvim_create_namespace('podium.review')

local HELP = 'ga keep · gr reject · gR reject the whole file · ]c [c next, previous change · ]f [f next, previous file · q close'
local KEYS = { 'ga', 'gr', 'gR', ']f', '[f', 'q', 'g?' }

-- Why the lines of a file are not shown.
local OMITTED = {
  binary = 'not text',
  too_large = 'too large to show',
  secret = 'holds secrets',
  repository = 'a repository of its own',
}

---@class podium.Review
---@field id string
---@field root string
---@field files table[] FileDiff
---@field at integer Place of the file that is shown, from 1.
---@field turn integer?
---@field kept table<string, table<integer, true>> Hunks that the user said yes to, by path.
---@field now integer Buffer of the file.
---@field before integer Buffer of what was there before.

---@param review podium.Review
---@return table FileDiff
local function file_of(review)
  return review.files[review.at]
end

--- Changes that wait for the user's word.
---@param review podium.Review
---@return podium.Placed[]
local function waiting(review)
  local file = file_of(review)
  local kept = review.kept[file.path] or {}
  local lines = vim.api.nvim_buf_get_lines(review.now, 0, -1, false)
  return vim.tbl_filter(function(one)
    return not kept[one.hunk]
  end, hunks.place(lines, file.hunks))
end

---@param review podium.Review
---@return string[]
local function before(review)
  local file = file_of(review)
  if file.status == 'deleted' then
    return hunks.old(file.hunks)
  end
  local lines = vim.api.nvim_buf_get_lines(review.now, 0, -1, false)
  return hunks.without(lines, hunks.place(lines, file.hunks))
end

--- Says at each change what can be done with it.
---@param review podium.Review
local function mark(review)
  vim.api.nvim_buf_clear_namespace(review.now, namespace, 0, -1)
  local last = vim.api.nvim_buf_line_count(review.now)
  for _, one in ipairs(waiting(review)) do
    vim.api.nvim_buf_set_extmark(review.now, namespace, math.min(one.changed, last) - 1, 0, {
      virt_text = { { '  ga keep · gr reject', 'Comment' } },
    })
  end
end

---@param review podium.Review
local function refresh(review)
  if not vim.api.nvim_buf_is_valid(review.before) then
    return
  end
  vim.bo[review.before].modifiable = true
  vim.api.nvim_buf_set_lines(review.before, 0, -1, false, before(review))
  vim.bo[review.before].modifiable = false
  mark(review)
  vim.cmd.diffupdate()
end

--- The cursor in the file's window; both windows move together.
---@param review podium.Review
---@return integer win
local function window(review)
  local win = vim.fn.bufwinid(review.now)
  return win ~= -1 and win or vim.api.nvim_get_current_win()
end

---@param review podium.Review
---@return podium.Placed?
local function current(review)
  return hunks.at(waiting(review), vim.api.nvim_win_get_cursor(window(review))[1])
end

---@param review podium.Review
local function to_next(review)
  local left = waiting(review)
  local one = left[1]
  if one then
    local last = vim.api.nvim_buf_line_count(review.now)
    vim.api.nvim_win_set_cursor(window(review), { math.min(one.changed, last), 0 })
  else
    notice.info(('%s is reviewed'):format(file_of(review).path))
  end
end

---@param review podium.Review
local function keep(review)
  local one = current(review)
  if one then
    local path = file_of(review).path
    review.kept[path] = review.kept[path] or {}
    review.kept[path][one.hunk] = true
    mark(review)
    to_next(review)
  end
end

--- Takes back one change, or the whole file.
---@param review podium.Review
---@param hunk integer?
local function revert(review, hunk)
  local file = file_of(review)
  if vim.bo[review.now].modified then
    return notice.warn(('%s has changes that are not saved: write or undo them first'):format(file.path))
  end
  local params = {
    id = review.id,
    path = file.path,
    pathBytes = file.pathBytes,
    hunks = hunk and { hunk } or nil,
    turn = review.turn,
  }
  server.ask('session/revert', params, function(answer)
    review.files[review.at] = answer.file
    files.look()
    vim.schedule(function()
      refresh(review)
      to_next(review)
    end)
  end)
end

---@param review podium.Review
local function reject(review)
  local one = current(review)
  if one then
    revert(review, one.hunk)
  elseif file_of(review).status == 'deleted' then
    revert(review)
  end
end

---@param review podium.Review
local function leave(review)
  if vim.api.nvim_buf_is_valid(review.now) then
    vim.api.nvim_buf_clear_namespace(review.now, namespace, 0, -1)
    for _, key in ipairs(KEYS) do
      pcall(vim.keymap.del, 'n', key, { buffer = review.now })
    end
  end
end

local show

---@param review podium.Review
---@param step integer
local function move(review, step)
  local at = review.at + step
  if not review.files[at] then
    return notice.info(step > 0 and 'this is the last file' or 'this is the first file')
  end
  vim.cmd.tabclose()
  show(review, at)
end

---@param review podium.Review
local function keys(review)
  local actions = {
    ga = { keep, 'Keep this change' },
    gr = { reject, 'Reject this change' },
    gR = { revert, 'Reject all changes of this file' },
    [']f'] = { function() move(review, 1) end, 'Next changed file' },
    ['[f'] = { function() move(review, -1) end, 'Previous changed file' },
    q = { function() vim.cmd.tabclose() end, 'Close the review' },
    ['g?'] = { function() notice.info(HELP) end, 'What the keys do' },
  }
  for _, buf in ipairs({ review.now, review.before }) do
    for lhs, action in pairs(actions) do
      vim.keymap.set('n', lhs, function()
        action[1](review)
      end, { buffer = buf, nowait = true, desc = action[2] })
    end
  end
end

---@param review podium.Review
---@param at integer
show = function(review, at)
  review.at = at
  local file = file_of(review)
  if #file.hunks == 0 then
    return notice.info(('%s: %s; `:Podium session revert` takes it back'):format(file.path, OMITTED[file.omitted] or 'no lines'))
  end
  local path = vim.fs.joinpath(review.root, file.path)
  vim.cmd.tabnew()
  if file.status == 'deleted' then
    vim.bo.buftype, vim.bo.bufhidden = 'nofile', 'wipe'
  else
    vim.cmd.edit(vim.fn.fnameescape(path))
  end
  review.now = vim.api.nvim_get_current_buf()
  local name = ('podium://before/%s/%s'):format(review.id, file.path)
  review.before = files.beside(name, before(review), vim.filetype.match({ filename = path }) or '')
  keys(review)
  mark(review)
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = review.before,
    once = true,
    callback = function()
      leave(review)
    end,
  })
  to_next(review)
end

---@param review podium.Review
local function choose(review)
  if #review.files == 1 then
    return show(review, 1)
  end
  vim.ui.select(vim.tbl_keys(review.files), {
    prompt = 'Changed files',
    kind = 'podium-changes',
    format_item = function(at)
      local file = review.files[at]
      local what = OMITTED[file.omitted] or ('%d changes'):format(#file.hunks)
      return ('%-9s %s (%s)'):format(file.status, file.path, what)
    end,
  }, function(at)
    if at then
      show(review, at)
    end
  end)
end

--- Reviews what a session changed, or one of its turns.
---@param id string
---@param opts { turn: integer? }?
function M.open(id, opts)
  local turn = opts and opts.turn
  server.ask('session/show', { id = id, fromSeq = 2 ^ 31 }, function(shown)
    server.ask('session/diff', { id = shown.id, turn = turn }, function(diff)
      if #diff.files == 0 or not shown.worktreePath then
        return notice.info('this session changed no files')
      end
      choose({ id = shown.id, root = shown.worktreePath, files = diff.files, at = 1, turn = turn, kept = {} })
    end)
  end)
end

--- Takes back all that a session changed in one file.
---@param id string
---@param path string
function M.revert(id, path)
  server.ask('session/revert', { id = id, path = path }, function(answer)
    notice.info(('%d files were brought back'):format(#answer.filesChanged))
    files.look()
  end)
end

return M
