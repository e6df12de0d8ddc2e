// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

// words reads a catalogue of the page.
func words(t *testing.T, language string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../../web/src/words/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return read[map[string]string](t, string(raw))
}

func TestBothLanguagesHaveTheSameWordsAndPlaces(t *testing.T) {
	places := regexp.MustCompile(`\{\w+\}`)
	form := func(words map[string]string) map[string][]string {
		found := map[string][]string{}
		for key, text := range words {
			found[key] = places.FindAllString(text, -1)
			slices.Sort(found[key])
			if text == "" {
				t.Errorf("%s has no words", key)
			}
		}
		return found
	}
	if diff := cmp.Diff(form(words(t, "en")), form(words(t, "zh"))); diff != "" {
		t.Error(diff)
	}
}

func TestThePageHasWordsForWhatTheAPISays(t *testing.T) {
	keys := []string{}
	for _, s := range status.States() {
		keys = append(keys, "pod."+string(s))
	}
	for _, verb := range []string{steer.VerbPause, steer.VerbResume, steer.VerbPromote, steer.VerbAbort, steer.VerbRetry, steer.VerbUndo} {
		keys = append(keys, "verb."+verb)
	}
	for _, code := range steer.Codes() {
		keys = append(keys, "refusal."+string(code))
	}
	for _, phase := range []v1alpha1.RolloutPhase{v1alpha1.RolloutDelivering, v1alpha1.RolloutPrefetching, v1alpha1.RolloutProgressing,
		v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack, v1alpha1.RolloutCompleted} {
		keys = append(keys, "phase."+string(phase))
	}
	for _, outcome := range []v1alpha1.RolloutOutcome{v1alpha1.OutcomeRunning, v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeFailed,
		v1alpha1.OutcomeStopped, v1alpha1.OutcomeRolledBack, v1alpha1.OutcomeSuperseded} {
		keys = append(keys, "outcome."+string(outcome))
	}
	known := words(t, "zh")
	for _, key := range keys {
		if known[key] == "" {
			t.Errorf("there are no words for %s", key)
		}
	}
}
