-- Copyright The Kuda Authors.
-- SPDX-License-Identifier: Apache-2.0

-- Which actions make sense now; the others are shown and disabled.
local rollout = (obj.status or {}).rollout or {}
local running = rollout.phase == "Delivering" or rollout.phase == "Prefetching" or rollout.phase == "Progressing"
local failed = rollout.phase == "Stopped" or rollout.phase == "RolledBack"
local paused = obj.spec.paused == true
local moves = obj.status ~= nil and obj.status.currentRevision ~= obj.status.updateRevision
local steps = ((obj.spec.updateStrategy or {}).steps) or {}
local at_step = running and moves and (rollout.step or 0) < #steps

return {
  ["pause"] = { disabled = paused },
  ["resume"] = { disabled = not paused },
  ["promote"] = { disabled = not at_step },
  ["promote-full"] = { disabled = not at_step },
  ["abort"] = { disabled = not (moves and (running or rollout.phase == "Stopped")) },
  ["retry"] = { disabled = not failed },
}
