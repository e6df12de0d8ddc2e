// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestAReportThatIsTooLargeIsLoggedOnce(t *testing.T) {
	other := Subject{key, "d-2"}
	for name, err := range map[string]error{
		"the API server": apierrors.NewRequestEntityTooLargeError("limit is 3145728"),
		"etcd":           apierrors.NewInternalError(errors.New("etcdserver: request is too large")),
		"the connection": apierrors.NewInternalError(errors.New("rpc error: code = ResourceExhausted desc = trying to send message larger than " +
			"max (2114432 vs. 2097152)")),
	} {
		var said []string
		q := &Queue{log: funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})}
		wrapped := fmt.Errorf("writing the status of Data %s: %w", key, err)
		for range 3 {
			q.logFailure(about, wrapped)
		}
		q.logFailure(other, wrapped)
		if len(said) != 2 || !strings.Contains(said[0], "too large") {
			t.Errorf("%s: said %d times: %v", name, len(said), said)
		}
		q.logFailure(about, nil)
		q.logFailure(about, wrapped)
		if len(said) != 3 {
			t.Errorf("%s: not said again after a success: %v", name, said)
		}
		q.logFailure(about, errors.New("connection refused"))
		if len(said) != 3 {
			t.Errorf("%s: what passes by itself is said: %v", name, said)
		}
	}
}
