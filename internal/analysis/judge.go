// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	// maxMessage is what status.rollout.analysis.message holds.
	maxMessage = 512
	// maxQuoted is how much of an answer a message quotes.
	maxQuoted = 200
)

// reading is what was read, before it is judged.
type reading struct {
	// found tells it to people.
	found string
	// succeeded says that a call is good where no condition says what is.
	succeeded bool
	variables map[string]any
}

// judgeReading reports whether a reading is good, and why.
func judgeReading(ctx context.Context, step *v1alpha1.AnalysisStep, r reading) (ok bool, message string) {
	failed, err := evaluateCondition(ctx, step, step.FailureCondition, r)
	switch {
	case err != nil:
		return false, fmt.Sprintf("failureCondition %s: %s", err, r.found)
	case failed:
		return false, fmt.Sprintf("failureCondition holds (%s): %s", step.FailureCondition, r.found)
	case step.SuccessCondition == "":
		return step.HTTP == nil || r.succeeded, r.found
	}
	succeeded, err := evaluateCondition(ctx, step, step.SuccessCondition, r)
	switch {
	case err != nil:
		return false, fmt.Sprintf("successCondition %s: %s", err, r.found)
	case !succeeded:
		return false, fmt.Sprintf("successCondition does not hold (%s): %s", step.SuccessCondition, r.found)
	}
	return true, r.found
}

// evaluateCondition evaluates one of a step's conditions; one that is not there does not hold.
func evaluateCondition(ctx context.Context, step *v1alpha1.AnalysisStep, text string, r reading) (bool, error) {
	if text == "" {
		return false, nil
	}
	env, err := stepEnvironment(*step)
	if err != nil {
		return false, err
	}
	c, err := compileCondition(env, text)
	if err != nil {
		return false, err
	}
	return c.isMet(ctx, r.variables)
}

// truncateText cuts a text to a number of characters.
func truncateText(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
