// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// A shell waits for the answer.
const completionPatience = 3 * time.Second

// CompleteDataSets completes the names of DataSets, at the first place only.
func (f *Frame) CompleteDataSets(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.completeNames(command, v1alpha1.GroupVersion.WithKind("DataSet"), typed)
}

// CompletePods completes the names of pods, at the first place only.
func (f *Frame) CompletePods(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.completeNames(command, schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, typed)
}

// CompleteFlags completes the values of the flags that choose a cluster.
func (f *Frame) CompleteFlags(root *cobra.Command) {
	namespaces := func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return f.completeNames(command, schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, typed)
	}
	_ = root.RegisterFlagCompletionFunc("namespace", namespaces)
	for flag, names := range map[string]func(*clientcmdapi.Config) iter.Seq[string]{
		"context": func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.Contexts) },
		"cluster": func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.Clusters) },
		"user":    func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.AuthInfos) },
	} {
		_ = root.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			config, err := f.rules.Load()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return startingWith(slices.Collect(names(config)), typed), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

// completeNames lists objects by name. Namespaces have none themselves.
func (f *Frame) completeNames(command *cobra.Command, kind schema.GroupVersionKind, typed string) ([]string, cobra.ShellCompDirective) {
	parent := cmp.Or(command.Context(), context.Background())
	ctx, cancel := context.WithTimeout(parent, completionPatience)
	defer cancel()
	c, err := f.Client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var options []client.ListOption
	if kind.Kind != "Namespace" {
		namespace, err := f.Namespace()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		options = append(options, client.InNamespace(namespace))
	}
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := c.List(ctx, &list, options...); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, typedKind(kind, typed)+list.Items[i].Name)
	}
	return startingWith(names, typed), cobra.ShellCompDirectiveNoFileComp
}

// typedKind returns what was typed of KIND/NAME up to the slash, if it is this kind.
func typedKind(kind schema.GroupVersionKind, typed string) string {
	word, _, found := strings.Cut(typed, "/")
	parsed, _, err := parseName(word+"/x", "")
	if !found || err != nil || parsed != strings.ToLower(kind.Kind) {
		return ""
	}
	return word + "/"
}

func startingWith(names []string, typed string) []string {
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })
	slices.Sort(names)
	return names
}

// CompleteRevisions completes the numbers of the revisions of the DataSet that
// the first argument names, with their causes.
func (f *Frame) CompleteRevisions(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmp.Or(command.Context(), context.Background()), completionPatience)
	defer cancel()
	_, name, err := parseName(args[0], kindDataSet)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	d, err := f.DataSet(ctx, name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	revisions, err := f.Revisions(ctx, d)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var numbers []string
	for _, r := range slices.Backward(revisions) {
		number := strconv.FormatInt(r.Revision, 10)
		if strings.HasPrefix(number, typed) {
			numbers = append(numbers, cobra.CompletionWithDesc(number, r.Annotations[v1alpha1.AnnotationChangeCause]))
		}
	}
	return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
