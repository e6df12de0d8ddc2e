-- Copyright The Kuda Authors.
-- SPDX-License-Identifier: Apache-2.0

-- The health of a DataSet, by its conditions: docs/design/013-status.md has the states.
local function answer(status, message)
  return { status = status, message = message or "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  return answer("Progressing", "being deleted")
end
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration == nil
    or status.observedGeneration < (obj.metadata.generation or 0) then
  return answer("Progressing", "not looked at yet")
end

local conditions = {}
for _, c in ipairs(status.conditions) do
  conditions[c.type] = c
end
local stalled, reconciling, ready = conditions.Stalled, conditions.Reconciling, conditions.Ready

if stalled ~= nil and stalled.status == "True" then
  return answer("Degraded", stalled.message)
end
if reconciling ~= nil and reconciling.status == "True" then
  local rollout = status.rollout
  if rollout ~= nil and (rollout.reason == "Paused" or rollout.reason == "StepPaused") then
    return answer("Suspended", reconciling.message)
  end
  return answer("Progressing", reconciling.message)
end
if ready ~= nil and ready.status == "True" then
  return answer("Healthy", ready.message)
end
-- The spec is carried out, and a pod lacks its data: it may get it yet.
if ready ~= nil then
  return answer("Progressing", ready.message)
end
return answer("Progressing", "not looked at yet")
