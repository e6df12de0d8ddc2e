// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kuda-io/kuda/internal/insight/advice"
)

// Unknown is the severity of what could not be looked at.
const Unknown advice.Severity = "unknown"

// Object is what a finding speaks of.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Finding is one thing that was looked at.
type Finding struct {
	// Severity is ok, warning, problem, or unknown for what could not be read.
	Severity advice.Severity `json:"severity"`
	// Check names the look that led to it.
	Check  string  `json:"check"`
	Object *Object `json:"object,omitempty"`
	// Condition and Reason, where it comes from a condition or an item.
	Condition string `json:"condition,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// What is the matter, Why, and what to Do; commands begin with "kubectl ".
	What string   `json:"what"`
	Why  string   `json:"why,omitempty"`
	Do   []string `json:"do,omitempty"`
}

// Report is all findings, in the order in which they were looked at.
type Report struct {
	Findings []Finding `json:"findings"`
	Summary  Summary   `json:"summary"`
}

// Summary counts findings.
type Summary struct {
	OK       int `json:"ok"`
	Warnings int `json:"warnings"`
	Problems int `json:"problems"`
	Unknown  int `json:"unknown"`
}

// NewReport counts findings.
func NewReport(findings []Finding) Report {
	r := Report{Findings: findings}
	for i := range findings {
		switch findings[i].Severity {
		case advice.OK:
			r.Summary.OK++
		case advice.Warning:
			r.Summary.Warnings++
		case advice.Problem:
			r.Summary.Problems++
		case Unknown:
			r.Summary.Unknown++
		}
	}
	return r
}

// IsBlind reports whether nothing at all could be looked at.
func (r *Report) IsBlind() bool { return r.Summary.Unknown > 0 && r.Summary.Unknown == len(r.Findings) }

// UnreadKinds lists the kinds of what could not be looked at.
func (r *Report) UnreadKinds() string {
	var kinds []string
	for i := range r.Findings {
		if o := r.Findings[i].Object; o != nil && !slices.Contains(kinds, o.Kind) {
			kinds = append(kinds, o.Kind)
		}
	}
	return strings.Join(kinds, ", ")
}

// fact is what reading something led to.
type fact[T any] struct {
	value T
	err   error
}

func okFinding(check string, o *Object, format string, args ...any) Finding {
	return Finding{Severity: advice.OK, Check: check, Object: o, What: fmt.Sprintf(format, args...)}
}

// unreadFinding is the finding of what could not be read: missing, when its absence
// is itself the finding, for a thing that is not there.
func unreadFinding(check string, o *Object, err error, missing *Finding) Finding {
	if apierrors.IsNotFound(err) && missing != nil {
		return *missing
	}
	f := Finding{Severity: Unknown, Check: check, Object: o, What: "could not be read: " + err.Error()}
	if apierrors.IsForbidden(err) {
		f.What = "you may not read this, so it was not looked at"
	}
	return f
}

// apiStatus reports whether the API server itself answered with the error.
func apiStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}
