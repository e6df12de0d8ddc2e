// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/admission/author"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
)

// handleAuthors serves the webhook that holds authors of DataSets to their rights.
func (s *Server) handleAuthors(gate *intake.Gate, restConfig *rest.Config, file *config.File, settings func() inject.Settings,
	registry prometheus.Registerer) error {
	counts, err := admission.NewAuthorMetrics(registry)
	if err != nil {
		return err
	}
	rights, err := admission.NewReviews(restConfig, client.Options{Scheme: s.manager.GetScheme(), Mapper: s.manager.GetRESTMapper()})
	if err != nil {
		return err
	}
	admission.RegisterAuthors(s.manager.GetWebhookServer(), gate, &admission.Authors{
		Live:      s.manager.GetAPIReader(),
		Rights:    rights,
		Mode:      func() author.Mode { return file.Current().AuthorChecks },
		Audiences: func() inject.Audiences { return settings().Audiences },
		Metrics:   counts,
		Log:       ctrl.Log.WithName("authors"),
	})
	return nil
}

// withAPIAudiences forbids also the audiences of this cluster's API server, which
// are those of the token that the webhook itself shows there.
func withAPIAudiences(audiences inject.Audiences, tokenFile string) inject.Audiences {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return audiences // There is no such token outside of a cluster.
	}
	audiences.Forbidden = append(slices.Clone(audiences.Forbidden), audiencesOf(string(token))...)
	return audiences
}

// audiencesOf returns the audiences and the issuer of a token, without checking it.
func audiencesOf(token string) []string {
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return nil
	}
	var found []string
	if claims.Issuer != "" {
		found = append(found, claims.Issuer)
	}
	// One audience may be written as a string.
	var several []string
	var one string
	if json.Unmarshal(claims.Audience, &several) == nil {
		found = append(found, several...)
	} else if json.Unmarshal(claims.Audience, &one) == nil {
		found = append(found, one)
	}
	return found
}
