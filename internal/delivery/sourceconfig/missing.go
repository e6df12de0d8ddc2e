// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"cmp"
	"path/filepath"
	"slices"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// Kinds of objects that are mounted.
const (
	kindSecret    = "Secret"
	kindConfigMap = "ConfigMap"
)

// Credentials are the Secrets and ConfigMaps of an assignment, as they are mounted.
type Credentials struct {
	// Missing are those that lack something; none: all are there.
	Missing []MissingMount `json:"missing,omitempty"`
}

// MissingMount is what a mount lacks.
type MissingMount struct {
	// Kind is Secret or ConfigMap.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// State is notMounted, empty or noKey; Key is the key that is not there.
	State string `json:"state"`
	Key   string `json:"key,omitempty"`
}

// States of mounts that lack something.
const (
	stateNotMounted = "notMounted"
	stateEmpty      = "empty"
	stateNoKey      = "noKey"
)

var states = map[source.Presence]string{source.NotMounted: stateNotMounted, source.Empty: stateEmpty, source.NoKey: stateNoKey}

var stateMessages = map[string]gatewayv1alpha1.MountState{
	stateNotMounted: gatewayv1alpha1.MountState_MOUNT_STATE_NOT_MOUNTED,
	stateEmpty:      gatewayv1alpha1.MountState_MOUNT_STATE_EMPTY,
	stateNoKey:      gatewayv1alpha1.MountState_MOUNT_STATE_NO_KEY,
}

// Message says the same in the words of the protocol.
func (c *Credentials) Message() *gatewayv1alpha1.Mounts {
	if c == nil {
		return nil
	}
	m := &gatewayv1alpha1.Mounts{}
	for _, lack := range c.Missing {
		m.Missing = append(m.Missing, &gatewayv1alpha1.MissingMount{Kind: lack.Kind, Name: lack.Name,
			State: stateMessages[lack.State], Key: lack.Key})
	}
	return m
}

// named is an object that a source names, with the keys that it needs of it.
type named struct {
	kind, name string
	keys       []string
}

// Check looks at what is mounted of the Secrets and ConfigMaps that the sources name;
// nil where they name none. What is mounted into a plugin's container only is not seen.
func (m Mounts) Check(sources []*gatewayv1alpha1.Source) *Credentials {
	var all []named
	for _, s := range sources {
		all = append(all, namedBy(s)...)
	}
	if len(all) == 0 {
		return nil
	}
	c := &Credentials{}
	for _, n := range all {
		dir := m.Secrets
		if n.kind == kindConfigMap {
			dir = m.CAs
		}
		presence, key := source.Mount{Dir: filepath.Join(dir, filepath.Base(n.name))}.Look(n.keys...)
		lack := MissingMount{Kind: n.kind, Name: n.name, State: states[presence], Key: key}
		if presence != source.Present && !slices.Contains(c.Missing, lack) {
			c.Missing = append(c.Missing, lack)
		}
	}
	slices.SortFunc(c.Missing, func(a, b MissingMount) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	return c
}

// namedBy returns the objects that a source names. Where it takes one of several keys,
// none of them is asked for.
func namedBy(s *gatewayv1alpha1.Source) []named {
	var all []named
	secret := func(name string, keys ...string) {
		if name != "" {
			all = append(all, named{kindSecret, name, keys})
		}
	}
	configMap := func(name string, keys ...string) {
		if name != "" {
			all = append(all, named{kindConfigMap, name, keys})
		}
	}
	authority := func(ca *gatewayv1alpha1.CertificateAuthority) {
		configMap(ca.GetConfigMap(), filepath.Base(ca.GetKey()))
	}
	switch c := s.GetConfig().(type) {
	case *gatewayv1alpha1.Source_S3:
		secret(c.S3.GetSecret(), s3.RequiredKeys()...)
		authority(c.S3.GetCa())
	case *gatewayv1alpha1.Source_Http:
		secret(c.Http.GetSecret())
		authority(c.Http.GetCa())
	case *gatewayv1alpha1.Source_Oci:
		secret(c.Oci.GetSecret())
		authority(c.Oci.GetCa())
	case *gatewayv1alpha1.Source_Hdfs:
		k := c.Hdfs.GetKerberos()
		secret(k.GetSecret(), filepath.Base(k.GetKeytabKey()))
		configMap(k.GetConfigMap(), filepath.Base(k.GetKrb5ConfKey()))
	}
	return all
}
