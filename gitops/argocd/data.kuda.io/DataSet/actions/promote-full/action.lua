-- Copyright The Kuda Authors.
-- SPDX-License-Identifier: Apache-2.0

-- The request is about the revision that is rolled out now; the time makes it differ
-- from earlier ones. kubectl kuda promote-full sets the same annotation.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["kuda.io/rollout-request"] =
  "promote-full " .. obj.status.updateRevision .. " argocd-" .. os.date("!%Y%m%d%H%M%S")
return obj
