// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

const checkCache = "cache"

// cacheServer is a cache in front of a source that is a Service of the cluster.
type cacheServer struct {
	// source is the kind of the source, and private whether reading it takes credentials.
	source  string
	private bool
	// only: what the cache does not serve must not come from the source.
	only            bool
	namespace, name string

	service fact[*corev1.Service]
	// ready is how many endpoints are, and fenced whether a NetworkPolicy of the namespace
	// says who may reach pods.
	ready  fact[int]
	fenced fact[bool]
}

// cacheServers returns the caches that names of Services lead to. What is outside of the
// cluster cannot be looked at from here.
func cacheServers(sources []sourcekind.Source, home string) []cacheServer {
	var found []cacheServer
	for i := range sources {
		s := &sources[i]
		if s.Cache == nil {
			continue
		}
		host := s.Cache.GetAlluxio().GetHost()
		if u, err := url.Parse(s.Cache.GetHttpProxy().GetUrl()); err == nil && u.Host != "" {
			host = u.Hostname()
		}
		name, namespace, ok := splitService(host, home)
		if !ok {
			continue
		}
		found = append(found, cacheServer{
			source: string(s.Kind), name: name, namespace: namespace, only: s.Cache.GetFallback() == "Never",
			private: len(s.ReferencesTo(sourcekind.Secret, sourcekind.Audience, sourcekind.Instance)) > 0,
		})
	}
	return found
}

// splitService reports whether a host may be the name of a Service: NAME, NAME.NAMESPACE or
// NAME.NAMESPACE.svc and what follows it.
func splitService(host, home string) (name, namespace string, ok bool) {
	if host == "" || net.ParseIP(host) != nil {
		return "", "", false
	}
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	switch {
	case len(parts) == 1:
		return parts[0], home, true
	case len(parts) == 2 || parts[2] == "svc":
		return parts[0], parts[1], true
	}
	return "", "", false
}

// readCaches looks at the caches of the sources.
func (s *subject) readCaches(ctx context.Context, c client.Client) {
	sources := sourcekind.Describe(&s.dataSet.Spec.Template.DataSources, nil)
	for _, cache := range cacheServers(sources, s.dataSet.Namespace) {
		namespace := readFact(ctx, c, "", cache.namespace, &corev1.Namespace{})
		if apierrors.IsNotFound(namespace.err) {
			continue // the host is another name
		}
		cache.service = readFact(ctx, c, cache.namespace, cache.name, &corev1.Service{})
		cache.ready.value, cache.ready.err = countEndpoints(ctx, c, cache.namespace, cache.name)
		cache.fenced.value, cache.fenced.err = isFenced(ctx, c, cache.namespace)
		s.caches = append(s.caches, cache)
	}
}

func countEndpoints(ctx context.Context, c client.Client, namespace, service string) (int, error) {
	var slicesOf discoveryv1.EndpointSliceList
	if err := c.List(ctx, &slicesOf, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service}); err != nil {
		return 0, fmt.Errorf("listing EndpointSlices: %w", err)
	}
	n := 0
	for i := range slicesOf.Items {
		for _, e := range slicesOf.Items[i].Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				n++
			}
		}
	}
	return n, nil
}

// isFenced reports whether some NetworkPolicy of a namespace is about who may reach pods.
func isFenced(ctx context.Context, c client.Client, namespace string) (bool, error) {
	var policies networkingv1.NetworkPolicyList
	if err := c.List(ctx, &policies, client.InNamespace(namespace)); err != nil {
		return false, fmt.Errorf("listing NetworkPolicies: %w", err)
	}
	return slices.ContainsFunc(policies.Items, func(p networkingv1.NetworkPolicy) bool {
		return len(p.Spec.PolicyTypes) == 0 || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
	}), nil
}

// checkCaches judges the caches of the sources. Whether one has the right source mounted is
// what pods find out: the condition CacheDegraded says it.
func checkCaches(s *subject) []Finding {
	var findings []Finding
	for i := range s.caches {
		findings = append(findings, judgeCache(&s.caches[i])...)
	}
	return findings
}

func judgeCache(c *cacheServer) []Finding {
	o := &Object{Kind: "Service", Namespace: c.namespace, Name: c.name}
	consequence, severity := "everything comes from the source", advice.Warning
	if c.only {
		consequence, severity = "with fallback Never, items fail", advice.Problem
	}
	missing := &Finding{
		Severity: severity, Check: checkCache, Object: o,
		What: "the cache of the source " + c.source + " is no Service of its namespace: " + consequence,
		Do:   []string{"correct the host of the cache, or create it"},
	}
	if c.service.err != nil {
		return []Finding{unreadFinding(checkCache, o, c.service.err, missing)}
	}
	var findings []Finding
	if c.ready.err == nil && c.ready.value == 0 {
		findings = append(findings, Finding{
			Severity: severity, Check: checkCache, Object: o,
			What: "the cache of the source " + c.source + " has no ready endpoint: " + consequence,
			Do:   []string{"kubectl get endpointslices -n " + c.namespace + " -l kubernetes.io/service-name=" + c.name},
		})
	}
	if c.private && c.fenced.err == nil && !c.fenced.value {
		findings = append(findings, Finding{
			Severity: advice.Warning, Check: checkCache, Object: o,
			What: "whoever reaches the cache of the source " + c.source + " reads what it holds, although the source asks for credentials",
			Why:  "the namespace has no NetworkPolicy that says who may reach its pods, and caches believe what clients say of themselves",
			Do:   []string{"let only those pods reach it that may read the data, by a NetworkPolicy in the namespace " + c.namespace},
		})
	}
	if len(findings) == 0 {
		findings = append(findings, okFinding(checkCache, o, "the cache of the source %s has %d ready endpoints", c.source, c.ready.value))
	}
	return findings
}
