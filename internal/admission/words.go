// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"

	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/shorten"
)

// What one message names at most; the rest is counted.
const (
	maxWords  = 10
	maxFields = 3
)

// missingRights says for each right where it is needed, and how to get it.
func missingRights(missing []author.Need, namespace string) []string {
	words := make([]string, 0, len(missing))
	for _, n := range missing {
		words = append(words, fmt.Sprintf(
			"%s: you may not %s in namespace %s; ask for the right to %s there, or have someone who has it make this change (see: %s)",
			shorten.List(n.Fields, ", ", maxFields), describeRight(n.Right), namespace, n.Right, n.Right.Command(namespace)))
	}
	return words
}

// describeRight returns what a right lets its holder do, in words.
func describeRight(r author.Right) string {
	switch r.Resource + "/" + r.Subresource {
	case "secrets/":
		return fmt.Sprintf("get Secret %q", r.Name)
	case "configmaps/":
		return fmt.Sprintf("get ConfigMap %q", r.Name)
	case "persistentvolumeclaims/":
		return fmt.Sprintf("get PersistentVolumeClaim %q", r.Name)
	case author.ResourcePlugins + "/":
		return fmt.Sprintf("use plugin %q", r.Name)
	case "serviceaccounts/token":
		return "create tokens of service accounts"
	case "pods/exec":
		return "run commands in pods"
	case "pods/proxy":
		return "call pods"
	}
	return r.Verb + " " + r.Resource
}

func refusalMessage(words []string) string {
	return "Kuda does for a DataSet only what its author may do: " + shorten.List(words, "; ", maxWords)
}
