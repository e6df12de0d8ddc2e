// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallerWithManyRequestsHoldsUpAnotherByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurns(1)
		if err := turn.waitTurn(t.Context(), "many"); err != nil {
			t.Fatal(err)
		}
		var served []string
		line := func(caller string) {
			go func() {
				if err := turn.waitTurn(t.Context(), caller); err != nil {
					t.Error(err)
				}
				served = append(served, caller)
				turn.releaseTurn()
			}()
			synctest.Wait()
		}
		for range 100 {
			line("many")
		}
		line("one")
		turn.releaseTurn()
		synctest.Wait()
		if len(served) != 101 || served[1] != "one" {
			t.Errorf("%d were served, the second is %q", len(served), served[1])
		}
	})
}

func TestWhoGivesUpWaitingKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurns(1)
		if err := turn.waitTurn(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for _, caller := range []string{"a", "b", "b", "c"} {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := turn.waitTurn(ctx, caller); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v", caller, err)
				}
			}()
		}
		time.Sleep(2 * time.Second) // of the bubble's clock
		synctest.Wait()
		turn.releaseTurn()
		if turn.free != 1 || len(turn.order) != 0 || len(turn.waiting) != 0 {
			t.Errorf("%d places are free; waiting: %v, %v", turn.free, turn.order, turn.waiting)
		}
	})
}
