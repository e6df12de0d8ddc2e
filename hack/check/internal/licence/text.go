// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/google/licensecheck"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

// allowed are the licences (SPDX) that may be linked into an Apache-2.0
// program that is distributed as an image with these texts.
var allowed = []string{
	"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "Unlicense", "CC0-1.0", "Zlib", "MPL-2.0",
}

// Text is one file of a module that must come with its programs.
type Text struct {
	// Name is the file's path in its module.
	Name string
	// Body is what it says.
	Body string
	// Licences are the licences that were recognised, SPDX identifiers.
	Licences []string
	// known reports whether most of the file is text of these licences.
	known bool
}

var (
	// grants are files that say under which terms the code may be used.
	grants = regexp.MustCompile(`(?i)^(un)?licen[cs]es?([.-].*)?$|^copying([.-].*)?$`)
	// notices must be passed on but grant nothing by themselves.
	notices = regexp.MustCompile(`(?i)^(notices?|patents|copyright|third.?party.*)([.-].*)?$`)
	// code is never a licence, whatever its name.
	code = regexp.MustCompile(`(?i)\.(go|json|ya?ml|tmpl|sh|proto)$`)
)

// Texts returns the licences and notices of a module: those in its root, and
// those in the directories between it and each linked package.
func Texts(m Module) ([]Text, error) {
	var texts []Text
	for _, dir := range directories(m.Packages) {
		entries, err := os.ReadDir(filepath.Join(m.Dir, dir))
		if err != nil {
			return nil, fmt.Errorf("looking for the licence of %s: %w", m.Path, err)
		}
		for _, e := range entries {
			grant := grants.MatchString(e.Name())
			if !e.Type().IsRegular() || code.MatchString(e.Name()) || !grant && !notices.MatchString(e.Name()) {
				continue
			}
			name := filepath.Join(dir, e.Name())
			body, err := os.ReadFile(filepath.Join(m.Dir, name))
			if err != nil {
				return nil, fmt.Errorf("reading the licence of %s: %w", m.Path, err)
			}
			t := Text{Name: filepath.ToSlash(name), Body: string(body), known: true}
			if grant {
				t.Licences, t.known = recognise(body)
			}
			texts = append(texts, t)
		}
	}
	return texts, nil
}

func directories(packages []string) []string {
	seen := map[string]bool{".": true}
	for _, p := range packages {
		for ; !seen[p]; p = filepath.Dir(p) {
			seen[p] = true
		}
	}
	var dirs []string
	for d := range seen {
		dirs = append(dirs, d)
	}
	sort.Strings(dirs)
	return dirs
}

// enough is the share of a licence file, in per cent of its words, that must be
// text of recognised licences; the rest are names, years and headings.
const enough = 75

func recognise(body []byte) (ids []string, known bool) {
	coverage := licensecheck.Scan(body)
	for _, m := range coverage.Match {
		if !m.IsURL && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	sort.Strings(ids)
	return ids, len(ids) > 0 && coverage.Percent >= enough
}

// Check finds modules without a licence, and files whose licence is not known
// or not on the list.
func Check(m Module, texts []Text) []exception.Finding {
	var findings []exception.Finding
	find := func(id, format string, args ...any) {
		findings = append(findings, exception.Finding{ID: id, Where: m.Path, Message: fmt.Sprintf(format, args...)})
	}
	granted := false
	for _, t := range texts {
		if !t.known {
			find("licence-unknown", "%s of %s is not a licence that is known: read it", t.Name, m.Version)
		}
		for _, id := range t.Licences {
			if slices.Contains(allowed, id) {
				granted = true
				continue
			}
			find("licence-refused", "%s of %s is %s; allowed are %s", t.Name, m.Version, id, strings.Join(allowed, ", "))
		}
	}
	if !granted {
		find("licence-missing", "no file of %s grants a licence", m.Version)
	}
	return findings
}
