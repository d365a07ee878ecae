local Podium = require('lualine.component'):extend()

local GROUPS = { mine = 'DiagnosticOk', other = 'DiagnosticWarn', dead = 'DiagnosticError' }

function Podium:init(options)
  if options.color == nil then
    options.color = function()
      local line = require('podium').status()
      return line and GROUPS[line.state] or nil
    end
  end
  Podium.super.init(self, options)
end

function Podium.update_status()
  -- lualine hands the text to 'statusline', where a percent sign would begin an item.
  return (require('podium').statusline():gsub('%%', '%%%%'))
end

return Podium
