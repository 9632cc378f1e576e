-- Wireshark and tshark: EDO, the options behind Data Offset, SYN-EOS, TCP-ENO's TEP 0x20, key-exchange messages.
--
--     tshark -X lua_script:tools/wireshark/edotun.lua -r trace.pcapng -T fields -e edotun.header_length
--
-- A post-dissector: TCP's own tree, tcp.hdr_len and tcp.len stay those of Data Offset; the true end of the header and
-- the payload behind it are edotun.header_length, edotun.payload_length and edotun.payload. docs/guides/wireshark.md
-- tells the fields. Runs under Lua 5.2 (Wireshark 3 and 4.0) to 5.4, so no operator on bits is used.

local edotun = Proto("edotun", "TCP options beyond Data Offset (edotun)")

-- Code points: edo/codepoints.py; message kinds, groups and suites: docs/profile.md, sections 4, 6 and 7.
local EDO_EXID, SYN_EOS_EXID, KE_EXID = 0x0ED0, 0x5E05, 0xA0E1
local MSS, WSCALE, SACK_PERMITTED, SACK, TIMESTAMPS, MD5, AO, ENO = 2, 3, 4, 5, 8, 19, 29, 69
local TEP, MAGIC = 0x20, 0xED
local FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
-- The reserved bit of four-way handshakes, in the octet with Data Offset (edo/rivals/numbers.py).
local FOUR_WAY = 0x08
local MOST_IN_MESSAGE, WORD = 4096, 4294967296

local NAMES = {
  [MSS] = "Maximum Segment Size", [WSCALE] = "Window Scale", [SACK_PERMITTED] = "SACK-permitted", [SACK] = "SACK",
  [TIMESTAMPS] = "Timestamps", [MD5] = "TCP-MD5", [28] = "User Timeout", [AO] = "TCP-AO", [30] = "Multipath TCP",
  [34] = "Fast Open", [ENO] = "TCP-ENO", [172] = "Accurate ECN Order 0", [174] = "Accurate ECN Order 1",
}
local EXIDS = { [SYN_EOS_EXID] = "SYN-EOS", [KE_EXID] = "Key exchange", [0xF989] = "Fast Open, experimental" }
local MESSAGES = {
  [1] = "hello", [2] = "answer", [3] = "retry", [4] = "second hello", [5] = "rekey", [6] = "rekey answer",
  [7] = "report", [8] = "refuse",
}
local REFUSALS = {
  [1] = "version", [2] = "suite", [3] = "group", [4] = "share or ticket", [5] = "policy", [6] = "ENO differs",
  [7] = "ISN differs or equal",
}
local GROUPS = {
  [0] = "none", [23] = "secp256r1", [29] = "x25519", [30] = "x448", [256] = "ffdhe2048", [257] = "ffdhe3072",
  [4588] = "X25519MLKEM768",
}
local MACS = { [1] = "AES-128-CMAC-96", [2] = "HMAC-SHA-1-96", [3] = "HMAC-SHA256-128", [4] = "KMAC256-128" }
local CIPHERS = { [0] = "none", [1] = "AES-128-CTR", [2] = "AES-256-CTR", [3] = "ChaCha20" }

-- The three numberings of EDO: kinds and ExID of the two options, octets of Supported, of the short and the long form.
local NUMBERINGS = {
  exid = { supported = { [253] = true, [254] = true }, extension = { [253] = true, [254] = true }, exid = EDO_EXID,
           octets = { 4, 6, 8 } },
  ["79/80"] = { supported = { [79] = true }, extension = { [80] = true }, exid = -1, octets = { 2, 4, 6 } },
  ["237"] = { supported = { [237] = true }, extension = { [237] = true }, exid = -1, octets = { 2, 4, 6 } },
}
local ORDER = { "exid", "79/80", "237" }

local prefs = edotun.prefs
local KIND_CHOICES = { { 1, "auto", 0 }, { 2, "exid", 1 }, { 3, "79/80", 2 }, { 4, "237", 3 } }
local UNIT_CHOICES = { { 1, "auto", 0 }, { 2, "words", 1 }, { 3, "octets", 2 } }
prefs.edo_kind = Pref.enum("EDO is numbered", 0, "How EDO's options are numbered: found, or one way", KIND_CHOICES)
prefs.edo_units = Pref.enum("Header_Length counts", 0, "Words, octets, or what the segments fit", UNIT_CHOICES)
prefs.info = Pref.bool("Tell it in the Info column", true, "Header length, SYN-EOS and messages in the packet list")

local f = {
  what = ProtoField.string("edotun.what", "Segment"),
  header_length = ProtoField.uint32("edotun.header_length", "True header length"),
  payload_length = ProtoField.uint32("edotun.payload_length", "Payload length"),
  payload = ProtoField.bytes("edotun.payload", "Payload"),
  behind = ProtoField.bytes("edotun.behind", "Options behind Data Offset"),
  oob = ProtoField.bytes("edotun.oob", "Options out of band, for the SYN"),
  edo = ProtoField.string("edotun.edo", "EDO on this connection"),
  edo_kind = ProtoField.string("edotun.edo.kind", "Numbering"),
  edo_units = ProtoField.string("edotun.edo.units", "Units of Header_Length"),
  edo_supported = ProtoField.bool("edotun.edo.supported", "EDO Supported"),
  edo_header_length = ProtoField.uint16("edotun.edo.header_length", "Header_Length"),
  edo_segment_length = ProtoField.uint16("edotun.edo.segment_length", "Segment_Length"),
  syn_eos = ProtoField.bool("edotun.syn_eos", "SYN-EOS"),
  option = ProtoField.bytes("edotun.option", "Option"),
  option_kind = ProtoField.uint8("edotun.option.kind", "Kind"),
  option_length = ProtoField.uint8("edotun.option.length", "Length"),
  option_exid = ProtoField.uint16("edotun.option.exid", "ExID", base.HEX),
  mss = ProtoField.uint16("edotun.mss", "MSS"),
  wscale = ProtoField.uint8("edotun.wscale", "Shift count"),
  tsval = ProtoField.uint32("edotun.tsval", "TSval"),
  tsecr = ProtoField.uint32("edotun.tsecr", "TSecr"),
  sack_left = ProtoField.uint32("edotun.sack.left", "Left edge"),
  sack_right = ProtoField.uint32("edotun.sack.right", "Right edge"),
  sack_count = ProtoField.uint8("edotun.sack.count", "Blocks"),
  key_id = ProtoField.uint8("edotun.ao.key_id", "KeyID"),
  rnext_key_id = ProtoField.uint8("edotun.ao.rnext_key_id", "RNextKeyID"),
  mac = ProtoField.bytes("edotun.ao.mac", "MAC"),
  eno_b = ProtoField.uint8("edotun.eno.b", "Passive role bit b"),
  eno_aware = ProtoField.bool("edotun.eno.aware", "Application-aware"),
  eno_tep = ProtoField.uint8("edotun.eno.tep", "TEP", base.HEX),
  eno_magic = ProtoField.uint8("edotun.eno.magic", "Magic", base.HEX),
  eno_version = ProtoField.uint8("edotun.eno.version", "Highest version"),
  ke_kind = ProtoField.uint8("edotun.ke.kind", "Message kind", base.DEC, MESSAGES),
  ke_total = ProtoField.uint16("edotun.ke.total", "Octets of the message"),
  ke_offset = ProtoField.uint16("edotun.ke.offset", "Offset of the fragment"),
  ke_fragment = ProtoField.bytes("edotun.ke.fragment", "Fragment"),
  message = ProtoField.bytes("edotun.message", "Message"),
  message_kind = ProtoField.uint8("edotun.message.kind", "Message kind", base.DEC, MESSAGES),
  message_result = ProtoField.string("edotun.message.result", "What became of it"),
  version = ProtoField.uint8("edotun.message.version", "Version"),
  flags = ProtoField.uint8("edotun.message.flags", "Flags", base.HEX),
  flag_nat = ProtoField.bool("edotun.message.flags.nat", "NAT", 8, nil, 0x01),
  flag_outside = ProtoField.bool("edotun.message.flags.options_outside", "Options outside the MAC", 8, nil, 0x02),
  flag_reports = ProtoField.bool("edotun.message.flags.reports", "Reports", 8, nil, 0x04),
  flag_rekeying = ProtoField.bool("edotun.message.flags.rekeying", "Rekeying", 8, nil, 0x08),
  random = ProtoField.bytes("edotun.message.random", "Random"),
  isn = ProtoField.uint32("edotun.message.isn", "ISN"),
  message_eno = ProtoField.bytes("edotun.message.eno", "TCP-ENO option as sent"),
  suite_mac = ProtoField.uint8("edotun.message.mac", "MAC", base.DEC, MACS),
  suite_cipher = ProtoField.uint8("edotun.message.cipher", "Cipher", base.DEC, CIPHERS),
  group_offered = ProtoField.uint16("edotun.message.group_offered", "Group offered", base.DEC, GROUPS),
  group = ProtoField.uint16("edotun.message.group", "Group", base.DEC, GROUPS),
  share = ProtoField.bytes("edotun.message.share", "Key share"),
  ticket = ProtoField.bytes("edotun.message.ticket", "Ticket"),
  ticket_index = ProtoField.uint8("edotun.message.ticket_index", "Ticket index"),
  generation = ProtoField.uint8("edotun.message.generation", "Generation"),
  reason = ProtoField.uint8("edotun.message.reason", "Reason", base.DEC, REFUSALS),
  report_flags = ProtoField.uint8("edotun.report.flags", "Flags", base.HEX),
  report_source = ProtoField.bytes("edotun.report.source", "Source address seen"),
  report_port = ProtoField.uint16("edotun.report.port", "Source port seen"),
  report_tcp_flags = ProtoField.uint8("edotun.report.tcp_flags", "TCP flags seen", base.HEX),
  report_ecn = ProtoField.uint8("edotun.report.ecn", "ECN bits seen"),
  report_ttl = ProtoField.uint8("edotun.report.ttl", "TTL seen"),
  report_window = ProtoField.uint16("edotun.report.window", "Window seen"),
  report_options = ProtoField.bytes("edotun.report.options", "Options seen"),
}
local fields = {}
for _, field in pairs(f) do
  fields[#fields + 1] = field
end
edotun.fields = fields

local malformed = ProtoExpert.new("edotun.malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR)
local dropped = ProtoExpert.new("edotun.dropped", "Dropped by a stack", expert.group.PROTOCOL, expert.severity.WARN)
local remark = ProtoExpert.new("edotun.note", "Worth knowing", expert.group.PROTOCOL, expert.severity.NOTE)
edotun.experts = { malformed, dropped, remark }

local tcp_field, tcp_len_field = Field.new("tcp"), Field.new("tcp.len")
local payload_field, stream_field = Field.new("tcp.payload"), Field.new("tcp.stream")

local function has(value, bit)
  return math.floor(value / bit) % 2 == 1
end

-- One TCP segment: octets by their offset from its start, and ranges to show in the tree.
local Octets = {}
Octets.__index = Octets

function Octets.new(header, payload, data_offset, length)
  local self = setmetatable({}, Octets)
  self.header, self.payload, self.data_offset, self.length = header, payload, data_offset, length
  self.kept = payload and data_offset + payload:len() or math.min(header:len(), data_offset)
  self.head = header:bytes()
  self.tail = payload and payload:bytes() or nil
  return self
end

function Octets:u8(at)
  if at < self.data_offset then
    return self.head:get_index(at)
  end
  return self.tail:get_index(at - self.data_offset)
end

function Octets:u16(at)
  return self:u8(at) * 256 + self:u8(at + 1)
end

function Octets:u32(at)
  return self:u16(at) * 65536 + self:u16(at + 2)
end

-- A range of octets; nil where none of it was captured or it lies on both sides of Data Offset.
function Octets:range(at, length)
  length = math.min(length, self.kept - at)
  if length <= 0 then
    return nil
  end
  if at + length <= self.data_offset then
    return self.header:range(at, length)
  end
  return at >= self.data_offset and self.payload:range(at - self.data_offset, length) or nil
end

-- The options between two offsets, as edo/walk.py finds them; fault is {offset, text} where the walk gives up.
local function walk(octets, from, to)
  local spans, at = {}, from
  local bound = math.min(to, octets.kept)
  while at < bound do
    local kind = octets:u8(at)
    if kind == 0 then
      break
    elseif kind == 1 then
      at = at + 1
    elseif at + 1 >= bound then
      return spans, { at, "option kind " .. kind .. " at octet " .. at .. " has no Length" }
    else
      local length = octets:u8(at + 1)
      if length < 2 then
        return spans, { at + 1, "option kind " .. kind .. " at octet " .. at .. " has Length " .. length }
      elseif at + length > bound then
        local text = "option kind " .. kind .. " at octet " .. at .. " has Length " .. length
        return spans, { at + 1, text .. " and overruns its area, which ends at octet " .. bound }
      end
      local exid = (kind == 253 or kind == 254) and length >= 4 and octets:u16(at + 2) or -1
      spans[#spans + 1] = { kind = kind, exid = exid, at = at, length = length }
      at = at + length
    end
  end
  return spans, nil
end

local function is_supported(span, numbering)
  return numbering.supported[span.kind] and span.exid == numbering.exid and span.length == numbering.octets[1]
end

-- Whether an option is an Extension by its number, whatever its Length (edo/extended.py).
local function is_extension(span, name)
  local numbering = NUMBERINGS[name]
  if not numbering.extension[span.kind] or span.exid ~= numbering.exid then
    return false
  end
  return name == "79/80" or span.length ~= numbering.octets[1]
end

-- Octets to the header's true end; nil and nothing without an Extension; nil and a fault where it cannot be.
local function header_end(octets, spans, name, units)
  local found
  for _, span in ipairs(spans) do
    if is_extension(span, name) then
      if found then
        return nil, { span.at, "more than one EDO Extension" }
      end
      found = span
    end
  end
  if not found then
    return nil, nil
  end
  local lengths = NUMBERINGS[name].octets
  if found.length ~= lengths[2] and found.length ~= lengths[3] then
    return nil, { found.at + 1, "an EDO Extension of Length " .. found.length }
  end
  local at = found.at + lengths[2] - 2
  local bounds = octets:u16(at) * (units == "words" and 4 or 1)
  if bounds < octets.data_offset or bounds > octets.length or bounds % 4 ~= 0 then
    return nil, { at, "Header_Length says " .. bounds .. " octets (" .. units .. ")" }
  end
  if found.length == lengths[3] and octets:u16(at + 2) ~= octets.length then
    return nil, { at + 2, "Segment_Length is not the segment's " .. octets.length .. " octets" }
  end
  return bounds, nil, found
end

-- What is known of connections (by tcp.stream) and was decided of frames (by number and place of their TCP header).
local connections, decisions

function edotun.init()
  connections, decisions = {}, {}
end

local function connection_of(stream)
  if not connections[stream] then
    connections[stream] = { edo = "unknown", syn_eos = "unknown", offering = {}, messages = {} }
  end
  return connections[stream]
end

-- The numbering and the units of a connection, found from its segments so far unless preferences say them.
local function learn(connection, octets, spans, syn)
  if prefs.edo_kind > 0 then
    connection.kind = ORDER[prefs.edo_kind]
  else
    for _, name in ipairs(ORDER) do
      for _, span in ipairs(spans) do
        local offered = syn and is_supported(span, NUMBERINGS[name])
        if offered or (not connection.kind and is_extension(span, name)) then
          if not connection.offered_as then
            connection.kind = name
          end
          connection.offered_as = connection.offered_as or (offered and name or nil)
        end
      end
    end
  end
  if prefs.edo_units > 0 then
    connection.units = prefs.edo_units == 1 and "words" or "octets"
  elseif not connection.units_seen and connection.kind then
    local fits = {}
    for _, units in ipairs({ "words", "octets" }) do
      local bounds = header_end(octets, spans, connection.kind, units)
      if bounds then
        local _, fault = walk(octets, octets.data_offset, bounds)
        fits[units] = fault == nil
      end
    end
    if (fits.words or false) ~= (fits.octets or false) then
      connection.units, connection.units_seen = fits.words and "words" or "octets", true
    end
  end
  connection.units = connection.units or "words"
end

local function take_syn(connection, sender, peer, flags, marks, decision, octets, spans)
  local answered, four_way = has(flags, ACK), has(octets:u8(12), FOUR_WAY)
  local bounds, fault
  if connection.kind then
    bounds, fault = header_end(octets, spans, connection.kind, connection.units)
  end
  local extends = bounds ~= nil or fault ~= nil
  connection.isn = connection.isn or {}
  connection.isn[sender] = octets:u32(4)
  connection.offering[sender] = marks.supported or nil
  if not answered then
    if not connection.opener then
      connection.opener = sender
      connection.edo = marks.supported and "offered" or "not offered"
      connection.syn_eos = marks.syn_eos and "offered" or "not offered"
    end
  else
    if not connection.opener then
      connection.opener = peer
      connection.offering[peer] = marks.supported or nil
      connection.syn_eos = marks.syn_eos and "offered" or "not offered"
    end
    if (marks.supported or (four_way and extends)) and connection.offering[peer] then
      connection.edo = "agreed"
    elseif marks.syn_eos and connection.syn_eos ~= "not offered" then
      connection.edo, connection.syn_eos = "agreed by SYN-EOS", "confirmed"
    elseif sender ~= connection.opener and not connection.extending then
      connection.edo = connection.offering[peer] and "refused" or "not offered"
    end
  end
  if extends then
    local agreed = connection.edo == "agreed" or connection.edo == "agreed by SYN-EOS"
    if answered and agreed and (marks.syn_eos or four_way) then
      decision.bounds, decision.fault = bounds, fault
    else
      decision.note = "an Extension in a SYN is ignored"
    end
  end
end

-- What to make of one segment, decided in the first pass over the capture and kept.
local function decide(octets, flags, stream, sender, peer)
  local connection = connection_of(stream)
  local spans, fault = walk(octets, 20, octets.data_offset)
  local decision = { spans = spans, inside_fault = fault }
  local syn = has(flags, SYN)
  learn(connection, octets, spans, syn)
  local marks = {}
  for _, span in ipairs(spans) do
    marks.supported = marks.supported
      or (connection.kind ~= nil and is_supported(span, NUMBERINGS[connection.kind]))
    marks.syn_eos = marks.syn_eos or (span.exid == SYN_EOS_EXID and span.length == 4)
    marks.ao = marks.ao or span.kind == AO
  end
  if syn then
    take_syn(connection, sender, peer, flags, marks, decision, octets, spans)
  elseif marks.syn_eos and not has(flags, RST) then
    decision.oob = true
    decision.bounds = octets.length
    if connection.isn and connection.isn[sender] and connection.isn[sender] ~= octets:u32(4) then
      decision.fault = { 4, "an out-of-band segment with another sequence number than the SYN" }
    end
  elseif connection.kind then
    local bounds, bad = header_end(octets, spans, connection.kind, connection.units)
    local agreed = connection.edo == "agreed" or connection.edo == "agreed by SYN-EOS"
    connection.extended = connection.extended or {}
    if not bounds and not bad then
      if agreed and not has(flags, RST) and connection.extended[sender] then
        decision.fault = { 20, "no EDO Extension, although this end has sent one" }
      end
    elseif not agreed and connection.edo ~= "unknown" then
      decision.note = "EDO was not agreed on: the Extension is ignored"
    else
      decision.bounds, decision.fault = bounds, bad
      connection.extended[sender] = true
      connection.extending = true
    end
  end
  decision.bounds = decision.bounds or octets.data_offset
  decision.edo, decision.kind, decision.units = connection.edo, connection.kind, connection.units
  if decision.bounds > octets.data_offset then
    decision.behind, decision.behind_fault = walk(octets, octets.data_offset, decision.bounds)
  end
  decision.messages = {}
  local carries = false
  for _, list in ipairs({ spans, decision.behind or {} }) do
    for _, span in ipairs(list) do
      carries = carries or span.exid == KE_EXID
    end
  end
  if decision.oob then
    decision.what = "out-of-band"
  elseif syn then
    decision.what = has(flags, ACK) and "SYN-ACK" or "SYN"
  elseif has(flags, RST) then
    decision.what = "RST"
  elseif carries and not marks.ao then
    decision.what = "key exchange"
  elseif octets.length > decision.bounds then
    decision.what = "data"
  else
    decision.what = has(flags, FIN) and "FIN" or "ACK"
  end
  return decision, connection
end

-- One fragment into its message: MORE, COMPLETE, REPEATED, DIFFERS or MALFORMED, as edo/messages.py has it.
local function put_together(connection, sender, kind, total, offset, octets)
  local length = octets:len()
  if total > MOST_IN_MESSAGE or length == 0 or offset + length > total then
    return "malformed"
  end
  local key = sender .. "/" .. kind
  local held = connection.messages[key]
  if held and held.whole then
    local same = held.total == total
    for index = 0, same and length - 1 or -1 do
      same = same and held[offset + index] == octets:get_index(index)
    end
    if same then
      return "repeated", held
    elseif kind ~= 5 and kind ~= 6 then
      return "differs", held
    end
    held = nil -- a rekey of the next generation
  end
  held = held or { total = total, known = 0 }
  if held.total ~= total then
    return "malformed"
  end
  for index = 0, length - 1 do
    local known = held[offset + index]
    if known and known ~= octets:get_index(index) then
      return "malformed"
    end
  end
  for index = 0, length - 1 do
    if not held[offset + index] then
      held[offset + index] = octets:get_index(index)
      held.known = held.known + 1
    end
  end
  connection.messages[key] = held
  held.whole = held.known == total
  return held.whole and "complete" or "more", held
end

local function hex_of(held)
  local parts = {}
  for index = 0, held.total - 1 do
    parts[#parts + 1] = string.format("%02x", held[index])
  end
  return table.concat(parts)
end

-- Show one whole message; reads behind its end are errors of Lua, which the caller turns into an expert's note.
local function show_message(tree, kind, range)
  local at = 0
  local function add(field, length)
    if at + length > range:len() then
      error("the message ends early", 0)
    end
    local part = range:range(at, length)
    local item = tree:add(field, part)
    at = at + length
    return part, item
  end
  local function counted(octets)
    local part = range:range(at, octets)
    at = at + octets
    return part:uint()
  end
  local function bytes(field, octets)
    local length = counted(octets)
    if length > 0 then
      add(field, length)
    end
  end
  local function flags()
    local part, item = add(f.flags, 1)
    for _, flag in ipairs({ f.flag_nat, f.flag_outside, f.flag_reports, f.flag_rekeying }) do
      item:add(flag, part)
    end
  end
  add(f.version, 1)
  if kind == 8 then
    add(f.reason, 1)
  elseif kind == 7 then
    add(f.report_flags, 1)
    local family = counted(1)
    if family ~= 4 and family ~= 6 then
      error("family " .. family, 0)
    end
    add(f.report_source, family == 4 and 4 or 16)
    add(f.report_port, 2)
    add(f.report_tcp_flags, 1)
    add(f.report_ecn, 1)
    add(f.report_ttl, 1)
    add(f.report_window, 2)
    local kept = counted(1)
    if kept > 0 and kept < 255 then
      add(f.report_options, kept)
    end
  elseif kind == 5 or kind == 6 then
    add(f.generation, 1)
    add(f.random, 32)
    add(f.group, 2)
    bytes(f.share, 2)
  else
    flags()
    if kind ~= 3 then
      add(f.random, 32)
      add(f.isn, 4)
    end
    bytes(f.message_eno, 1)
    if kind == 3 then
      add(f.group, 2)
    elseif kind == 2 then
      add(f.suite_mac, 1)
      add(f.suite_cipher, 1)
      add(f.group, 2)
      bytes(f.share, 2)
      add(f.ticket_index, 1)
    else
      for _ = 1, counted(1) do
        add(f.suite_mac, 1)
        add(f.suite_cipher, 1)
      end
      for _ = 1, counted(1) do
        add(f.group_offered, 2)
      end
      add(f.group, 2)
      bytes(f.share, 2)
      for _ = 1, counted(1) do
        add(f.ticket, 16)
      end
    end
  end
  if at ~= range:len() then
    error("octets are left over", 0)
  end
end

-- The suboptions of TCP-ENO (RFC 8547, section 4.1).
local function show_eno(tree, octets, span)
  local at, last, global = span.at + 2, span.at + span.length, false
  while at < last do
    local first = octets:u8(at)
    local start = at
    at = at + 1
    if first < 0x20 then
      if not global then
        tree:add(f.eno_b, octets:range(start, 1), first % 2)
        tree:add(f.eno_aware, octets:range(start, 1), has(first, 2))
        global = true
      end
    elseif first < 0x80 then
      tree:add(f.eno_tep, octets:range(start, 1), first)
    else
      local length = last - at
      if first < 0xA0 then
        length = first % 32 + 1
        if at + 1 + length > last or octets:u8(at) < 0xA0 then
          tree:add_proto_expert_info(malformed, "ill-formed suboptions: the option is ignored")
          return
        end
        first = octets:u8(at)
        at = at + 1
      end
      local item = tree:add(f.eno_tep, octets:range(start, 1), first % 128)
      if first % 128 == TEP and length >= 2 and octets:u8(at) == MAGIC then
        item:append_text(" (edotun)")
        item:add(f.eno_magic, octets:range(at, 1))
        item:add(f.eno_version, octets:range(at + 1, 1))
      end
      at = at + length
    end
  end
end

local function name_of(span, decision)
  if decision.kind then
    local numbering = NUMBERINGS[decision.kind]
    if is_supported(span, numbering) then
      return "EDO Supported"
    elseif is_extension(span, decision.kind) then
      return "EDO Extension"
    end
  end
  if span.exid >= 0 then
    return EXIDS[span.exid] or string.format("experimental, ExID 0x%04X", span.exid)
  end
  return NAMES[span.kind] or "kind " .. span.kind
end

local function show_option(tree, octets, span, decision)
  local range = octets:range(span.at, span.length)
  if not range then
    return
  end
  local name = name_of(span, decision)
  local item = tree:add(f.option, range)
  item:set_text(name .. ", octets " .. span.at .. " to " .. span.at + span.length - 1)
  item:add(f.option_kind, octets:range(span.at, 1))
  item:add(f.option_length, octets:range(span.at + 1, 1))
  if span.exid >= 0 then
    item:add(f.option_exid, octets:range(span.at + 2, 2))
  end
  local at, kind, length = span.at + 2, span.kind, span.length
  if name == "EDO Supported" then
    item:add(f.edo_supported, range, true)
  elseif name == "EDO Extension" then
    local lengths = NUMBERINGS[decision.kind].octets
    if length == lengths[2] or length == lengths[3] then
      at = span.at + lengths[2] - 2
      item:add(f.edo_header_length, octets:range(at, 2)):append_text(" " .. decision.units)
      if length == lengths[3] then
        item:add(f.edo_segment_length, octets:range(at + 2, 2))
      end
    end
  elseif span.exid == SYN_EOS_EXID and length == 4 then
    item:add(f.syn_eos, range, true)
  elseif span.exid == KE_EXID and length >= 10 then
    item:add(f.ke_kind, octets:range(span.at + 4, 1))
    item:add(f.ke_total, octets:range(span.at + 5, 2))
    item:add(f.ke_offset, octets:range(span.at + 7, 2))
    item:add(f.ke_fragment, octets:range(span.at + 9, length - 9))
  elseif kind == MSS and length == 4 then
    item:add(f.mss, octets:range(at, 2))
  elseif kind == WSCALE and length == 3 then
    item:add(f.wscale, octets:range(at, 1))
  elseif kind == TIMESTAMPS and length == 10 then
    item:add(f.tsval, octets:range(at, 4))
    item:add(f.tsecr, octets:range(at + 4, 4))
  elseif kind == SACK and length >= 10 and length % 8 == 2 then
    item:add(f.sack_count, range, (length - 2) / 8)
    for block = at, span.at + length - 8, 8 do
      item:add(f.sack_left, octets:range(block, 4))
      item:add(f.sack_right, octets:range(block + 4, 4))
    end
  elseif kind == AO and length >= 4 then
    item:add(f.key_id, octets:range(at, 1))
    item:add(f.rnext_key_id, octets:range(at + 1, 1))
    if length > 4 then
      item:add(f.mac, octets:range(at + 2, length - 4))
    end
  elseif kind == ENO then
    show_eno(item, octets, span)
  end
end

-- Take a frame's fragments once; what became of each message is kept for the later passes.
local function take_fragments(connection, sender, octets, decision)
  for _, list in ipairs({ decision.spans, decision.behind or {} }) do
    for _, span in ipairs(list) do
      if span.exid == KE_EXID then
        local kind = octets:u8(span.at + 4 < span.at + span.length and span.at + 4 or span.at)
        local result, held = "malformed", nil
        if span.length >= 10 then
          local fragment = octets:range(span.at + 9, span.length - 9):bytes()
          local total, offset = octets:u16(span.at + 5), octets:u16(span.at + 7)
          result, held = put_together(connection, sender, kind, total, offset, fragment)
        end
        local whole = held and held.whole and hex_of(held) or nil
        decision.messages[#decision.messages + 1] = { kind = kind, result = result, octets = whole }
      end
    end
  end
end

local function show(tree, octets, decision, pinfo)
  local top = tree:add(edotun, octets:range(0, octets.data_offset))
  local length = octets.length - decision.bounds
  top:append_text(", " .. decision.what .. ", header " .. decision.bounds .. ", payload " .. length)
  top:add(f.what, decision.what):set_generated()
  top:add(f.header_length, decision.bounds):set_generated()
  top:add(f.payload_length, length):set_generated()
  top:add(f.edo, decision.edo):set_generated()
  if decision.kind then
    top:add(f.edo_kind, decision.kind):set_generated()
    top:add(f.edo_units, decision.units):set_generated()
  end
  for _, span in ipairs(decision.spans) do
    show_option(top, octets, span, decision)
  end
  local area = octets:range(octets.data_offset, decision.bounds - octets.data_offset)
  if area then
    local below = top:add(decision.oob and f.oob or f.behind, area)
    below:set_text((decision.oob and "Options out of band: " or "Options behind Data Offset: ") .. area:len() .. " octets")
    for _, span in ipairs(decision.behind) do
      show_option(below, octets, span, decision)
    end
  end
  local payload = octets:range(decision.bounds, length)
  if payload then
    top:add(f.payload, payload)
  end
  for _, message in ipairs(decision.messages) do
    local name = MESSAGES[message.kind] or "unknown"
    if message.octets and message.result == "complete" then
      local range = ByteArray.new(message.octets):tvb("Key exchange: " .. name):range()
      local item = top:add(f.message, range)
      item:set_text("Key exchange: " .. name .. ", " .. range:len() .. " octets")
      item:add(f.message_kind, message.kind):set_generated()
      item:add(f.message_result, message.result):set_generated()
      local fine, why = pcall(show_message, item, message.kind, range)
      if not fine then
        item:add_proto_expert_info(malformed, "this " .. name .. " cannot be parsed: " .. tostring(why))
      end
    else
      local item = top:add(f.message_result, message.result)
      item:set_generated()
      item:append_text(" (" .. name .. ")")
      if message.result == "malformed" or message.result == "differs" then
        item:add_proto_expert_info(malformed, "a fragment of " .. name .. ": " .. message.result)
      end
    end
  end
  for _, fault in ipairs({ decision.inside_fault or false, decision.behind_fault or false }) do
    if fault then
      top:add_proto_expert_info(malformed, "octet " .. fault[1] .. ": " .. fault[2])
    end
  end
  if decision.fault then
    top:add_proto_expert_info(dropped, "octet " .. decision.fault[1] .. ": " .. decision.fault[2])
  end
  if decision.note then
    top:add_proto_expert_info(remark, decision.note)
  end
  if prefs.info then
    if decision.oob or decision.what == "key exchange" or #decision.messages > 0 then
      local names = {}
      for _, message in ipairs(decision.messages) do
        names[#names + 1] = " " .. (MESSAGES[message.kind] or "?") .. " " .. message.result
      end
      pinfo.cols.info:append(" [" .. decision.what .. table.concat(names, ",") .. "]")
    end
    if decision.bounds > octets.data_offset then
      pinfo.cols.info:append(" Hdr=" .. decision.bounds .. " Data=" .. length)
    end
  end
end

local function payload_behind(payloads, header, data_offset)
  for _, payload in ipairs(payloads) do
    if payload.offset == header.offset + data_offset then
      return payload.range
    end
  end
  return nil
end

function edotun.dissector(_, pinfo, tree)
  local headers, lengths, streams = { tcp_field() }, { tcp_len_field() }, { stream_field() }
  local payloads = { payload_field() }
  -- Headers that an ICMP error quotes have no stream; what is behind the last one with a stream is of no use here.
  for index = 1, math.min(#headers, #lengths, #streams) do
    local header = headers[index].range
    if header and header:len() >= 20 then
      local data_offset = math.floor(header:range(12, 1):uint() / 16) * 4
      if data_offset >= 20 and header:len() >= data_offset then
        local payload = payload_behind(payloads, headers[index], data_offset)
        local octets = Octets.new(header, payload, data_offset, data_offset + lengths[index].value)
        local flags = octets:u8(13)
        local ports = { octets:u16(0), octets:u16(2) }
        local sender = tostring(pinfo.src) .. "/" .. ports[1]
        local peer = tostring(pinfo.dst) .. "/" .. ports[2]
        local key = pinfo.number .. "/" .. index
        if not decisions[key] then
          local connection
          decisions[key], connection = decide(octets, flags, streams[index].value, sender, peer)
          take_fragments(connection, sender, octets, decisions[key])
        end
        show(tree, octets, decisions[key], pinfo)
      end
    end
  end
end

register_postdissector(edotun, true)
