--- The inbox: questions of agents that only a person may answer.
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

local LABELS = {
  once = 'allow once',
  session = 'allow for this session',
  project = 'allow in this repository',
}

---@param event table Event `inbox.asked`.
function M.announce(event)
  local question = vim.tbl_get(event, 'data', 'question')
  local agent = vim.tbl_get(event, 'data', 'agentId') or 'an agent'
  notice.warn(('%s asks%s\n  answer with `:Podium inbox`'):format(agent, question and ': ' .. question or ' something'))
end

---@class podium.InboxChoice
---@field label string
---@field decision 'allow'|'deny'
---@field scope 'once'|'session'|'project'

---@param item table
---@return podium.InboxChoice[]
local function choices(item)
  local found = {}
  local options = item.options or {}
  if #options > 1 then
    for _, scope in ipairs(options) do
      found[#found + 1] = { label = LABELS[scope] or scope, decision = 'allow', scope = scope }
    end
  else
    found[1] = { label = 'allow', decision = 'allow', scope = 'once' }
  end
  found[#found + 1] = { label = 'deny', decision = 'deny', scope = 'once' }
  return found
end

--- What would be done: the command, or the change.
---@param item table
local function show_detail(item)
  vim.cmd('new')
  local buffer = vim.api.nvim_get_current_buf()
  vim.bo[buffer].buftype = 'nofile'
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].filetype = vim.startswith(item.detail, '--- ') and 'diff' or 'sh'
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, vim.split(item.detail, '\n', { trimempty = true }))
  vim.bo[buffer].modifiable = false
end

---@param item table
local function decide(item)
  local prompt = ('%s: %s'):format(item.agentId, item.question)
  local entries = choices(item)
  if item.detail then
    entries[#entries + 1] = { label = 'see what would be done' }
  end
  vim.ui.select(entries, {
    prompt = prompt,
    kind = 'podium-decision',
    format_item = function(entry)
      return entry.label
    end,
  }, function(entry)
    if not entry then
      return
    end
    if not entry.decision then
      return show_detail(item)
    end
    server.ask('inbox/answer', { id = item.id, decision = entry.decision, scope = entry.scope }, function(answer)
      notice.info(('answered %s: %s'):format(answer.item.agentId, answer.item.decision))
    end)
  end)
end

--- Shows the open questions; the one that is chosen gets an answer.
function M.open()
  server.ask('inbox/list', {}, function(answer)
    if #answer.items == 0 then
      return notice.info('the inbox is empty')
    end
    vim.ui.select(answer.items, {
      prompt = 'Inbox',
      kind = 'podium-inbox',
      format_item = function(item)
        return ('%s: %s'):format(item.agentId, item.question)
      end,
    }, function(item)
      if item then
        decide(item)
      end
    end)
  end)
end

return M
