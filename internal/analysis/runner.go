// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Key names one measurement: it is taken once, however often it is asked for.
type Key struct {
	// DataSet whose rollout it is for.
	DataSet types.NamespacedName
	// Revision that is rolled out, the step of its rollout and when that began:
	// a retry begins anew.
	Revision string
	Step     int32
	Started  time.Time
	// Number of the measurement in that step.
	Number int32
}

// NewKey names the measurement that is next in a rollout that takes an analysis step.
func NewKey(dataSet types.NamespacedName, r *v1alpha1.RolloutStatus) Key {
	k := Key{DataSet: dataSet, Revision: r.Revision, Step: r.Step}
	if r.StepStartTime != nil {
		// As the API server keeps it, so that it is the same when it is read again.
		k.Started = r.StepStartTime.UTC().Truncate(time.Microsecond)
	}
	if r.Analysis != nil {
		k.Number = r.Analysis.Succeeded + r.Analysis.Failed
	}
	return k
}

// Measurement is what one found.
type Measurement struct {
	// OK says that it was good.
	OK bool
	// Time at which it was complete.
	Time time.Time
	// Message says what was found; at most 512 characters.
	Message string
}

// Options of a runner.
type Options struct {
	// Disabled makes every measurement fail, with a message that says so.
	Disabled bool
	// AllowedHosts are the only ones that are called: names, addresses, or
	// patterns such as *.monitoring.svc. None allows all.
	AllowedHosts []string
	// Changed is told when a measurement of a DataSet is complete. It is called
	// from a goroutine of its own, and may block.
	Changed func(dataSet types.NamespacedName)
	// InsecureAllowLoopback lets the runner connect to loopback, link-local and
	// other addresses that it must never be led to. It is for tests alone.
	InsecureAllowLoopback bool
}

// Runner takes measurements beside the reconcilers, which never wait for it. It
// keeps the last one of each DataSet. It is safe for concurrent use.
type Runner struct {
	options Options
	guard   guard
	client  *http.Client
	turns   *turns
	judging chan struct{}
	ctx     context.Context
	stop    context.CancelFunc

	mu   sync.Mutex
	last map[types.NamespacedName]*taking
}

// taking is a measurement that is being taken, or was.
type taking struct {
	key    Key
	cancel context.CancelFunc
	found  *Measurement
}

// NewRunner returns a runner; the error names an allowed host that is none.
func NewRunner(o Options) (*Runner, error) {
	g, err := newGuard(o.AllowedHosts, o.InsecureAllowLoopback)
	if err != nil {
		return nil, err
	}
	r := &Runner{
		options: o, guard: g, client: newClient(g),
		turns: newTurns(), judging: make(chan struct{}, maxJudged),
		last: map[types.NamespacedName]*taking{},
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// Start calls the measurements off when the context ends. It is a manager.Runnable.
func (r *Runner) Start(ctx context.Context) error {
	<-ctx.Done()
	r.stop()
	return nil
}

// Measure begins a measurement unless it was begun before, and returns at once.
// An older one of the same DataSet is given up.
func (r *Runner) Measure(key Key, step v1alpha1.AnalysisStep) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.last[key.DataSet]; ok {
		if t.key == key {
			return
		}
		t.cancel()
	}
	ctx, cancel := context.WithCancel(r.ctx)
	t := &taking{key: key, cancel: cancel}
	r.last[key.DataSet] = t
	go r.takeMeasurement(ctx, t, step.DeepCopy())
}

// Result returns a measurement once it is complete, again and again until another
// one of the DataSet begins or the DataSet is forgotten.
func (r *Runner) Result(key Key) (Measurement, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.last[key.DataSet]; ok && t.key == key && t.found != nil {
		return *t.found, true
	}
	return Measurement{}, false
}

// Forget gives up what a DataSet's measurement found or will find: it is gone, or
// takes no analysis step now.
func (r *Runner) Forget(dataSet types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.last[dataSet]; ok {
		t.cancel()
		delete(r.last, dataSet)
	}
}

// takeMeasurement takes a measurement, and tells of it unless it was given up.
func (r *Runner) takeMeasurement(ctx context.Context, t *taking, step *v1alpha1.AnalysisStep) {
	defer t.cancel()
	done, err := r.turns.waitTurn(ctx, t.key.DataSet.Namespace)
	if err != nil {
		return
	}
	ok, message := r.measureStep(ctx, step)
	done()
	r.mu.Lock()
	wanted := ctx.Err() == nil
	if wanted {
		t.found = &Measurement{OK: ok, Time: time.Now(), Message: truncateText(message, maxMessage)}
	}
	r.mu.Unlock()
	if wanted && r.options.Changed != nil {
		r.options.Changed(t.key.DataSet)
	}
}

// measureStep asks, reads and judges.
func (r *Runner) measureStep(ctx context.Context, step *v1alpha1.AnalysisStep) (ok bool, message string) {
	if r.options.Disabled {
		return false, "this installation takes no measurements (kuda-manager runs with --analysis=false); take the analysis step out"
	}
	a, err := r.requestAnswer(ctx, step)
	if err != nil {
		return false, err.Error()
	}
	select {
	case r.judging <- struct{}{}:
		defer func() { <-r.judging }()
	case <-ctx.Done():
		return false, ctx.Err().Error()
	}
	found, err := readAnswer(step, a)
	if err != nil {
		return false, err.Error()
	}
	return judgeReading(ctx, step, found)
}

// requestAnswer gets an answer within the time limit.
func (r *Runner) requestAnswer(ctx context.Context, step *v1alpha1.AnalysisStep) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	req, err := newRequest(ctx, step)
	if err != nil {
		return answer{}, err
	}
	return r.sendRequest(req)
}

func newRequest(ctx context.Context, step *v1alpha1.AnalysisStep) (*http.Request, error) {
	switch {
	case step.Prometheus != nil:
		return queryRequest(ctx, step.Prometheus)
	case step.HTTP != nil:
		return callRequest(ctx, step.HTTP)
	}
	return nil, errors.New("the step has neither prometheus nor http; set one of them")
}

func readAnswer(step *v1alpha1.AnalysisStep, a answer) (reading, error) {
	if step.Prometheus != nil {
		return readQueried(a)
	}
	return readCalled(a), nil
}
