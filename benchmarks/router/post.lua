-- What wrk sends: one body over and over, with six letters in it that are new in each, and what it says at the end.
-- Arguments: the file with the body (its six letters written NUMBER), and the number to begin at.
local before, after, number

function init(arguments)
  local file = assert(io.open(arguments[1]))
  local body = file:read("*a")
  file:close()
  number = tonumber(arguments[2])
  before, after = wrk.format("POST", nil, nil, body):match("^(.*)NUMBER(.*)$")
end

local function letters(value)
  local floor = math.floor
  return string.char(
    97 + floor(value / 11881376) % 26, 97 + floor(value / 456976) % 26, 97 + floor(value / 17576) % 26,
    97 + floor(value / 676) % 26, 97 + floor(value / 26) % 26, 97 + value % 26)
end

function request()
  number = number + 1
  return before .. letters(number) .. after
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "not_2xx": %d, "broken": %d, "timeouts": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write, errors.timeout))
end
