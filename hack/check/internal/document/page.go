// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// page is one Markdown page, as far as it is judged.
type page struct {
	path     string
	text     string
	headings []heading
	blocks   []block
	links    []link
	anchors  map[string]bool
	// prose are the lines without blocks and comments; what stands in code spans is
	// replaced by letters.
	prose []string
}

// heading is one heading; its level is the number of # before it.
type heading struct {
	line  int
	level int
	text  string
}

// block is one fenced block of code: its lines, with those of the fence.
type block struct {
	line int
	text string
}

// link is a link or an image. Its target is as it is written.
type link struct {
	line   int
	target string
}

var (
	fence      = regexp.MustCompile("^ *(`{3,}|~{3,})(.*)$")
	headingOf  = regexp.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$`)
	linkTo     = regexp.MustCompile(`\]\(\s*(?:<([^>\n]*)>|([^()\s]*(?:\([^()\s]*\)[^()\s]*)*))(?:\s+"[^"\n]*")?\s*\)`)
	definition = regexp.MustCompile(`^ {0,3}\[[^\]]+\]:\s+<?([^\s>]+)>?`)
	attribute  = regexp.MustCompile(`<[a-zA-Z][^>\n]*?\s(?:href|src)="([^"\n]*)"`)
	named      = regexp.MustCompile(`<a [^>\n]*?(?:id|name)="([^"\n]+)"`)
	// textOfLink is a link inside a heading, of which the anchor has the text only.
	textOfLink = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	// notInAnchor is what GitHub leaves out of a heading's anchor.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{M}\p{Nd}\p{Pc}\- ]`)
)

// parse reads a page.
func parse(f tree.File) page {
	p := page{path: f.Path, text: f.Text, anchors: map[string]bool{}}
	lines := p.readBlocks()
	for i, l := range lines {
		if m := headingOf.FindStringSubmatch(l); m != nil {
			p.headings = append(p.headings, heading{line: i + 1, level: len(m[1]), text: m[2]})
		}
		for _, m := range named.FindAllStringSubmatch(l, -1) {
			p.anchors[m[1]] = true
		}
	}
	for _, h := range p.headings {
		p.addAnchor(slug(h.text))
	}
	p.prose = strings.Split(hideCode(strings.Join(lines, "\n")), "\n")
	for i, l := range p.prose {
		p.readLinks(i+1, l)
	}
	return p
}

// readBlocks takes the blocks of code out of the page, and returns its lines with
// those of blocks and comments empty. A block that is not closed ends with the page.
func (p *page) readBlocks() []string {
	lines := strings.Split(p.text, "\n")
	end := ""
	comment := false
	for i, l := range lines {
		m := fence.FindStringSubmatch(l)
		switch {
		case end != "":
			b := &p.blocks[len(p.blocks)-1]
			b.text += l + "\n"
			if m != nil && strings.HasPrefix(m[1], end) && strings.TrimSpace(m[2]) == "" {
				end = ""
			}
			lines[i] = ""
		case !comment && m != nil:
			p.blocks = append(p.blocks, block{line: i + 1, text: l + "\n"})
			end = m[1]
			lines[i] = ""
		default:
			lines[i], comment = hideComments(l, comment)
		}
	}
	return lines
}

// hideComments returns a line without what of it is in an HTML comment, and whether
// the comment goes on.
func hideComments(l string, open bool) (string, bool) {
	var b strings.Builder
	for {
		if open {
			_, rest, ok := strings.Cut(l, "-->")
			if !ok {
				return b.String(), true
			}
			l = rest
		}
		before, rest, ok := strings.Cut(l, "<!--")
		b.WriteString(before)
		if !ok {
			return b.String(), false
		}
		l, open = rest, true
	}
}

// hideCode replaces what stands in code spans by letters, so that a bracket there is
// not one of a link. Lines stay lines.
func hideCode(text string) string {
	out := []byte(text)
	for i := 0; i < len(out); {
		n := countTicks(text[i:])
		if n == 0 {
			i++
			continue
		}
		end := findTicks(text, i+n, n)
		if end < 0 {
			i += n
			continue
		}
		for j := i; j < end; j++ {
			if out[j] != '\n' {
				out[j] = 'x'
			}
		}
		i = end
	}
	return string(out)
}

func countTicks(s string) int { return len(s) - len(strings.TrimLeft(s, "`")) }

// findTicks returns the end of the next run of exactly n backticks in the paragraph,
// or -1.
func findTicks(text string, from, n int) int {
	limit := len(text)
	if i := strings.Index(text[from:], "\n\n"); i >= 0 {
		limit = from + i
	}
	for i := from; i < limit; {
		k := countTicks(text[i:limit])
		if k == n {
			return i + k
		}
		i += max(k, 1)
	}
	return -1
}

func (p *page) readLinks(line int, l string) {
	for _, m := range linkTo.FindAllStringSubmatch(l, -1) {
		p.links = append(p.links, link{line: line, target: m[1] + m[2]})
	}
	for _, pattern := range []*regexp.Regexp{definition, attribute} {
		for _, m := range pattern.FindAllStringSubmatch(l, -1) {
			p.links = append(p.links, link{line: line, target: m[1]})
		}
	}
}

// addAnchor adds the anchor of a heading; a second one of the same text gets a number.
func (p *page) addAnchor(s string) {
	anchor := s
	for i := 1; p.anchors[anchor]; i++ {
		anchor = fmt.Sprintf("%s-%d", s, i)
	}
	p.anchors[anchor] = true
}

// slug returns the anchor that GitHub gives to a heading.
func slug(text string) string {
	text = textOfLink.ReplaceAllString(text, "$1")
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
}
