-- What a developer does in Neovim, step by step; the file is open when this starts. Exits with 1 at the first surprise.

local function fail(text)
  io.stderr:write("FAILED: " .. text .. "\n")
  vim.cmd("cquit 1")
end

local function step(title, condition)
  if not vim.wait(20000, condition, 20) then
    fail(title)
  end
  print("ok: " .. title .. "\n")
end

local function codes()
  local found = {}
  for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
    found[diagnostic.code] = diagnostic
  end
  return found
end

local function go(text)
  vim.fn.cursor(1, 1)
  if vim.fn.search(text, "cW") == 0 then
    fail("there is no " .. text)
  end
end

local function ask(method, parameters)
  local answers = vim.lsp.buf_request_sync(0, method, parameters, 5000)
  for _, answer in pairs(answers or {}) do
    return answer.result
  end
end

local function run()
  step("a client starts", function()
    return #vim.lsp.get_clients({ bufnr = 0, name = "deconflict" }) == 1
  end)
  step("diagnostics arrive", function()
    return codes().C101 ~= nil and codes().C102 ~= nil
  end)
  vim.wait(300)
  if #vim.diagnostic.get(0) ~= 2 then
    fail("findings are shown twice: " .. vim.inspect(vim.diagnostic.get(0)))
  end
  local client = vim.lsp.get_clients({ name = "deconflict" })[1]
  go("purchases")
  local hover = ask("textDocument/hover", vim.lsp.util.make_position_params(0, client.offset_encoding))
  if not (hover and hover.contents.value:find("slot 1", 1, true)) then
    fail("the hover says no slot: " .. vim.inspect(hover))
  end
  print("ok: a hover names the slot\n")
  local lenses = ask("textDocument/codeLens", { textDocument = vim.lsp.util.make_text_document_params() })
  if not (lenses and #lenses == 2 and lenses[1].command.title:find("conflicts with itself", 1, true)) then
    fail("there are no lenses: " .. vim.inspect(lenses))
  end
  print("ok: each function has a lens\n")

  -- Typing above a finding moves it, before anything is saved.
  local before = codes().C102.lnum
  vim.api.nvim_buf_set_lines(0, 3, 3, false, { "// ü 😀", "// another line" })
  step("a finding moves with its line", function()
    return codes().C102 ~= nil and codes().C102.lnum == before + 2
  end)

  go("purchases += 1")
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action)
      return action.title:find("Suppress `global-counter`", 1, true) ~= nil
    end,
  })
  step("a code action writes a suppression", function()
    return vim.fn.search("deconflict: allow(global-counter)", "nw") > 0
  end)
  vim.cmd("write")
  step("the finding goes once the file is saved", function()
    local found = codes()
    return found.C101 == nil and found.C102 ~= nil
  end)
  vim.cmd("silent! %s/        purchases += 1;\\n//")
  vim.cmd("write")
  step("the suppression that is no longer needed is mentioned", function()
    for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
      if diagnostic.message:find("suppresses nothing", 1, true) then
        return true
      end
    end
    return false
  end)
  vim.cmd("qall!")
end

local ok, error = xpcall(run, debug.traceback)
if not ok then
  fail(tostring(error))
end
