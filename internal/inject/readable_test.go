// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// withMode has one item whose files have the mode.
func withMode(name string, mode int32) *v1alpha1.DataSet {
	return dataSet(name, func(ds *v1alpha1.DataSet) {
		ds.Spec.Template.DataItems = []v1alpha1.DataItem{{Namespace: "conf", Name: "key", Mode: &mode}}
	})
}

func TestAnApplicationThatCannotReadItsDataGetsAWarning(t *testing.T) {
	user := func(uid int64) func(*corev1.PodSecurityContext) {
		return func(s *corev1.PodSecurityContext) { s.RunAsUser = &uid }
	}
	group := func(gid int64) func(*corev1.PodSecurityContext) {
		return func(s *corev1.PodSecurityContext) { s.RunAsGroup = &gid }
	}
	fsGroup := func(gid int64) func(*corev1.PodSecurityContext) {
		return func(s *corev1.PodSecurityContext) { s.FSGroup = &gid }
	}
	nonRoot := func(s *corev1.PodSecurityContext) { s.RunAsNonRoot = new(true) }
	type security = func(*corev1.PodSecurityContext)
	dropped := func(c *corev1.Container) {
		c.SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	}
	for name, c := range map[string]struct {
		mode      int32
		store     StoreMode
		security  []security
		container func(*corev1.Container)
		// want is in the warning; empty: there is none.
		want string
	}{
		"read by all":                 {0o644, StoreNode, []security{user(1000), group(1000)}, nil, ""},
		"of a user that is not known": {0o600, StoreNode, nil, nil, ""},
		"some user that is not root":  {0o600, StoreNode, []security{nonRoot}, nil, "app (not root)"},
		"perhaps of the group":        {0o640, StoreNode, []security{nonRoot}, nil, ""},
		"perhaps the owner":           {0o600, StorePod, []security{nonRoot}, nil, ""},
		"another user": {0o600, StoreNode, []security{user(1000)}, nil,
			"app (user 1000) cannot read item conf/key of DataSet web: files of mode 0600 that belong to user 0 and group 0"},
		"root":                         {0o600, StoreNode, []security{user(0)}, nil, ""},
		"root without capabilities":    {0o600, StorePod, []security{user(0), group(0)}, dropped, "app (user 0, group 0)"},
		"root is the owner":            {0o600, StoreNode, []security{user(0)}, dropped, ""},
		"no user may read":             {0o000, StoreNode, []security{user(0)}, dropped, "mode 0000"},
		"the owner":                    {0o600, StorePod, []security{user(65532)}, nil, ""},
		"the owner, and only others":   {0o040, StorePod, []security{user(65532), fsGroup(65532)}, nil, "app (user 65532)"},
		"in the fsGroup":               {0o640, StorePod, []security{user(1000), group(1000), fsGroup(2000)}, nil, ""},
		"in the fsGroup, to no use":    {0o600, StorePod, []security{user(1000), fsGroup(2000)}, nil, "or 0640 for the pod's fsGroup"},
		"without an fsGroup":           {0o640, StorePod, []security{user(1000), group(1000)}, nil, "or set fsGroup in the pod"},
		"an fsGroup of the node store": {0o640, StoreNode, []security{user(1000), group(1000), fsGroup(2000)}, nil, "such as 0644"},
		"the container is another": {0o600, StoreNode, []security{user(0)}, func(c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000))}
		}, "app (user 1000, group 1000)"},
		"the container is root": {0o600, StoreNode, []security{user(1000), nonRoot}, func(c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(0)), RunAsNonRoot: new(false)}
		}, ""},
	} {
		req := request(pod(func(p *corev1.Pod) {
			if len(c.security) > 0 {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{}
			}
			for _, set := range c.security {
				set(p.Spec.SecurityContext)
			}
			if c.container != nil {
				c.container(&p.Spec.Containers[0])
			}
		}))
		req.Settings.Store, req.DataSets = c.store, []*v1alpha1.DataSet{withMode("web", c.mode)}
		got := strings.Join(Warnings(mustInject(t, req), &req.Settings, req.DataSets), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: warned %q, want %q", name, got, c.want)
		}
	}
}

func TestManyUnreadableItemsGetOneWarning(t *testing.T) {
	req := request(pod(func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))} }))
	req.DataSets = []*v1alpha1.DataSet{withMode("a", 0o644), withMode("b", 0o600), withMode("c", 0o400)}
	got := Warnings(mustInject(t, req), &req.Settings, req.DataSets)
	if len(got) != 1 || !strings.Contains(got[0], "item conf/key of DataSet b and 1 more") {
		t.Errorf("%q", got)
	}
	req.Pod.Labels[v1alpha1.LabelPreheat] = "b"
	if got := Warnings(mustInject(t, req), &req.Settings, req.DataSets); len(got) != 0 {
		t.Errorf("a pod that preheats: %q", got)
	}
}
