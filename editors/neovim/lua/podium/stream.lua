--- One session as it arrives: each item once, in the order of `seq`, whatever the server repeats or overtakes.
local server = require('podium.server')

local M = {}

---@class podium.Stream
---@field id string
---@field last integer Newest item that was handed on.
---@field status string? Status of the session, or nil while it is not known.
---@field reason string?
---@field info table? SessionInfo of the last attach.
---@field progress table?
---@field live boolean Whether more will come by itself.
---@field private pending table<integer, podium.Item> Items that came before their turn.
---@field private subscription integer?
---@field private generation integer Raised by each attach; an answer to an older one is void.
---@field private ends table<integer, table> Ends that came before the answer that names their subscription.
---@field private gap_at integer? `last` at the time of the newest gap.
---@field private on_item fun(item: podium.Item)
---@field private on_change fun()
local Stream = {}
Stream.__index = Stream

---@param id string
---@param on_item fun(item: podium.Item) Called once for each item, in order.
---@param on_change fun() Called after status or progress changed.
---@return podium.Stream
function M.new(id, on_item, on_change)
  return setmetatable({
    id = id,
    last = 0,
    live = false,
    pending = {},
    generation = 0,
    ends = {},
    on_item = on_item,
    on_change = on_change,
  }, Stream)
end

---@param subscription integer
local function unsubscribe(subscription)
  if server.client() then
    server.request('unsubscribe', { subscription = subscription }, function() end)
  end
end

--- Streams everything above `last`.
---@param callback fun(err: podium.Error?)?
function Stream:attach(callback)
  self:detach()
  local generation = self.generation
  self.live = true
  server.request('session/attach', { id = self.id, fromSeq = self.last }, function(err, answer)
    if generation ~= self.generation then
      if answer then
        unsubscribe(answer.subscription)
      end
      return
    end
    if answer then
      self:attached(answer)
    else
      self.live = false
    end
    self.on_change()
    if callback then
      callback(err)
    end
  end)
end

---@private
---@param answer table SessionAttached
function Stream:attached(answer)
  self.subscription = answer.subscription
  self.info = answer.session
  local finish = self.ends[answer.subscription]
  self.ends = {}
  if finish then
    self:finish(finish)
  else
    self.status, self.reason = answer.session.status, answer.session.reason
  end
end

--- Stops the stream; `last` stays, so that `attach` goes on where it ended.
function Stream:detach()
  if self.subscription then
    unsubscribe(self.subscription)
  end
  self:lost()
end

--- The server is gone, and the subscription with it.
function Stream:lost()
  self.generation = self.generation + 1
  self.subscription = nil
  self.ends = {}
  self.live = false
end

---@private
---@param finish table SessionEnd
function Stream:finish(finish)
  self.status, self.reason = finish.status, finish.reason
  self.progress = nil
  self.subscription = nil
  self.live = false
  if self.info then
    self.info.usage = finish.usage or self.info.usage
  end
end

---@private
---@param items podium.Item[]
function Stream:take(items)
  for _, item in ipairs(items) do
    if item.seq > self.last then
      self.pending[item.seq] = item
    end
  end
  local item = self.pending[self.last + 1]
  while item do
    self.pending[item.seq] = nil
    self.last = item.seq
    if item.kind == 'usage' and self.info and type(item.data) == 'table' and item.data.inputTokens then
      self.info.usage = item.data
    end
    self.on_item(item)
    item = self.pending[self.last + 1]
  end
end

--- Whether our own subscription left something out, which it must not: then only asking again helps, once.
---@private
---@param update table
---@return boolean
function Stream:has_gap(update)
  local first = update.items and update.items[1]
  if not first or update.subscription ~= self.subscription or first.seq <= self.last + 1 then
    return false
  end
  if self.gap_at == self.last then
    return false
  end
  self.gap_at = self.last
  return true
end

---@param update table SessionUpdate
function Stream:update(update)
  local gap = self:has_gap(update)
  self:take(update.items or {})
  if gap and next(self.pending) then
    return self:attach()
  end
  if update.items and #update.items > 0 then
    self.progress = nil
  end
  self.progress = update.progress or self.progress
  if self.info then
    self.info.health = update.health or self.info.health
    self.info.context = update.context or self.info.context
  end
  if update['end'] then
    if self.subscription == update.subscription then
      self:finish(update['end'])
    elseif self.live and not self.subscription then
      self.ends[update.subscription] = update['end']
    end
  end
  self.on_change()
end

return M
