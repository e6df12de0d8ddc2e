// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"fmt"
	"io"
	"strings"
)

// Linking is a linked module with its texts.
type Linking struct {
	Module Module
	Texts  []Text
}

const rule = "\n================================================================================\n"

// WriteNotices writes the file that an image carries: the linked modules with
// their licences, then each text once, with the modules that it belongs to.
func WriteNotices(w io.Writer, linked []Linking) error {
	var b strings.Builder
	b.WriteString(`Third-party software in this image

The program in this image links these versions of these Go modules, which are
published with their sources. The texts of their licences and notices follow.

`)
	type owned struct {
		owners []string
		body   string
	}
	var order []*owned
	byBody := map[string]*owned{}
	for _, l := range linked {
		fmt.Fprintf(&b, "%s %s (%s)\n", l.Module.Path, l.Module.Version, strings.Join(identifiers(l.Texts), ", "))
		for _, t := range l.Texts {
			o := byBody[t.Body]
			if o == nil {
				o = &owned{body: t.Body}
				byBody[t.Body] = o
				order = append(order, o)
			}
			o.owners = append(o.owners, l.Module.Path+" "+t.Name)
		}
	}
	for _, o := range order {
		b.WriteString(rule)
		b.WriteString(strings.Join(o.owners, "\n"))
		b.WriteString("\n\n")
		b.WriteString(strings.TrimRight(o.body, "\n"))
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing notices: %w", err)
	}
	return nil
}

func identifiers(texts []Text) []string {
	var ids []string
	seen := map[string]bool{}
	for _, t := range texts {
		for _, id := range t.Licences {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}
