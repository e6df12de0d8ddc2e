// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identitytest makes tokens that look like the API server's, and plays the
// API server that checks them. Tests use it.
package identitytest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Good is the signature that Reviewer accepts.
const Good = "good"

// Token is a token with the claims of a pod. Change may replace some of them.
func Token(namespace, name string, uid types.UID, expires time.Time, signature string, change map[string]any) string {
	claims := map[string]any{
		"aud": []string{sidecar.TokenAudience}, "exp": expires.Unix(), "iss": "https://kubernetes.default.svc",
		"kubernetes.io": map[string]any{"namespace": namespace, "pod": map[string]any{"name": name, "uid": uid}},
	}
	maps.Copy(claims, change)
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err) // names and numbers always marshal
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("%s.%s.%s", encode([]byte(`{"alg":"ES256"}`)), encode(text), encode([]byte(signature)))
}

// Reviewer plays the API server: it accepts the tokens that are signed with Good.
type Reviewer struct {
	// Refuse makes it refuse every token.
	Refuse atomic.Bool
	// Err is what it fails with; nil: it does not.
	Err atomic.Pointer[error]
	// Wait is closed to let reviews end; nil: they end at once.
	Wait chan struct{}
	// Slow is a signature whose review does not end before the caller gives it up;
	// empty: there is none.
	Slow string
	// Opened receives when a review begins; nil: no test waits for that.
	Opened chan struct{}
	// Asked counts the reviews.
	Asked atomic.Int64
}

// Create checks the token of a TokenReview.
func (r *Reviewer) Create(ctx context.Context, object client.Object, _ ...client.CreateOption) error {
	r.Asked.Add(1)
	if r.Opened != nil {
		r.Opened <- struct{}{}
	}
	if r.Wait != nil {
		select {
		case <-r.Wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := r.Err.Load(); err != nil {
		return *err
	}
	if r.Slow != "" && strings.HasSuffix(tokenOf(object), "."+base64.RawURLEncoding.EncodeToString([]byte(r.Slow))) {
		<-ctx.Done()
		return ctx.Err()
	}
	review, ok := object.(*authenticationv1.TokenReview)
	if !ok {
		return fmt.Errorf("creating a %T: only TokenReviews can be created", object)
	}
	review.Status = r.reviewStatus(review.Spec.Token)
	return nil
}

func tokenOf(object client.Object) string {
	if review, ok := object.(*authenticationv1.TokenReview); ok {
		return review.Spec.Token
	}
	return ""
}

func (r *Reviewer) reviewStatus(token string) authenticationv1.TokenReviewStatus {
	parts := strings.SplitN(token, ".", 3)
	if len(parts) != 3 {
		return authenticationv1.TokenReviewStatus{Error: "it is no token"}
	}
	if signature, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil || string(signature) != Good || r.Refuse.Load() {
		return authenticationv1.TokenReviewStatus{Error: "the signature is wrong"}
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return authenticationv1.TokenReviewStatus{Error: err.Error()}
	}
	var claims struct {
		Kubernetes struct {
			Namespace string
			Pod       struct{ Name, UID string }
		} `json:"kubernetes.io"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return authenticationv1.TokenReviewStatus{Error: err.Error()}
	}
	const prefix = "authentication.kubernetes.io/"
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: []string{sidecar.TokenAudience},
		User: authenticationv1.UserInfo{
			Username: "system:serviceaccount:" + claims.Kubernetes.Namespace + ":default",
			Extra: map[string]authenticationv1.ExtraValue{
				prefix + "pod-name": {claims.Kubernetes.Pod.Name}, prefix + "pod-uid": {claims.Kubernetes.Pod.UID}, prefix + "node-name": {"n1"},
			},
		},
	}
}
