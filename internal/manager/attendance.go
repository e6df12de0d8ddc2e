// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/internal/attendance"
	"github.com/kuda-io/kuda/internal/controller/data"
)

// heardAhead is how many Data may wait for the controller.
const heardAhead = 1024

// attendanceParts are what the gateway and the Data controller get of it.
type attendanceParts struct {
	book *attendance.Book
	// roll and changed are nil where silence is not noticed.
	roll    data.Attendance
	changed <-chan event.GenericEvent
}

// addAttendance has the replicas tell each other which runtimes they hear.
func addAttendance(mgr ctrl.Manager, direct client.Client, o Options) (attendanceParts, error) {
	parts := attendanceParts{book: new(attendance.Book)}
	if o.Namespace == "" || o.Replica == "" {
		return parts, nil
	}
	changed := make(chan event.GenericEvent, heardAhead)
	roll := attendance.NewRoll()
	log := o.Log.WithName("attendance")
	if err := mgr.Add(&attendance.Publisher{
		Book: parts.book, Client: direct, Namespace: o.Namespace, Replica: o.Replica, Clock: clock.RealClock{}, Log: log,
	}); err != nil {
		return parts, fmt.Errorf("adding what publishes which runtimes are heard: %w", err)
	}
	if err := mgr.Add(&attendance.Watcher{
		Roll: roll, Cached: mgr.GetCache(), Client: direct, Namespace: o.Namespace, Clock: clock.RealClock{}, Log: log, Changed: changed,
	}); err != nil {
		return parts, fmt.Errorf("adding what reads which runtimes are heard: %w", err)
	}
	parts.roll, parts.changed = roll, changed
	return parts, nil
}
