--- The one language server of this Neovim: finding it, starting it, asking it.
---
--- One server serves every repository and worktree: each request says by `uri` or `repo` which one it means, so
--- a window that moves between worktrees keeps its sessions and its status.
local config = require('podium.config')
local notice = require('podium.notice')

local M = {}

local NAME = 'podium'

-- A server that dies more often than this within RESTART_WINDOW_MS stays down until the user acts.
local RESTARTS = 3
local RESTART_WINDOW_MS = 60000

local SIGTERM = 15

local waiting = {} ---@type fun(err: podium.Error?, client: vim.lsp.Client?)[]
local starting = false
local told_missing = false
local deaths = {} ---@type number[]
local listeners = { up = {}, down = {} } ---@type table<string, fun(client: vim.lsp.Client?)[]>

--- Calls `fn` whenever a server is ready (`up`) or gone (`down`).
---@param what 'up'|'down'
---@param fn fun(client: vim.lsp.Client?)
function M.on(what, fn)
  table.insert(listeners[what], fn)
end

---@return string[]
local function command()
  local resolved = vim.lsp.config[NAME]
  local cmd = resolved and resolved.cmd
  return type(cmd) == 'table' and cmd or config.get().cmd
end

--- The program that is run as the language server.
---@return string
function M.program()
  return command()[1]
end

---@return boolean
function M.installed()
  local resolved = vim.lsp.config[NAME]
  if resolved and type(resolved.cmd) == 'function' then
    return true
  end
  return vim.fn.executable(M.program()) == 1
end

---@return podium.Error
local function missing()
  return notice.make(
    'unavailable',
    ('`%s` is not an executable program'):format(M.program()),
    'install it: `cargo install --path server/cli` in a checkout of Podium',
    "or say where it is: require('podium').setup({ cmd = { '/path/to/podium', 'lsp' } })"
  )
end

--- Says once, however many files are opened, that the program is not there.
function M.tell_missing()
  if not told_missing then
    told_missing = true
    notice.error(missing())
  end
end

--- Folder that holds `.git` (a folder, or a file in a linked worktree) above a buffer or path.
---@param where integer|string
---@return string?
function M.root(where)
  return vim.fs.root(where, '.git')
end

--- Whether a buffer shows a file of the disk.
---@param buf integer
---@return boolean
function M.is_file(buf)
  local name = vim.api.nvim_buf_get_name(buf)
  return vim.bo[buf].buftype == '' and name ~= '' and not name:match('^%a[%w+.-]+://')
end

--- `root_dir` of the LSP configuration: normal files inside a repository.
---@param buf integer
---@param on_dir fun(root: string?)
function M.root_dir(buf, on_dir)
  local root = M.is_file(buf) and M.root(buf)
  if root then
    on_dir(root)
  end
end

---@param client vim.lsp.Client
---@param root string
local function add_folder(client, root)
  local folder = { uri = vim.uri_from_fname(root), name = root }
  for _, known in ipairs(client.workspace_folders or {}) do
    if known.uri == folder.uri then
      return
    end
  end
  client.workspace_folders = client.workspace_folders or {}
  table.insert(client.workspace_folders, folder)
  local offer = vim.tbl_get(client.server_capabilities or {}, 'workspace', 'workspaceFolders')
  if offer and offer.supported and offer.changeNotifications then
    client:notify('workspace/didChangeWorkspaceFolders', { event = { added = { folder }, removed = {} } })
  end
end

---@param client vim.lsp.Client
---@param wanted vim.lsp.ClientConfig
---@return boolean
function M.reuse_client(client, wanted)
  if client.name ~= wanted.name or client:is_stopped() then
    return false
  end
  -- Before `initialize` is answered nothing may be sent; on_init adds the folders of the buffers then.
  if client.initialized and type(wanted.root_dir) == 'string' then
    add_folder(client, wanted.root_dir)
  end
  return true
end

---@return vim.lsp.Client?
function M.client()
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    if not client:is_stopped() then
      return client
    end
  end
end

---@param err podium.Error?
---@param client vim.lsp.Client?
local function settle(err, client)
  starting = false
  local callbacks = waiting
  waiting = {}
  for _, callback in ipairs(callbacks) do
    callback(err, client)
  end
end

---@param client vim.lsp.Client
function M.on_init(client)
  for buf in pairs(client.attached_buffers) do
    local root = M.root(buf)
    if root then
      add_folder(client, root)
    end
  end
  settle(nil, client)
  for _, fn in ipairs(listeners.up) do
    fn(client)
  end
end

--- Starts a server that serves the files that are open.
---@return boolean
local function start()
  local wanted = vim.deepcopy(vim.lsp.config[NAME])
  if not wanted then
    return false
  end
  local id
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local root = vim.api.nvim_buf_is_loaded(buf) and M.is_file(buf) and M.root(buf)
    if root then
      wanted.root_dir = root
      id = vim.lsp.start(wanted, { bufnr = buf, reuse_client = M.reuse_client, silent = true }) or id
    end
  end
  if not id then
    wanted.root_dir = M.root(vim.fn.getcwd()) or vim.fn.getcwd()
    id = vim.lsp.start(wanted, { attach = false, reuse_client = M.reuse_client, silent = true })
  end
  return id ~= nil
end

---@return boolean
local function may_restart()
  local now = vim.uv.now()
  deaths = vim.tbl_filter(function(at)
    return now - at < RESTART_WINDOW_MS
  end, deaths)
  deaths[#deaths + 1] = now
  return #deaths <= RESTARTS
end

---@param code integer
---@param signal integer
function M.on_exit(code, signal)
  vim.schedule(function()
    for _, fn in ipairs(listeners.down) do
      fn()
    end
    -- SIGTERM is how client:stop(true) and a person's `kill` end it on purpose.
    local died = signal ~= SIGTERM and (code ~= 0 or signal ~= 0)
    if not died or vim.v.exiting ~= vim.NIL then
      settle(notice.make('unavailable', 'the language server was stopped'))
      return
    end
    if may_restart() and start() then
      starting = true
      return
    end
    local err = notice.make(
      'unavailable',
      ('the language server ended (code %d, signal %d)'):format(code, signal),
      'see `:Podium log lsp`',
      'any `:Podium` command starts it again'
    )
    settle(err)
    notice.error(err)
  end)
end

--- Calls back with a server that is ready, and starts one where there is none.
---@param callback fun(err: podium.Error?, client: vim.lsp.Client?)
function M.ensure(callback)
  local client = M.client()
  if client then
    return callback(nil, client)
  end
  if not M.installed() then
    return callback(missing())
  end
  waiting[#waiting + 1] = callback
  if starting then
    return
  end
  starting = true
  M.enable()
  if not start() then
    settle(notice.make('unavailable', 'the language server could not be started', 'see `:Podium log lsp`'))
  end
end

--- Attaches to files from now on, when the program is there.
---@return boolean
function M.enable()
  if not M.installed() then
    return false
  end
  if not vim.lsp.is_enabled(NAME) then
    vim.lsp.enable(NAME)
  end
  return true
end

--- Which repository a request from this buffer is about.
---@param buf integer?
---@return { uri: string? , repo: string? }
function M.selector(buf)
  buf = buf or vim.api.nvim_get_current_buf()
  if vim.api.nvim_buf_is_valid(buf) and M.is_file(buf) and M.root(buf) then
    return { uri = vim.uri_from_bufnr(buf) }
  end
  return { repo = vim.fn.getcwd() }
end

--- Sends `podium/<method>`. The callback gets either an error or the answer.
---@param method string Name in the protocol, such as `worktree/create`.
---@param params table
---@param callback fun(err: podium.Error?, answer: table?)
function M.request(method, params, callback)
  M.ensure(function(err, client)
    if not client then
      return callback(err)
    end
    local sent = client:request('podium/' .. method, next(params) and params or vim.empty_dict(), function(failure, answer)
      if failure then
        return callback(notice.from_response(failure))
      end
      callback(nil, answer)
    end)
    if not sent then
      callback(notice.make('unavailable', 'the language server was stopped', 'try again'))
    end
  end)
end

--- Like `request`, but tells the user about an error and calls back on success only.
---@param method string
---@param params table
---@param callback fun(answer: table)
function M.ask(method, params, callback)
  M.request(method, params, function(err, answer)
    if err then
      notice.error(err)
    else
      callback(answer)
    end
  end)
end

--- Waits for the answer. For completion only, where nothing else is possible: `nil` after `timeout_ms`, on an
--- error, or when no server runs.
---@param method string
---@param params table
---@param timeout_ms integer
---@return table?
function M.request_now(method, params, timeout_ms)
  local client = M.client()
  if not client then
    return nil
  end
  local answer = client:request_sync('podium/' .. method, next(params) and params or vim.empty_dict(), timeout_ms)
  return answer and answer.result
end

---@param method string
---@param params table
function M.notify(method, params)
  local client = M.client()
  if client then
    client:notify('podium/' .. method, params)
  end
end

return M
