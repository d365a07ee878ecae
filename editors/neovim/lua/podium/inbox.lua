--- The inbox: questions of agents that only a person may answer.
local notice = require('podium.notice')
local server = require('podium.server')

local M = {}

---@param event table Event `inbox.asked`.
function M.announce(event)
  local question = vim.tbl_get(event, 'data', 'question')
  local agent = vim.tbl_get(event, 'data', 'agentId') or 'an agent'
  notice.warn(('%s asks%s\n  answer with `:Podium inbox`'):format(agent, question and ': ' .. question or ' something'))
end

---@param item table
local function decide(item)
  local prompt = ('%s: %s'):format(item.agentId, item.question)
  vim.ui.select({ 'allow', 'deny' }, { prompt = prompt, kind = 'podium-decision' }, function(decision)
    if decision then
      server.ask('inbox/answer', { id = item.id, decision = decision }, function(answer)
        notice.info(('answered %s: %s'):format(answer.item.agentId, answer.item.decision))
      end)
    end
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
