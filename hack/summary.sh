#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# summary.sh DIR: adds up the test events in DIR/*.json (go test -json), names
# the tests that passed when they were run again, and closes with one line. The
# last run of a test counts. A skipped test counts as a failure: the tests of
# this project either run or say what they lack by failing.
set -euo pipefail
dir=${1:?usage: summary.sh DIR}
for file in "$dir"/*.json; do
  sed -nE 's/^.*"Action":"(pass|fail|skip)","Package":"([^"]*)","Test":"([^"]*)".*$/\1 \2 \3/p' "$file" |
    sed "s,^,$(basename "$file" .json) ,"
done | awk '
  { key = $1 " " $3 " " $4; if (last[key] == "fail") again[key] = 1; last[key] = $2 }
  END {
    for (key in again) if (last[key] == "pass") print "failed, and passed when it was run again: " key
    for (key in last) {
      count[last[key]]++
      if (last[key] != "pass") print (last[key] == "skip" ? "skipped, which counts as a failure: " : "failed: ") key
    }
    failed = count["fail"] + count["skip"]
    print count["pass"] + 0 " passed, " failed " failed"
    exit !(count["pass"] && !failed)
  }'
