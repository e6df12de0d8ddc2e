// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The limits of the API.
const (
	maxFailedPods         = 100
	maxMessage            = 1024
	maxMeasurementMessage = 512
)

// What is asked for, with its defaults. Shares are of the pods that have started.

func (in Input) onDelete() bool { return in.Strategy.Type == v1alpha1.OnDeleteStrategyType }

func (in Input) continuesOnFailure() bool { return in.FailurePolicy == v1alpha1.FailurePolicyContinue }

func (in Input) minReady() time.Duration {
	if u := in.Strategy.RollingUpdate; u != nil {
		return time.Duration(u.MinReadySeconds) * time.Second
	}
	return 0
}

func (in Input) maxUnavailable() int {
	value := intstr.FromString("25%")
	if u := in.Strategy.RollingUpdate; u != nil && u.MaxUnavailable != nil {
		value = *u.MaxUnavailable
	}
	return max(1, scaledValue(value, len(in.Pods)))
}

func (in Input) failureThreshold() int {
	value := intstr.FromInt32(1)
	if in.FailureThreshold != nil {
		value = *in.FailureThreshold
	}
	return max(1, scaledValue(value, len(in.Pods)))
}

// scalePartition scales a partition. Without pods it returns 1 for every partition that
// could hold the next one back.
func (in Input) scalePartition(value intstr.IntOrString) int {
	if s := value.String(); len(in.Pods) == 0 && s != "0" && s != "0%" {
		return 1
	}
	return max(0, scaledValue(value, len(in.Pods)))
}

// scaledValue rounds up. The API server has checked the form; what it would refuse
// counts as 0, the careful value in all uses.
func scaledValue(value intstr.IntOrString, total int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, total, true)
	if err != nil {
		return 0
	}
	return n
}
