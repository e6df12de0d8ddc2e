// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// What the API server says about a token that is bound to a pod.
const (
	extraPodName  = "authentication.kubernetes.io/pod-name"
	extraPodUID   = "authentication.kubernetes.io/pod-uid"
	extraNodeName = "authentication.kubernetes.io/node-name"

	serviceAccountPrefix = "system:serviceaccount:"
)

// ErrRefused is wrapped by every error about a token that proves nothing.
var ErrRefused = errors.New("the token is refused")

// Pod is a caller.
type Pod struct {
	Namespace string
	Name      string
	UID       types.UID
	// Node may be empty when the API server does not say.
	Node string
	// Account is the pod's service account.
	Account string
	// Keeper says that the caller is the keeper of its node, which has no Data and no
	// store of its own. Roster.Admit sets it.
	Keeper bool
	// NodeStore says that the pod's store is the node's. Roster.Admit sets it.
	NodeStore bool
}

// FromReview reads the API server's answer to a TokenReview.
func FromReview(status authenticationv1.TokenReviewStatus) (Pod, error) {
	if !status.Authenticated {
		return Pod{}, fmt.Errorf("%w: it is not valid: %s", ErrRefused, status.Error)
	}
	// An API server that knows no audiences answers with none, and any token
	// would do.
	if !slices.Contains(status.Audiences, sidecar.TokenAudience) {
		return Pod{}, fmt.Errorf("%w: it is not for the audience %s", ErrRefused, sidecar.TokenAudience)
	}
	namespace, account, ok := strings.Cut(strings.TrimPrefix(status.User.Username, serviceAccountPrefix), ":")
	if !ok || !strings.HasPrefix(status.User.Username, serviceAccountPrefix) || namespace == "" || account == "" {
		return Pod{}, fmt.Errorf("%w: it is not a service account's", ErrRefused)
	}
	p := Pod{
		Namespace: namespace,
		Account:   account,
		Name:      singleValue(status.User.Extra[extraPodName]),
		UID:       types.UID(singleValue(status.User.Extra[extraPodUID])),
		Node:      singleValue(status.User.Extra[extraNodeName]),
	}
	if p.Name == "" || p.UID == "" {
		return Pod{}, fmt.Errorf("%w: it is not bound to a pod", ErrRefused)
	}
	return p, nil
}

func singleValue(values authenticationv1.ExtraValue) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
