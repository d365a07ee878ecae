--- Where the hunks of a diff lie in a file as it is now. Others may have changed the file around them since, so that each
--- is looked for by its lines, nearest to where it should be.
local M = {}

---@class podium.Placed
---@field hunk integer Its place in the file's list of hunks, from 0 as the protocol counts.
---@field line integer First line in the file, from 1.
---@field count integer Lines in the file, with those around the change.
---@field changed integer First line that the change made, or that follows what it took away, from 1.
---@field before string[] What was there before.

--- The lines of one side of a hunk.
---@param hunk table DiffHunk
---@param sign '+'|'-'
---@return string[]
local function side(hunk, sign)
  local lines = {}
  for _, line in ipairs(hunk.lines) do
    local first = line:sub(1, 1)
    if first == ' ' or first == sign then
      lines[#lines + 1] = (line:sub(2):gsub('\r$', ''))
    end
  end
  return lines
end

---@param lines string[]
---@param wanted string[]
---@param at integer
---@return boolean
local function matches(lines, wanted, at)
  for offset, text in ipairs(wanted) do
    local line = lines[at + offset - 1]
    if not line or line:gsub('\r$', '') ~= text then
      return false
    end
  end
  return true
end

---@param lines string[]
---@param wanted string[]
---@param at integer
---@param from integer
---@return integer?
local function nearest(lines, wanted, at, from)
  for distance = 0, #lines do
    for _, line in ipairs(distance == 0 and { at } or { at - distance, at + distance }) do
      if line >= from and line + #wanted - 1 <= #lines and matches(lines, wanted, line) then
        return line
      end
    end
  end
end

---@param hunk table
---@return integer Lines before the first one that changed.
local function lead(hunk)
  for index, line in ipairs(hunk.lines) do
    if line:sub(1, 1) ~= ' ' then
      return index - 1
    end
  end
  return 0
end

--- The hunks that are there, in the order of their lines; those that cannot be found are left out.
---@param lines string[]
---@param hunks table[]
---@return podium.Placed[]
function M.place(lines, hunks)
  local placed, shift, free = {}, 0, 1
  for number, hunk in ipairs(hunks) do
    if hunk.state == 'there' then
      local after = side(hunk, '+')
      local wanted = math.max(1, hunk.newStart)
      local line = nearest(lines, after, wanted + shift, free)
      if line then
        placed[#placed + 1] = {
          hunk = number - 1,
          line = line,
          count = #after,
          changed = line + lead(hunk),
          before = side(hunk, '-'),
        }
        shift, free = line - wanted, line + #after
      end
    elseif hunk.state == 'gone' then
      shift = shift + hunk.oldLines - hunk.newLines
    end
  end
  return placed
end

--- The file without the changes of these hunks.
---@param lines string[]
---@param placed podium.Placed[]
---@return string[]
function M.without(lines, placed)
  local result, at = {}, 1
  for _, one in ipairs(placed) do
    vim.list_extend(result, lines, at, one.line - 1)
    vim.list_extend(result, one.before)
    at = one.line + one.count
  end
  return vim.list_extend(result, lines, at, #lines)
end

--- All that was there before, of a file that is not there now.
---@param hunks table[]
---@return string[]
function M.old(hunks)
  local lines = {}
  for _, hunk in ipairs(hunks) do
    vim.list_extend(lines, side(hunk, '-'))
  end
  return lines
end

--- The hunk that a line belongs to: the one around it, else the next one, else the last.
---@param placed podium.Placed[]
---@param line integer From 1.
---@return podium.Placed?
function M.at(placed, line)
  for _, one in ipairs(placed) do
    if line < one.line + math.max(1, one.count) then
      return one
    end
  end
  return placed[#placed]
end

return M
