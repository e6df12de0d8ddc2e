// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package exception

import (
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Finding is one thing that a scanner found.
type Finding struct {
	// ID names the rule or the vulnerability.
	ID string
	// Where names what it was found in.
	Where string
	// Message says what is wrong.
	Message string
}

// Exception accepts findings.
type Exception struct {
	ID string `json:"id"`
	// Where is a pattern of path.Match.
	Where string `json:"where"`
	// Says is a part of the finding's message; empty accepts each.
	Says string `json:"says,omitempty"`
	// Reason says why the finding does no harm here.
	Reason string `json:"reason"`
	// Expires is the day (YYYY-MM-DD) from which on the exception is void.
	Expires string `json:"expires,omitempty"`
}

// List is a reviewed list of exceptions.
type List struct {
	Exceptions []Exception `json:"exceptions"`
	// MustExpire says that each exception needs a day on which it expires.
	MustExpire bool `json:"mustExpire,omitempty"`
}

const day = "2006-01-02"

// Read returns the list in a file, or an error when one of its exceptions is
// not complete.
func Read(file string) (List, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return List{}, fmt.Errorf("reading the exceptions: %w", err)
	}
	var l List
	if err := yaml.UnmarshalStrict(data, &l); err != nil {
		return List{}, fmt.Errorf("reading the exceptions in %s: %w", file, err)
	}
	for i, e := range l.Exceptions {
		if err := l.check(e); err != nil {
			return List{}, fmt.Errorf("%s: exception %d: %w", file, i+1, err)
		}
	}
	return l, nil
}

func (l List) check(e Exception) error {
	if e.ID == "" || e.Where == "" || strings.TrimSpace(e.Reason) == "" {
		return fmt.Errorf("%q needs an id, a where and a reason", e.ID)
	}
	if _, err := path.Match(e.Where, ""); err != nil {
		return fmt.Errorf("%q: where %q is not a pattern: %w", e.ID, e.Where, err)
	}
	if e.Expires == "" {
		if l.MustExpire {
			return fmt.Errorf("%q needs a day on which it expires", e.ID)
		}
		return nil
	}
	if _, err := time.Parse(day, e.Expires); err != nil {
		return fmt.Errorf("%q: expires %q is not a day like 2026-12-31: %w", e.ID, e.Expires, err)
	}
	return nil
}

// Judge returns what must be mended: findings without an exception, and
// exceptions that have expired or that no finding needs.
func (l List) Judge(findings []Finding, now time.Time) []string {
	var problems []string
	needed := make([]bool, len(l.Exceptions))
	for _, f := range findings {
		accepted := false
		for i, e := range l.Exceptions {
			if e.matches(f) {
				needed[i] = true
				accepted = accepted || !e.expired(now)
			}
		}
		if !accepted {
			problems = append(problems, fmt.Sprintf("%s in %s: %s", f.ID, f.Where, f.Message))
		}
	}
	for i, e := range l.Exceptions {
		switch {
		case !needed[i]:
			problems = append(problems, fmt.Sprintf("the exception %s for %s is no longer needed: remove it", e.ID, e.Where))
		case e.expired(now):
			problems = append(problems, fmt.Sprintf("the exception %s for %s expired on %s: mend the finding, or review it again", e.ID,
				e.Where, e.Expires))
		}
	}
	return problems
}

func (e Exception) matches(f Finding) bool {
	ok, err := path.Match(e.Where, f.Where)
	return err == nil && ok && e.ID == f.ID && strings.Contains(f.Message, e.Says)
}

func (e Exception) expired(now time.Time) bool {
	if e.Expires == "" {
		return false
	}
	end, err := time.Parse(day, e.Expires)
	return err != nil || !now.Before(end)
}
