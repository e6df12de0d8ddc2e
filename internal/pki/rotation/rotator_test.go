// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
)

var policy = pki.Policy{Lifetime: 9 * time.Minute, Overlap: 2 * time.Minute, Leaf: time.Minute}

// secret takes merge patches as the API server does; mount copies it to the
// directory as the kubelet does, later.
type secret struct {
	t      *testing.T
	data   map[string][]byte
	writes int
	fail   error
}

func (s *secret) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	if s.fail != nil {
		return s.fail
	}
	if patch.Type() != types.MergePatchType || object.GetName() != "kuda-ca" {
		s.t.Errorf("got a patch of type %s for %s", patch.Type(), object.GetName())
	}
	raw, err := patch.Data(object)
	if err != nil {
		return err
	}
	var change struct {
		Data map[string]*[]byte `json:"data"`
	}
	if err := json.Unmarshal(raw, &change); err != nil {
		return err
	}
	for key, value := range change.Data {
		if value == nil {
			delete(s.data, key)
			continue
		}
		s.data[key] = *value
	}
	s.writes++
	return nil
}

func (s *secret) mount(dir string) {
	s.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			s.t.Fatal(err)
		}
	}
	for key, value := range s.data {
		if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func setup(t *testing.T) (*secret, *Rotator, *clocktesting.FakeClock, string) {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	g, err := pki.NewGeneration(policy, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := g.SecretData()
	if err != nil {
		t.Fatal(err)
	}
	s, dir := &secret{t: t, data: data}, t.TempDir()
	s.mount(dir)
	a, err := pki.LoadAuthority(pki.Options{Dir: dir, Policy: policy, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return s, &Rotator{Client: s, Authority: a, Secret: types.NamespacedName{Namespace: "kuda-system", Name: "kuda-ca"}}, clock, dir
}

func TestASlowKubeletDoesNotTurnOneRotationIntoMany(t *testing.T) {
	s, r, clock, dir := setup(t)
	clock.Step(6 * time.Minute)
	for range 5 {
		if _, err := r.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Step(10 * time.Second)
	}
	if s.writes != 1 || len(s.data) != 4 {
		t.Fatalf("got %d writes and %d keys; want 1 and 4", s.writes, len(s.data))
	}
	s.mount(dir)
	if err := r.Authority.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Step(t.Context()); err != nil || s.writes != 1 || len(r.written) != 0 {
		t.Errorf("after the mount: %v, %d writes, %d pending", err, s.writes, len(r.written))
	}
}

func TestAnotherLeaderWithAnOlderMountDoesNotOverwriteTheNewCA(t *testing.T) {
	s, first, clock, dir := setup(t)
	stale, err := pki.LoadAuthority(pki.Options{Dir: dir, Policy: policy, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	second := &Rotator{Client: s, Authority: stale, Secret: first.Secret}
	clock.Step(6 * time.Minute)
	for _, r := range []*Rotator{first, second} {
		if _, err := r.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if generations, err := pki.ParseGenerations(s.data); err != nil || len(generations) != 3 {
		t.Errorf("got %d generations, %v; want 3", len(generations), err)
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	s, r, clock, _ := setup(t)
	clock.Step(6 * time.Minute)
	s.fail = errors.New("the API server is away")
	if _, err := r.Step(t.Context()); !errors.Is(err, s.fail) {
		t.Fatalf("got %v", err)
	}
	s.fail = nil
	if _, err := r.Step(t.Context()); err != nil || s.writes != 1 {
		t.Errorf("got %v, %d writes", err, s.writes)
	}
}

func TestAnExpiredCALeavesTheSecret(t *testing.T) {
	s, r, clock, dir := setup(t)
	for range 2 {
		clock.Step(6 * time.Minute)
		if _, err := r.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mount(dir)
		if err := r.Authority.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	clock.Step(time.Second)
	if generations, err := pki.ParseGenerations(s.data); err != nil || len(generations) != 2 {
		t.Errorf("got %d generations, %v; want 2", len(generations), err)
	}
}
