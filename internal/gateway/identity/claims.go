// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// maxTokenLength is four times what a projected token has (1.2 KB), in bytes.
	maxTokenLength = 6 << 10
	// clockLeeway is how far this clock may be ahead of the API server's. The API
	// server has the last word on the expiry.
	clockLeeway = time.Minute
)

// Claims is what a token says of itself. It is not verified: the maker of the
// token may have written anything. A token is never accepted for its claims.
type Claims struct {
	Namespace string
	PodName   string
	PodUID    types.UID
	Issuer    string
	Expires   time.Time
}

type payload struct {
	Audience   audiences `json:"aud"`
	Expires    float64   `json:"exp"`
	Issuer     string    `json:"iss"`
	Kubernetes struct {
		Namespace string `json:"namespace"`
		Pod       struct {
			Name string `json:"name"`
			UID  string `json:"uid"`
		} `json:"pod"`
	} `json:"kubernetes.io"`
}

// audiences is a list, or one name.
type audiences []string

func (a *audiences) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = make(audiences, 1)
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// Read looks at what a token says of itself. It refuses, for errors wrap
// ErrRefused, what the API server would refuse as well: that needs no question.
func Read(token string, now time.Time) (Claims, error) {
	p, err := parsePayload(token)
	if err != nil {
		return Claims{}, err
	}
	c := Claims{
		Namespace: p.Kubernetes.Namespace, PodName: p.Kubernetes.Pod.Name, PodUID: types.UID(p.Kubernetes.Pod.UID), Issuer: p.Issuer,
	}
	if p.Expires > 0 && p.Expires < 1<<40 {
		c.Expires = time.Unix(int64(p.Expires), 0)
	}
	if !slices.Contains(p.Audience, sidecar.TokenAudience) {
		return Claims{}, fmt.Errorf("%w: it is not for the audience %s", ErrRefused, sidecar.TokenAudience)
	}
	if err := c.check(now); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// parsePayload returns what a token says, whose signature is not looked at.
func parsePayload(token string) (payload, error) {
	if token == "" || len(token) > maxTokenLength {
		return payload{}, fmt.Errorf("%w: a bearer token of a service account is needed", ErrRefused)
	}
	header, rest, _ := strings.Cut(token, ".")
	body, signature, ok := strings.Cut(rest, ".")
	if !ok || header == "" || signature == "" || strings.Contains(signature, ".") {
		return payload{}, fmt.Errorf("%w: it is no JSON Web Token", ErrRefused)
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return payload{}, fmt.Errorf("%w: it is no JSON Web Token", ErrRefused)
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		return payload{}, fmt.Errorf("%w: it has no claims", ErrRefused)
	}
	return p, nil
}

// check returns why a caller with these claims is refused; nil when it is not.
func (c *Claims) check(now time.Time) error {
	switch {
	case !c.Expires.After(now.Add(-clockLeeway)):
		return fmt.Errorf("%w: it has expired", ErrRefused)
	case c.Namespace == "" || c.PodName == "" || c.PodUID == "":
		return fmt.Errorf("%w: it is not bound to a pod", ErrRefused)
	case len(c.Namespace) > maxName || len(c.PodName) > maxName || len(c.PodUID) > maxName || len(c.Issuer) > maxTokenLength:
		return fmt.Errorf("%w: its names are too long", ErrRefused)
	}
	return nil
}

// maxName is the longest name of an object.
const maxName = 253
