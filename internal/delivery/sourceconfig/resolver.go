// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
)

// resolver is what decides which server a name means in this pod. A pod's author
// can set it (hostAliases, dnsConfig), so what was read by name alone is shared
// only with pods that resolve names in the same way.
type resolver struct{ hosts, conf string }

// podResolver is the one that the kubelet sets up.
var podResolver = resolver{hosts: "/etc/hosts", conf: "/etc/resolv.conf"}

// The lines by which the kubelet marks a file that it makes for one pod, and the
// part of it that the pod asked for.
const (
	managedHosts = "# Kubernetes-managed hosts file."
	hostAliases  = "# Entries added by HostAliases."
)

// hostWord is the word of a Provenance's Way for a name, "" for none.
func (r resolver) hostWord(host string) (string, error) {
	if host == "" {
		return "", nil
	}
	hosts, err := os.ReadFile(r.hosts)
	if err != nil {
		return "", fmt.Errorf("reading how %s is resolved: %w", host, err)
	}
	conf, err := os.ReadFile(r.conf)
	if err != nil {
		return "", fmt.Errorf("reading how %s is resolved: %w", host, err)
	}
	var text strings.Builder
	if bytes.HasPrefix(hosts, []byte(managedHosts)) {
		// The rest names the pod itself.
		_, hosts, _ = bytes.Cut(hosts, []byte(hostAliases))
	}
	writeLines(&text, hosts, func([]string) bool { return true })
	text.WriteByte('\n')
	// Options do not decide whose answer it is.
	writeLines(&text, conf, func(fields []string) bool { return fields[0] != "options" })
	return source.ContentWord("names", []byte(text.String())), nil
}

// hasHostAliases reports whether the pod's author gave names addresses.
func (r resolver) hasHostAliases() bool {
	hosts, err := os.ReadFile(r.hosts)
	return err == nil && bytes.HasPrefix(hosts, []byte(managedHosts)) && bytes.Contains(hosts, []byte(hostAliases))
}

// writeLines writes the lines that count, without comments and spaces around them.
func writeLines(out *strings.Builder, text []byte, counts func(fields []string) bool) {
	for line := range bytes.Lines(text) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		if fields := strings.Fields(string(line)); len(fields) > 0 && counts(fields) {
			out.WriteString(strings.Join(fields, " ") + "\n")
		}
	}
}
