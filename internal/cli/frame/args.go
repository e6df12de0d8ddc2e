// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Argument is one that a command takes: the name of an object.
type Argument struct {
	kind string
	// optional: the command works without it; many: it takes any number of them.
	optional, many bool
}

// The arguments of commands.
var (
	DataSetArgument = Argument{kind: kindDataSet}
	PodArgument     = Argument{kind: kindPod}
)

// Optional is the argument of a command that works without it, too.
func (a Argument) Optional() Argument {
	a.optional = true
	return a
}

// Many is the last argument of a command that takes any number of them.
func (a Argument) Many() Argument {
	a.optional, a.many = true, true
	return a
}

// The kinds of objects that arguments name.
const (
	kindDataSet = "dataset"
	kindPod     = "pod"
	kindData    = "data"
)

// kindWords are the words that stand before a name, as kubectl prints and takes them.
var kindWords = map[string]string{
	"dataset": kindDataSet, "datasets": kindDataSet,
	"pod": kindPod, "pods": kindPod, "po": kindPod,
	"data": kindData, "datas": kindData,
}

// kindTitles are what the kinds are called.
var kindTitles = map[string]string{kindDataSet: "DataSet", kindPod: "pod", kindData: "Data"}

// parseName splits KIND/NAME. Without a kind it is the one that is wanted.
func parseName(arg, wanted string) (kind, name string, err error) {
	word, name, found := strings.Cut(arg, "/")
	if !found {
		return wanted, arg, nil
	}
	word, group, _ := strings.Cut(strings.ToLower(word), ".")
	kind = kindWords[word]
	ours := strings.TrimPrefix(group, v1alpha1.GroupVersion.Version+".")
	switch {
	case kind == "":
		return "", "", fmt.Errorf("%q: there is no kind %q%s", arg, word, didYouMean(word, slices.Collect(maps.Keys(kindWords))))
	case name == "" || strings.Contains(name, "/"):
		return "", "", fmt.Errorf("%q is not KIND/NAME, such as %s/models", arg, wanted)
	case group != "" && (kind == kindPod || ours != v1alpha1.GroupVersion.Group):
		return "", "", fmt.Errorf("%q: there is no group %q of the kind %s", arg, group, word)
	}
	return kind, name, nil
}

// Args checks that a command gets the names that it takes, and leaves the bare names
// in the place of what was typed: dataset/NAME and pod/NAME, and data/NAME, which
// stands for the DataSet or the pod that the Data is of.
func (f *Frame) Args(takes ...Argument) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := checkCount(c, takes, args); err != nil {
			return err
		}
		for i, arg := range args {
			wanted := takes[min(i, len(takes)-1)].kind
			kind, name, err := parseName(arg, wanted)
			switch {
			case err != nil:
				return err
			case kind == kindData:
				name, err = f.ownerOfData(c.Context(), name, wanted)
			case kind != wanted:
				err = otherKind(c, name, wanted)
			}
			if err != nil {
				return err
			}
			args[i] = name
		}
		return nil
	}
}

func checkCount(c *cobra.Command, takes []Argument, args []string) error {
	required := 0
	for _, a := range takes {
		if !a.optional {
			required++
		}
	}
	if len(args) < required {
		return fmt.Errorf("%s needs the name of a %s: %s", c.Name(), kindTitles[takes[len(args)].kind], usageOf(c))
	}
	if len(args) > len(takes) && !takes[len(takes)-1].many {
		return fmt.Errorf("%s does not take %q; it is used so: %s", c.Name(), args[len(takes)], usageOf(c))
	}
	return nil
}

func usageOf(c *cobra.Command) string {
	use := c.UseLine()
	// The flags are not what is wrong.
	return strings.TrimSuffix(use, " [flags]")
}

// otherKind says what to do with an object of another kind.
func otherKind(c *cobra.Command, name, wanted string) error {
	program := strings.TrimSuffix(c.CommandPath(), " "+c.Name())
	if wanted == kindPod {
		return fmt.Errorf("%s takes a pod, and %s is a DataSet; its pods are listed by: %s status %s", c.Name(), name, program, name)
	}
	return fmt.Errorf("%s takes a DataSet, and %s is a pod; what it has of which DataSets is listed by: %s get %s", c.Name(), name, program,
		name)
}

// NoArgs is for commands that take no arguments.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, and got %q", c.Name(), args[0])
	}
	return nil
}
