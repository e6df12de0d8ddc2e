#!/usr/bin/env bash
# Copyright The Kuda Authors.
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh TIME: runs each fuzz target of the main module for that long, one after
# the other, and ends with the first that finds something. By default Go would take
# up to a minute to make an input that is merely interesting shorter.
set -euo pipefail
time=${1:?usage: fuzz.sh TIME, such as 10m}
grep -rl --include='*_test.go' '^func Fuzz' internal | sort | while read -r file; do
  grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | while read -r _ target; do
    echo "== $target ($(dirname "$file"), $time)"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "./$(dirname "$file")" </dev/null
  done
done
