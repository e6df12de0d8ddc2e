#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# summary.sh DIR: adds up the test events in DIR/*.json (go test -json) and
# closes with one line. A skipped test counts as a failure: the tests of this
# project either run or say what they lack by failing.
set -euo pipefail
dir=${1:?usage: summary.sh DIR}
count() { cat "$dir"/*.json 2>/dev/null | grep -c "\"Action\":\"$1\".*\"Test\":" || true; }
passed=$(count pass) failed=$(count fail) skipped=$(count skip)
if [ "$skipped" != 0 ]; then
  echo "skipped tests count as failures here:"
  cat "$dir"/*.json | grep '"Action":"skip".*"Test":' | sed 's/.*"Package":"\([^"]*\)","Test":"\([^"]*\)".*/  \1 \2/'
fi
echo "$passed passed, $((failed + skipped)) failed"
[ "$passed" != 0 ] && [ "$failed" = 0 ] && [ "$skipped" = 0 ]
