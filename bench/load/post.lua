-- Script for wrk: the same POST on every request, one JSON line at the end.
-- Environment: BODY_FILE, AUTH (header value), EXTRA ("K: v|K2: v2").
-- With CALLERS_FILE, lines of "token group", each request is another caller's, in turn,
-- and the word GROUP in the body is replaced by the line's group.
local f = assert(io.open(os.getenv("BODY_FILE"), "rb"))
wrk.method, wrk.body = "POST", f:read("*a")
f:close()
wrk.headers["Content-Type"] = "application/json"
if os.getenv("AUTH") and #os.getenv("AUTH") > 0 then wrk.headers["Authorization"] = os.getenv("AUTH") end
for pair in string.gmatch(os.getenv("EXTRA") or "", "[^|]+") do
  local k, v = string.match(pair, "^([^:]+):%s*(.*)$")
  wrk.headers[k] = v
end
if os.getenv("CALLERS_FILE") then
  local template, requests, at = wrk.body, {}, 0
  init = function(args)
    for line in io.lines(os.getenv("CALLERS_FILE")) do
      local token, group = string.match(line, "^(%S+) (%S+)$")
      wrk.headers["Authorization"] = "Bearer " .. token
      requests[#requests + 1] = wrk.format(nil, nil, nil, (string.gsub(template, "GROUP", group, 1)))
    end
  end
  request = function()
    at = at % #requests + 1
    return requests[at]
  end
end
done = function(s, l, r)
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.4f,"rps":%.1f,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,"non2xx":%d,"socket_errors":%d}\n',
    s.requests, s.duration / 1e6, s.requests / (s.duration / 1e6), l:percentile(50), l:percentile(90), l:percentile(99), l.max,
    s.errors.status, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout))
end
