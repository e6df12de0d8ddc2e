// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const isc = `ISC License

Copyright (c) 2026 Example

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

func module(t *testing.T, files map[string]string, packages ...string) Module {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Module{Path: "example.com/m", Version: "v1.0.0", Dir: dir, Packages: packages}
}

func check(t *testing.T, m Module) (texts []Text, ids []string) {
	t.Helper()
	texts, err := Texts(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Check(m, texts) {
		ids = append(ids, f.ID)
	}
	return texts, ids
}

func TestTextsOfLinkedPackagesAreTaken(t *testing.T) {
	m := module(t, map[string]string{
		"LICENSE": isc, "NOTICE.txt": "Made by Example.", "license.go": "package m",
		"third/LICENSE-MIT": isc, "third/p/p.go": "package p", "other/COPYING": "not linked",
	}, ".", "third/p")
	texts, problems := check(t, m)
	var names []string
	for _, text := range texts {
		names = append(names, text.Name)
	}
	if diff := cmp.Diff([]string{"LICENSE", "NOTICE.txt", "third/LICENSE-MIT"}, names); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 0 {
		t.Errorf("problems: %q", problems)
	}
}

func TestModuleWithoutKnownLicenceIsAProblem(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"none":    {map[string]string{"a.go": "package a", "NOTICE": "Made by Example."}, []string{"licence-missing"}},
		"unknown": {map[string]string{"LICENSE": "Ask Bob before you use this."}, []string{"licence-unknown", "licence-missing"}},
		"more terms": {map[string]string{"LICENSE": isc +
			strings.Repeat("Furthermore the licensee shall pay one coin per line of code used. ", 20)},
			[]string{"licence-unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := check(t, module(t, c.files, "."))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLicenceThatIsNotOnTheListIsRefused(t *testing.T) {
	got := Check(Module{Path: "example.com/m"}, []Text{{Name: "COPYING", Licences: []string{"AGPL-3.0"}, known: true}})
	if len(got) != 2 || got[0].ID != "licence-refused" || got[1].ID != "licence-missing" {
		t.Errorf("got %+v", got)
	}
}

func TestNoticesHoldEachTextOnce(t *testing.T) {
	var b strings.Builder
	text := Text{Name: "LICENSE", Body: isc, Licences: []string{"ISC"}, known: true}
	err := WriteNotices(&b, []Linking{
		{Module{Path: "example.com/a", Version: "v1.0.0"}, []Text{text}},
		{Module{Path: "example.com/b", Version: "v2.0.0"}, []Text{text, {Name: "NOTICE", Body: "Made by B."}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if n := strings.Count(got, "THE SOFTWARE IS PROVIDED"); n != 1 {
		t.Errorf("the licence is there %d times", n)
	}
	for _, want := range []string{"example.com/b v2.0.0 (ISC)", "example.com/a LICENSE\nexample.com/b LICENSE\n", "Made by B."} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestOwnAndStandardPackagesAreNotThirdParty(t *testing.T) {
	modules, err := group(strings.NewReader(`
{"Dir":"/go/src/fmt","Standard":true}
{"Dir":"/k","Module":{"Path":"github.com/kuda-io/kuda","Main":true,"Dir":"/k"}}
{"Dir":"/k/s","Module":{"Path":"github.com/kuda-io/kuda/scheduler","Dir":"/k/s"}}
{"Dir":"/m/x/p","Module":{"Path":"example.com/x","Version":"v1.0.0","Dir":"/m/x"}}
{"Dir":"/m/y2","Module":{"Path":"example.com/y","Version":"v1.0.0","Dir":"/m/y",
 "Replace":{"Path":"example.com/y2","Version":"v2.0.0","Dir":"/m/y2"}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Module{
		{Path: "example.com/x", Version: "v1.0.0", Dir: "/m/x", Packages: []string{"p"}},
		{Path: "example.com/y2", Version: "v2.0.0", Dir: "/m/y2", Packages: []string{"."}},
	}
	if diff := cmp.Diff(want, modules); diff != "" {
		t.Error(diff)
	}
}
