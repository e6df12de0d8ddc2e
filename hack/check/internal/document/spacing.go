// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"regexp"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

var (
	// unseen is what a reader does not see of a line: targets of links, and marks.
	unseen   = regexp.MustCompile(`\]\([^)]*\)|!\[|[*\[\]]`)
	touching = regexp.MustCompile(`\p{Han}[A-Za-z0-9]|[A-Za-z0-9%]\p{Han}`)
	halfWide = regexp.MustCompile(`\p{Han}[,;:?!(]|[,;:?!)]\p{Han}`)
)

// checkSpacing returns the lines of a Chinese page in which Chinese and Latin letters,
// digits or code touch, and those with Latin punctuation beside Chinese letters.
func checkSpacing(p page) []exception.Finding {
	var findings []exception.Finding
	for i, l := range p.prose {
		l = unseen.ReplaceAllString(l, "")
		for _, rule := range []struct {
			pattern *regexp.Regexp
			mend    string
		}{
			{touching, "put a space between them"},
			{halfWide, "write the full-width mark, such as ， or （"},
		} {
			if at := rule.pattern.FindString(l); at != "" {
				findings = append(findings, exception.Finding{
					ID: "spacing", Where: fmt.Sprintf("%s:%d", p.path, i+1), Message: fmt.Sprintf("%q: %s", at, rule.mend)})
			}
		}
	}
	return findings
}
