// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Severity is how bad something is.
type Severity string

// The severities.
const (
	// OK: as it should be, or on its way there.
	OK Severity = "ok"
	// Warning: worth knowing; nothing is broken.
	Warning Severity = "warning"
	// Problem: needs an action.
	Problem Severity = "problem"
)

// Item stands where a condition's type would, for reasons of one item.
const Item = ""

// Advice is what to know of a reason.
type Advice struct {
	Severity Severity
	// Why says what brings it about.
	Why string
	// Do is what to do, in order; commands begin with "kubectl ". Words in braces
	// stand for what Place fills in.
	Do []string
}

// Place fills in the words of an advice. Empty ones stay as a word to replace.
type Place struct {
	Namespace, DataSet, Pod, Container, Revision string
}

// For is the advice on a reason of a condition. A Data's condition Ready carries
// the reason of the item that holds the pod back, so what is not known for the
// condition is looked up as an item's.
func For(condition, reason string) (Advice, bool) {
	for _, c := range sharedReasons[condition] {
		if a, ok := table[key{c, reason}]; ok {
			return a, true
		}
	}
	a, ok := table[key{condition, reason}]
	if !ok {
		a, ok = table[key{Item, reason}]
	}
	return a, ok
}

// In fills the place into what to do.
func (a Advice) In(p Place) []string {
	replace := strings.NewReplacer(
		"{namespace}", orWord(p.Namespace, "NAMESPACE"),
		"{dataset}", orWord(p.DataSet, "NAME"),
		"{pod}", orWord(Word(p.Pod), "POD"),
		"{container}", orWord(Word(p.Container), "CONTAINER"),
		"{revision}", orWord(p.Revision, "REVISION"),
	)
	do := make([]string, 0, len(a.Do))
	for _, line := range a.Do {
		do = append(do, replace.Replace(line))
	}
	return do
}

// plainWord is a word that shells leave as it is, and that is no option.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*$`)

// Word returns a name as one word of a command. Commands are copied into shells, and not
// all names are checked by the API server: those of owners and of pull secrets are what
// the author of a pod wrote.
func Word(name string) string {
	if name == "" || plainWord.MatchString(name) {
		return name
	}
	name = strings.TrimLeft(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name), "-")
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

func orWord(value, word string) string {
	if value == "" {
		return word
	}
	return value
}

// sharedReasons are the conditions whose reasons another one repeats.
var sharedReasons = map[string][]string{
	v1alpha1.ConditionStalled: {v1alpha1.ConditionProgressing, v1alpha1.ConditionRolledBack, v1alpha1.ConditionReady},
}

type key struct{ condition, reason string }
