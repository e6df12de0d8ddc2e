// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// privilegedLines is how many lines of code may run with the driver's privilege.
const privilegedLines = 600

func TestPrivilegedCodeIsSmall(t *testing.T) {
	total := 0
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			total += countCode(t, file)
		}
	}
	t.Logf("%d lines of code", total)
	if total == 0 || total > privilegedLines {
		t.Errorf("%d lines of code run with the driver's privilege, more than %d", total, privilegedLines)
	}
}

// countCode counts the lines of a file but for blank ones and comments.
func countCode(t *testing.T, file string) int {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}
