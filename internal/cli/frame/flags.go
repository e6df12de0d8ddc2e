// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ExplainFlag says what was probably meant by a flag that a command does not have.
func ExplainFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name, hint := unknown.GetSpecifiedName(), ""
	if unknown.GetSpecifiedShortnames() != "" {
		name = "-" + name
	} else {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearName(name, names); near != "" {
			hint = "; did you mean --" + near + "?"
		}
		name = "--" + name
	}
	return fmt.Errorf("%s has no flag %s%s All are listed by: %s --help", c.Name(), name, endSentence(hint), c.CommandPath())
}

func endSentence(hint string) string {
	if hint == "" {
		return "."
	}
	return hint
}

// unknownCommand is what cobra says of a word that is no command.
var unknownCommand = regexp.MustCompile(`^unknown command "([^"]*)" for `)

// ExplainCommand says what was probably meant by a word that is no command.
func ExplainCommand(root *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	found := unknownCommand.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("there is no command %q%s All are listed by: %s --help", found[1], endSentence(didYouMean(found[1], names)),
		root.CommandPath())
}
