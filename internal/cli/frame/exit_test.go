// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestAnErrorIsExplainedByWhatIsTrueOfIt(t *testing.T) {
	const reachable, trusted = "is the cluster reachable", "does not trust"
	request := func(err error) error { return &url.Error{Op: "Get", URL: "https://cluster:6443/api", Err: err} }
	_, noFile := os.Open("/nowhere/models.yaml")
	for name, test := range map[string]struct {
		err  error
		hint string
	}{
		"a file that is not there":   {fmt.Errorf("reading: %w", noFile), ""},
		"a file that is forbidden":   {&os.PathError{Op: "open", Path: "/root/x", Err: syscall.EACCES}, ""},
		"an errno":                   {syscall.ENOSPC, ""},
		"a helper that is not there": {request(errors.New("getting credentials: exec: executable aws not found")), ""},
		"refused":                    {request(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), reachable},
		"no such name":               {request(&net.DNSError{Name: "cluster"}), reachable},
		"no answer in time":          {request(os.ErrDeadlineExceeded), reachable},
		"another certificate":        {request(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}), trusted},
	} {
		line := Line(test.err)
		for _, hint := range []string{reachable, trusted} {
			if got := strings.Contains(line, hint); got != (hint == test.hint) {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}

func TestAVariableThatNamesNoFileIsNamed(t *testing.T) {
	t.Setenv(clientcmd.RecommendedConfigPathEnvVar, "/nowhere/config")
	_, err := New(Streams{}).RESTConfig()
	if line := Line(err); !strings.Contains(line, "KUBECONFIG names /nowhere/config, which is not there") {
		t.Error(line)
	}
	t.Setenv(clientcmd.RecommendedConfigPathEnvVar, "")
	if line := noConfig(""); !strings.Contains(line, "set KUBECONFIG") {
		t.Error(line)
	}
}

func TestANamedFileThatIsNotThereIsNotTheClustersFault(t *testing.T) {
	f := New(Streams{})
	f.rules.ExplicitPath = "/nowhere/config"
	_, err := f.RESTConfig()
	if line := Line(err); !strings.Contains(line, "/nowhere/config: no such file") || strings.Contains(line, "reachable") {
		t.Error(line)
	}
}
