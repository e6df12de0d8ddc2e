// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gatewayca

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

type bundle struct {
	mu      sync.Mutex
	text    string
	changed chan struct{}
}

func (b *bundle) Bundle() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return []byte(b.text)
}

func (b *bundle) Changed() <-chan struct{} { return b.changed }

func (b *bundle) set(text string) {
	b.mu.Lock()
	b.text = text
	b.mu.Unlock()
	b.changed <- struct{}{}
}

func TestTheConfigMapFollowsTheAuthority(t *testing.T) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kuda-node", Name: ConfigMap}, Data: map[string]string{"own": "x"}}
	patched := make(chan error, 10)
	c := fake.NewClientBuilder().WithObjects(object).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			err := c.Patch(ctx, o, p, options...)
			patched <- err
			return err
		},
	}).Build()
	b := &bundle{text: "first", changed: make(chan struct{}, 1)}
	fakeClock := clocktesting.NewFakeClock(time.Now())
	p := New(Options{Client: c, Namespace: "kuda-node", Bundle: b, Clock: fakeClock, Log: logr.Discard()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Start(ctx) }()
	await := func(want string) {
		t.Helper()
		if err := <-patched; err != nil {
			t.Fatal(err)
		}
		var got corev1.ConfigMap
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), &got); err != nil {
			t.Fatal(err)
		}
		if got.Data[Key] != want || got.Data["own"] != "x" {
			t.Errorf("data %v, want %q", got.Data, want)
		}
	}
	await("first")
	b.set("second")
	await("second")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
