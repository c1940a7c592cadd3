--- busted output: failures in full, skipped tests by reason, and a last line
--- that tests/run.sh adds up: "N passed, N failed" (", N skipped").
-- Lines that begin with "note: " reach the reader even when all went well.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base" ()

  local function text(message)
    if message == nil then return "no message" end
    if type(message) == "string" then return message end
    local ok, s = pcall(tostring, message)
    if ok and not s:match "^table: 0x" then return s end
    return require "pl.pretty".write(message)
  end

  local function where(element)
    local trace = element.trace
    return trace and trace.short_src and trace.short_src .. ":" .. trace.currentline or "?"
  end

  local function print_failure(kind, failure)
    print(("\n%s: %s\n  at %s"):format(kind, failure.name, where(failure.element)))
    print((text(failure.message):gsub("[^\n]+", "  %0")))
    local trace = failure.trace and failure.trace.traceback
    if trace and (options.verbose or kind == "ERROR") then print("  " .. trace) end
  end

  local function print_skipped()
    local reasons, counts = {}, {}
    for _, pending in ipairs(handler.pendings) do
      local reason = text(pending.message or "pending"):gsub("^[^%s:]+:%d+: ", "")
      if not counts[reason] then reasons[#reasons + 1] = reason end
      counts[reason] = (counts[reason] or 0) + 1
    end
    for _, reason in ipairs(reasons) do
      print(("note: %d skipped: %s"):format(counts[reason], reason))
    end
  end

  handler.suiteEnd = function()
    for _, failure in ipairs(handler.failures) do print_failure("FAILED", failure) end
    for _, failure in ipairs(handler.errors) do print_failure("ERROR", failure) end
    print_skipped()
    local failed = #handler.failures + #handler.errors
    local line = ("%d passed, %d failed"):format(handler.successesCount, failed)
    if handler.pendingsCount > 0 then
      line = line .. (", %d skipped"):format(handler.pendingsCount)
    end
    print(line)
    io.flush()
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
