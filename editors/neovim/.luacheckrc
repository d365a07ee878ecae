std = 'luajit'
read_globals = { 'vim' }
max_line_length = 130
ignore = { '122/vim' } -- fields of vim.bo and the like are assigned to
