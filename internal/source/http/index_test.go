// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"strings"
	"testing"
)

var hex64 = strings.Repeat("0123456789abcdef", 4)

func TestLinesOfAnIndexAreReadAsSha256sumWritesThem(t *testing.T) {
	for line, want := range map[string]string{
		hex64 + "  plain":                  "plain",
		hex64 + " *binary":                 "binary",
		hex64 + "  ./found":                "found",
		hex64 + "  two  spaces ":           "two  spaces ",
		hex64 + "  carriage\r":             "carriage",
		strings.ToUpper(hex64) + "  upper": "upper",
		hex64 + `  back\slash`:             `back\slash`,
		`\` + hex64 + `  new\nline\\n`:     "new\nline\\n",
		"SHA256 (a (b) = c) = " + hex64:    "a (b) = c",
		`\SHA256 (new\nline) = ` + hex64:   "new\nline",
		hex64 + "  ../../etc/passwd":       "../../etc/passwd", // callers refuse it
	} {
		sum, name, err := parseLine(line)
		if err != nil || sum != hex64 || name != want {
			t.Errorf("%q: got %q, %q, %v", line, sum, name, err)
		}
	}
}

func TestOtherLinesAreRefused(t *testing.T) {
	for _, line := range []string{
		"x", hex64, hex64 + "  ", hex64 + " ", hex64 + " name", hex64 + "  ./", hex64[1:] + "g  name", hex64 + "0  name", `\`,
		"SHA256 (name) = " + hex64[1:], "SHA256 (name = " + hex64, "SHA256 () = " + hex64, "MD5 (name) = " + hex64, "<html>",
	} {
		if sum, name, err := parseLine(line); err == nil {
			t.Errorf("%q: got %q, %q", line, sum, name)
		}
	}
}

func FuzzIndexLines(f *testing.F) {
	for _, seed := range []string{
		hex64 + "  name", hex64 + " *name", `\` + hex64 + `  a\nb\\c`, "SHA256 (name) = " + hex64, hex64 + "  ./x\r", "", " ", hex64,
		"SHA256 (", `\SHA256 (\n) = ` + hex64,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		sum, name, err := parseLine(line)
		if err != nil {
			if sum != "" || name != "" {
				t.Errorf("%q: %q and %q beside an error", line, sum, name)
			}
			return
		}
		if len(sum) != sumLength || strings.Trim(sum, "0123456789abcdef") != "" || name == "" {
			t.Errorf("%q: got %q, %q", line, sum, name)
		}
		// What is written as sha256sum does is read as it was.
		escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
		again, same, err := parseLine(`\` + sum + "  ./" + escaped)
		if err != nil || again != sum || same != name {
			t.Errorf("%q: read as %q, and again as %q, %v", line, name, same, err)
		}
	})
}
