// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clitest is the world of a command's test: a cluster with objects, a clock,
// a kubeconfig, and what the command prints. Only tests import it.
package clitest

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// World is a cluster for commands that run at a time.
type World struct {
	Client client.WithWatch
	// In is what the user types; Program how commands are called, "" for "kuda".
	In, Program string
	now         time.Time
}

// Printed is what a command printed: on each stream, and on both in order.
type Printed struct{ Out, ErrOut, Both bytes.Buffer }

// New makes a world with objects, whose calls go through hooks.
func New(now time.Time, hooks interceptor.Funcs, objects ...client.Object) *World {
	name := func(o client.Object) []string { return []string{o.GetName()} }
	c := fake.NewClientBuilder().WithScheme(frame.Scheme()).WithObjects(objects...).WithInterceptorFuncs(hooks).
		WithStatusSubresource(&v1alpha1.DataSet{}, &v1alpha1.Data{}).
		WithIndex(&v1alpha1.DataSet{}, metav1.ObjectNameField, name).
		WithIndex(&corev1.Secret{}, metav1.ObjectNameField, name).
		WithIndex(&corev1.Event{}, "reason", func(o client.Object) []string { return []string{o.(*corev1.Event).Reason} }).
		WithIndex(&corev1.Event{}, "involvedObject.name",
			func(o client.Object) []string { return []string{o.(*corev1.Event).InvolvedObject.Name} })
	return &World{Client: c.Build(), now: now}
}

// Frame returns what a command gets, and where it prints.
func (w *World) Frame() (*frame.Frame, *Printed) {
	p := &Printed{}
	f := frame.New(frame.Streams{In: strings.NewReader(w.In), Out: io.MultiWriter(&p.Out, &p.Both),
		ErrOut: io.MultiWriter(&p.ErrOut, &p.Both)})
	f.Program = cmp.Or(w.Program, f.Program)
	f.Now = func() time.Time { return w.now }
	f.Connect = func() (client.WithWatch, error) { return w.Client, nil }
	return f, p
}

// Run runs a command by itself, in the namespace shop of its kubeconfig.
func (w *World) Run(t *testing.T, command func(*frame.Frame) *cobra.Command, args ...string) (*Printed, error) {
	t.Helper()
	return w.RunIn(t, "shop", command, args...)
}

// RunIn is Run in another namespace.
func (w *World) RunIn(t *testing.T, namespace string, command func(*frame.Frame) *cobra.Command, args ...string) (*Printed, error) {
	t.Helper()
	setKubeconfig(t, namespace)
	f, p := w.Frame()
	cmd := command(f)
	cmd.GroupID, cmd.SilenceErrors, cmd.SilenceUsage = "", true, true
	cmd.SetArgs(append([]string{}, args...))
	return p, cmd.ExecuteContext(t.Context())
}

// setKubeconfig makes a kubeconfig the one of the process; its cluster is nowhere.
func setKubeconfig(t *testing.T, namespace string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	content := `{"apiVersion":"v1","kind":"Config","current-context":"c",` +
		`"contexts":[{"name":"c","context":{"cluster":"c","user":"u","namespace":"` + namespace + `"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{}}]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
}

// WantExit fails the test where a command ends with another exit code.
func WantExit(t *testing.T, err error, code int) {
	t.Helper()
	if got := frame.Code(err); got != code {
		t.Errorf("exit code %d (%v), want %d", got, err, code)
	}
}
