--- Sessions: starting, resuming, cancelling, and the buffer `podium://session/<id>` that follows one.
local config = require('podium.config')
local fold = require('podium.fold')
local notice = require('podium.notice')
local server = require('podium.server')
local stream = require('podium.stream')
local transcript = require('podium.transcript')

local M = {}

local PREFIX = 'podium://session/'
local namespace = vim.api.nvim_create_namespace('podium.session')

---@class podium.View
---@field id string
---@field buf integer
---@field stream podium.Stream
---@field transcript podium.Transcript
---@field queue { kind: string, piece: string }[] Text that is not yet in the buffer.

local views = {} ---@type table<string, podium.View>

local STATUS = {
  in_progress = 'running',
  interrupted = 'interrupted (r resumes)',
  parked = 'parked (r resumes)',
}

local PHASE = {
  loading_model = 'loading the model',
  reading_prompt = 'reading the prompt',
}

---@param view podium.View
---@return string
local function status_of(view)
  local s = view.stream
  local parts = { s.status and (STATUS[s.status] or s.status) or 'connecting' }
  if s.status == 'in_progress' and not s.live then
    parts = { 'disconnected' }
  end
  if s.reason then
    parts[#parts + 1] = s.reason
  end
  local progress = s.status == 'in_progress' and s.progress
  if progress then
    local phase = PHASE[progress.phase] or progress.phase
    local share = progress.total > 0 and (' %d%%'):format(progress.done * 100 / progress.total) or ''
    parts[#parts + 1] = phase .. share
  end
  local health = s.status == 'in_progress' and s.info and s.info.health
  if health and health.state == 'silent' then
    parts[#parts + 1] = 'silent'
  elseif health and health.state == 'tool' and not progress then
    parts[#parts + 1] = health.tool or 'tool'
  end
  return table.concat(parts, ' · ')
end

---@param context table? ContextUse
---@return string
local function context_of(context)
  local window = context and context.window
  if not window or window == vim.NIL or window == 0 then
    return ''
  end
  return (' · %d%% of %dk'):format(context.used * 100 / window, window / 1000)
end

---@param view podium.View
---@return string
local function usage_of(view)
  local usage = view.stream.info and view.stream.info.usage
  if not usage or (usage.inputTokens or 0) + (usage.outputTokens or 0) == 0 then
    return ''
  end
  local cost, paid = usage.costUsd, ''
  if cost == nil or cost == vim.NIL then
    paid = ' · cost unknown'
  elseif cost > 0 then
    paid = (cost < 1 and ' · $%.4f' or ' · $%.2f'):format(cost)
  end
  local tokens = (' · %d + %d tokens'):format(usage.inputTokens or 0, usage.outputTokens or 0)
  return tokens .. paid .. context_of(view.stream.info.context)
end

--- Status, tokens and cost of the session that a buffer shows; nil for other buffers.
---@param buf integer
---@return string?
function M.statusline(buf)
  local view = views[vim.api.nvim_buf_get_name(buf):match('^podium://session/(.+)$') or '']
  return view and status_of(view) .. usage_of(view) or nil
end

--- Cuts text to a width in cells.
---@param text string
---@param width integer
---@return string
local function cut(text, width)
  if vim.api.nvim_strwidth(text) <= width then
    return text
  end
  return width > 1 and vim.fn.strcharpart(text, 0, width - 1) .. '…' or ''
end

--- Text of the window bar of the window that is being drawn: first how the session is, then what it is.
---@return string
function M.winbar()
  local view = views[vim.api.nvim_buf_get_name(0):sub(#PREFIX + 1)]
  if not view then
    return ''
  end
  local info = view.stream.info or {}
  local parts = { status_of(view) .. usage_of(view) }
  for _, part in pairs({ info.provider or false, info.worktree or false }) do
    parts[#parts + 1] = part or nil
  end
  parts[#parts + 1] = info.title and info.title ~= '' and info.title or view.id
  return cut(table.concat(parts, ' · '), vim.api.nvim_win_get_width(0) - 1)
end

---@param view podium.View
---@return table<integer, true> Windows whose cursor is on the last line.
local function following(view)
  local last = vim.api.nvim_buf_line_count(view.buf)
  local wins = {}
  for _, win in ipairs(vim.fn.win_findbuf(view.buf)) do
    if vim.api.nvim_win_get_cursor(win)[1] == last then
      wins[win] = true
    end
  end
  return wins
end

---@param view podium.View
local function flush(view)
  if #view.queue == 0 or not vim.api.nvim_buf_is_loaded(view.buf) then
    return
  end
  local wins = following(view)
  local pieces, last = {}, vim.api.nvim_buf_line_count(view.buf)
  for _, one in ipairs(view.queue) do
    fold.add(view.buf, last, one.kind, one.piece)
    last = last + select(2, one.piece:gsub('\n', ''))
    pieces[#pieces + 1] = one.piece
  end
  local lines = vim.split(table.concat(pieces), '\n', { plain = true })
  view.queue = {}
  vim.bo[view.buf].modifiable = true
  vim.api.nvim_buf_set_text(view.buf, -1, -1, -1, -1, lines)
  vim.bo[view.buf].modifiable = false
  vim.bo[view.buf].modified = false
  for win in pairs(wins) do
    vim.api.nvim_win_set_cursor(win, { last, math.max(#lines[#lines] - 1, 0) })
  end
end

--- Under the last line: that text is on its way, or how the session ended.
---@param view podium.View
local function mark(view)
  vim.api.nvim_buf_clear_namespace(view.buf, namespace, 0, -1)
  local group = view.stream.status == 'failed' and 'DiagnosticError' or 'Comment'
  vim.api.nvim_buf_set_extmark(view.buf, namespace, vim.api.nvim_buf_line_count(view.buf) - 1, 0, {
    virt_lines = { { { '— ' .. status_of(view), group } } },
  })
end

---@param view podium.View
local function draw(view)
  if not vim.api.nvim_buf_is_loaded(view.buf) then
    return
  end
  flush(view)
  mark(view)
  vim.cmd.redrawstatus({ bang = true })
  vim.api.nvim_exec_autocmds('User', {
    pattern = 'PodiumSession',
    modeline = false,
    data = { id = view.id, buf = view.buf, status = view.stream.status, live = view.stream.live, lastSeq = view.stream.last },
  })
end

--- Closes the window; the session goes on and its buffer keeps following.
local function close()
  if #vim.api.nvim_list_wins() > 1 then
    vim.api.nvim_win_close(0, false)
    return
  end
  local other = vim.fn.bufnr('#')
  if other > 0 and vim.fn.buflisted(other) == 1 and other ~= vim.api.nvim_get_current_buf() then
    vim.cmd.buffer(other)
  else
    vim.cmd.enew()
  end
end

---@param view podium.View
local function keys(view)
  local function map(lhs, rhs, desc)
    vim.keymap.set('n', lhs, rhs, { buffer = view.buf, nowait = true, desc = desc })
  end
  map('q', close, 'Close the session window')
  map('<C-c>', function()
    M.cancel(view.id)
  end, 'Cancel the session')
  map('r', function()
    M.resume(view.id)
  end, 'Resume the session, or ask something more')
  map('d', function()
    require('podium.review').open(view.id)
  end, 'Review what the session changed')
  map('g?', function()
    notice.info('q close · r resume or ask further · <C-c> cancel · d review changes · za open a tool call')
  end, 'What the keys do')
end

---@param id string
---@param buf integer
---@return podium.View
local function new_view(id, buf)
  local view = { id = id, buf = buf, transcript = transcript.new(), queue = {} }
  view.stream = stream.new(id, function(item)
    if item.kind == 'tool_result' then
      require('podium.files').look_soon()
    end
    table.insert(view.queue, { kind = item.kind, piece = transcript.piece(view.transcript, item) })
  end, function()
    draw(view)
  end)
  return view
end

--- Fills the buffer of a session (BufReadCmd): the stored transcript, then what comes.
---@param buf integer
---@param id string
function M.load(buf, id)
  M.unload(buf)
  local options = vim.bo[buf]
  options.buftype, options.swapfile, options.undolevels = 'nofile', false, -1
  options.bufhidden, options.buflisted = 'hide', true
  options.modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, {})
  options.modifiable, options.filetype = false, 'markdown'
  fold.reset(buf)
  local view = new_view(id, buf)
  views[id] = view
  keys(view)
  view.stream:attach(function(err)
    if err then
      notice.error(err)
    end
  end)
end

---@param buf integer
function M.unload(buf)
  for id, view in pairs(views) do
    if view.buf == buf then
      views[id] = nil
      fold.forget(buf)
      view.stream:detach()
    end
  end
end

--- A window shows a session's buffer now.
function M.shown()
  local win = vim.api.nvim_get_current_win()
  local function set(name, value)
    vim.api.nvim_set_option_value(name, value, { win = win, scope = 'local' })
  end
  set('wrap', true)
  set('linebreak', true)
  set('foldmethod', 'expr')
  set('foldexpr', "v:lua.require'podium.fold'.level()")
  set('foldtext', "v:lua.require'podium.fold'.text()")
  set('foldlevel', 0)
  set('foldenable', true)
  if config.get().session.winbar then
    set('winbar', " %{v:lua.require'podium.session'.winbar()}")
  end
end

---@param update table Parameters of `podium/session/update`.
function M.update(update)
  local view = views[update.id]
  if view then
    view.stream:update(update)
  end
end

--- Somebody resumed a session: a buffer that thought it was over goes on.
---@param id string
function M.revive(id)
  local view = views[id]
  if view and not view.stream.live then
    view.stream:attach()
  end
end

local OPENERS = {
  vertical = 'vertical sbuffer',
  horizontal = 'sbuffer',
  tab = 'tab sbuffer',
  current = 'buffer',
}

--- Shows a session in a window, and streams what is new.
---@param id string
---@return integer buf
function M.open(id)
  local buf = vim.fn.bufadd(PREFIX .. id)
  local win = vim.fn.bufwinid(buf)
  local known = views[id] ~= nil
  if win ~= -1 then
    vim.api.nvim_set_current_win(win)
  else
    vim.cmd(('%s %d'):format(OPENERS[config.get().session.split], buf))
  end
  if known then
    M.revive(id)
  end
  vim.api.nvim_win_set_cursor(0, { vim.api.nvim_buf_line_count(buf), 0 })
  return buf
end

---@class podium.StartOptions
---@field buf integer? Buffer it is asked from; default the current one.
---@field callback fun(err: podium.Error?, started: table?)?

---@param params table SessionStartParams; without a prompt the user is asked for one.
---@param opts podium.StartOptions?
function M.start(params, opts)
  opts = opts or {}
  if not params.prompt or params.prompt == '' then
    vim.ui.input({ prompt = 'Prompt: ' }, function(prompt)
      if prompt and prompt ~= '' then
        M.start(vim.tbl_extend('force', params, { prompt = prompt }), opts)
      end
    end)
    return
  end
  local defaults = params.uri == nil and params.repo == nil and server.selector(opts.buf) or {}
  defaults.provider = config.get().session.provider
  server.request('session/start', vim.tbl_extend('keep', params, defaults), function(err, started)
    if opts.callback then
      opts.callback(err, started)
    elseif err then
      notice.error(err)
    end
    if started then
      M.open(started.id)
    end
  end)
end

---@param id string
---@param prompt string?
local function go_on(id, prompt)
  server.ask('session/resume', { id = id, prompt = prompt }, function(started)
    M.open(started.id)
  end)
end

--- Finishes what was interrupted; a session that is complete or was cancelled gets another turn, whose prompt is asked
--- for.
---@param id string
---@param prompt string?
function M.resume(id, prompt)
  if prompt and prompt ~= '' then
    return go_on(id, prompt)
  end
  server.ask('session/show', { id = id }, function(shown)
    if shown.status == 'in_progress' then
      M.open(shown.id)
    elseif shown.status ~= 'completed' and shown.status ~= 'cancelled' then
      go_on(shown.id)
    else
      vim.ui.input({ prompt = 'Next prompt: ' }, function(next_prompt)
        if next_prompt and next_prompt ~= '' then
          go_on(shown.id, next_prompt)
        end
      end)
    end
  end)
end

---@param id string
function M.cancel(id)
  server.ask('session/cancel', { id = id }, function(cancelled)
    notice.info(('session %s is %s'):format(cancelled.id, cancelled.status))
  end)
end

server.on('down', function()
  for _, view in pairs(views) do
    view.stream:lost()
    draw(view)
  end
end)
server.on('up', function()
  for _, view in pairs(views) do
    -- Also those that are over: they may have gone on meanwhile.
    view.stream:attach()
  end
end)

return M
