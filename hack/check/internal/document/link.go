// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// CheckLinks returns the links of the pages among the files that lead to no file of
// the repository, or to no heading of a page. All are the paths of the repository's files.
// Links to other hosts are not followed.
func CheckLinks(files []tree.File, all []string) []exception.Finding {
	pages := readPages(files)
	targets := map[string]bool{".": true}
	for _, p := range all {
		for ; p != "."; p = path.Dir(p) {
			targets[p] = true
		}
	}
	var findings []exception.Finding
	for _, name := range sortedNames(pages) {
		p := pages[name]
		for _, l := range p.links {
			if message := judgeLink(p, l, pages, targets); message != "" {
				findings = append(findings, exception.Finding{
					ID: "link", Where: fmt.Sprintf("%s:%d", p.path, l.line), Message: fmt.Sprintf("%q %s", l.target, message)})
			}
		}
	}
	return findings
}

// judgeLink returns what is wrong with a link; nothing for one to another host.
func judgeLink(p page, l link, pages map[string]page, targets map[string]bool) string {
	u, err := url.Parse(l.target)
	if err != nil {
		return "is not a link: escape what does not belong into one"
	}
	if u.Scheme != "" || u.Host != "" {
		return ""
	}
	if strings.HasPrefix(u.Path, "/") {
		return "begins with a slash: write the path from this page"
	}
	to := p.path
	if u.Path != "" {
		to = path.Join(path.Dir(p.path), u.Path)
	}
	if !targets[to] {
		return fmt.Sprintf("leads nowhere: there is no %s", to)
	}
	if target, ok := pages[to]; ok && u.Fragment != "" && !target.anchors[u.Fragment] {
		return fmt.Sprintf("leads nowhere: %s has no heading with the anchor %q%s", to, u.Fragment, suggestAnchor(target, u.Fragment))
	}
	return ""
}

// suggestAnchor names an anchor of a page that is like the one that is not there.
func suggestAnchor(p page, fragment string) string {
	for _, h := range p.headings {
		if s := slug(h.text); strings.Contains(s, fragment) || strings.Contains(fragment, s) {
			return fmt.Sprintf("; is it %q?", s)
		}
	}
	return ""
}

// readPages returns the Markdown pages among the files, by path.
func readPages(files []tree.File) map[string]page {
	pages := map[string]page{}
	for _, f := range files {
		if path.Ext(f.Path) == ".md" && !slices.Contains(strings.Split(f.Path, "/"), "testdata") {
			pages[f.Path] = parse(f)
		}
	}
	return pages
}
