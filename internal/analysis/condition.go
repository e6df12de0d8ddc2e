// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

const (
	// costLimit bounds the work of one evaluation, in CEL's units: reading through a
	// text of 1 MiB takes 100,000.
	costLimit = 200_000
	// evaluationLimit bounds its time, for the units count neither what is inside of
	// compared values nor how long a turn of a loop takes. It is looked at in
	// each turn.
	evaluationLimit = time.Second
	checkEvery      = 1
	// smallText is what is not worth counting.
	smallText = 1 << 10
	// maxNodes bounds what macros make of an expression.
	maxNodes = 10_000
	// maxPattern bounds the program that a regular expression becomes.
	maxPattern = 1_000
)

// The variables of conditions.
const (
	resultVariable = "result"
	statusVariable = "status"
)

// queryEnvironment is what conditions of a query know: the list of its values.
var queryEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	return newEnvironment(cel.Variable(resultVariable, cel.ListType(cel.DoubleType)))
})

// callEnvironment is what conditions of a call know: the body and the status code.
var callEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	return newEnvironment(cel.Variable(resultVariable, cel.DynType), cel.Variable(statusVariable, cel.IntType))
})

func newEnvironment(variables ...cel.EnvOption) (*cel.Env, error) {
	return cel.NewEnv(append(variables,
		cel.CrossTypeNumericComparisons(true), // result[0] < 1
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxPattern),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)...)
}

// condition is an expression that is ready to be evaluated.
type condition struct {
	text    string
	program cel.Program
}

// compileCondition makes a condition of its text; the error is for its author.
func compileCondition(env *cel.Env, text string) (*condition, error) {
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		var problems []string
		for _, e := range issues.Errors() {
			problem := fmt.Sprintf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, e.Message)
			if strings.Contains(e.Message, "(double, int)") || strings.Contains(e.Message, "(int, double)") {
				problem += "; write the number with a point, as in 1.0"
			}
			problems = append(problems, problem)
		}
		return nil, errors.New(strings.Join(problems, "; "))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("must be true or false, as in result[0] < 0.01; it is of the type %s", t)
	}
	program, err := env.Program(ast, cel.CostTracking(textCost{}), cel.CostLimit(costLimit), cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, fmt.Errorf("preparing it: %w", err)
	}
	return &condition{text: text, program: program}, nil
}

// isMet reports whether the condition holds. The error says no more of the
// variables than the expression itself does.
func (c *condition) isMet(ctx context.Context, variables map[string]any) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, evaluationLimit)
	defer cancel()
	value, _, err := c.program.ContextEval(limited, variables)
	if err != nil {
		return false, c.explainError(limited, err)
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("gives %s, not true or false", value.Type().TypeName())
	}
	return bool(b), nil
}

// textCost counts the characters that a function is given and gives. CEL's own
// count does so only where types are known when the condition is compiled, and
// those of an answer are not.
type textCost struct{}

// CallCost is the cost of one call, or nil to leave it to CEL.
func (textCost) CallCost(_, _ string, args []ref.Val, result ref.Val) *uint64 {
	var size int
	for _, v := range append(args[:len(args):len(args)], result) {
		switch v := v.(type) {
		case types.String:
			size += len(v)
		case types.Bytes:
			size += len(v)
		}
	}
	if size < smallText {
		return nil
	}
	cost := 1 + uint64(float64(size)*common.StringTraversalCostFactor)
	return &cost
}

// explainError returns an evaluation's error without what was read: messages end in
// the status of a DataSet, and an answer must not get there by way of
// int(result.secret).
func (c *condition) explainError(ctx context.Context, err error) error {
	text := err.Error()
	switch {
	case ctx.Err() != nil, strings.Contains(text, "cost limit exceeded"):
		return errors.New("takes too much work for this answer; simplify it")
	case strings.Contains(text, "index out of bounds"):
		return errors.New("asks for an element that the list does not have; look at size(result) first")
	case strings.Contains(text, "no such overload"):
		return errors.New("uses a value as a type that it does not have; the answer is not what the condition expects")
	}
	if _, key, ok := strings.Cut(text, "no such key: "); ok && strings.Contains(c.text, key) {
		return fmt.Errorf("asks for %s, which the answer does not have", key)
	}
	return errors.New("could not be evaluated; the answer is not what the condition expects")
}
