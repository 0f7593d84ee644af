-- Script for wrk: the same POST on every request, one JSON line at the end.
-- Environment: BODY_FILE, AUTH (header value), EXTRA ("K: v|K2: v2").
local f = assert(io.open(os.getenv("BODY_FILE"), "rb"))
wrk.method, wrk.body = "POST", f:read("*a")
f:close()
wrk.headers["Content-Type"] = "application/json"
if os.getenv("AUTH") and #os.getenv("AUTH") > 0 then wrk.headers["Authorization"] = os.getenv("AUTH") end
for pair in string.gmatch(os.getenv("EXTRA") or "", "[^|]+") do
  local k, v = string.match(pair, "^([^:]+):%s*(.*)$")
  wrk.headers[k] = v
end
done = function(s, l, r)
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.4f,"rps":%.1f,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,"non2xx":%d,"socket_errors":%d}\n',
    s.requests, s.duration / 1e6, s.requests / (s.duration / 1e6), l:percentile(50), l:percentile(90), l:percentile(99), l.max,
    s.errors.status, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout))
end
