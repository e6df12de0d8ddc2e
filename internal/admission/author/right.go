// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"fmt"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// ResourcePlugins is the resource of which plugins are instances for RBAC: the
// verb "use" on plugins of the group data.kuda.io, by the plugin's name. The API
// server has no such objects.
const ResourcePlugins = "plugins"

// Right is one right in the DataSet's namespace, in the terms of RBAC.
type Right struct {
	Verb, Group, Resource, Subresource string
	// Name of the object; empty: all of them.
	Name string
}

var (
	runCommands  = Right{Verb: "create", Resource: "pods", Subresource: "exec"}
	callPods     = Right{Verb: "create", Resource: "pods", Subresource: "proxy"}
	createPods   = Right{Verb: "create", Resource: "pods"}
	createTokens = Right{Verb: "create", Resource: "serviceaccounts", Subresource: "token"}
)

func getSecret(name string) Right { return Right{Verb: "get", Resource: "secrets", Name: name} }

func getConfigMap(name string) Right { return Right{Verb: "get", Resource: "configmaps", Name: name} }

func getClaim(name string) Right {
	return Right{Verb: "get", Resource: "persistentvolumeclaims", Name: name}
}

func usePlugin(name string) Right {
	return Right{Verb: "use", Group: v1alpha1.GroupVersion.Group, Resource: ResourcePlugins, Name: name}
}

// String returns the right as a Role has it: the verb, the resource and the name.
func (r Right) String() string {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Name == "" {
		return r.Verb + " " + resource
	}
	return fmt.Sprintf("%s %s %q", r.Verb, resource, r.Name)
}

// Command returns the command with which the author sees whether the right is there.
func (r Right) Command(namespace string) string {
	resource := r.Resource
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Name != "" {
		resource += "/" + r.Name
	}
	words := []string{"kubectl auth can-i", r.Verb, resource}
	if r.Subresource != "" {
		words = append(words, "--subresource="+r.Subresource)
	}
	return strings.Join(append(words, "-n", namespace), " ")
}
