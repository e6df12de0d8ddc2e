// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

// dangerous are rights that reach further than they look. Each rule that grants
// one needs an exception with its reason.
var dangerous = []struct {
	id        string
	resources []string
	verbs     []string
	why       string
}{
	{"rbac-secrets", []string{"secrets"}, []string{"get", "list", "watch", "update", "patch", "create", "delete"}, "reaches Secrets"},
	{"rbac-exec", []string{"pods/exec", "pods/attach", "pods/proxy", "pods/portforward", "pods/ephemeralcontainers",
		"nodes/proxy", "services/proxy"},
		[]string{"get", "create", "update", "patch"}, "runs commands in pods or reaches into them"},
	{"rbac-pods", []string{"pods", "deployments", "daemonsets", "statefulsets", "replicasets", "jobs", "cronjobs", "replicationcontrollers"},
		[]string{"create", "update", "patch", "delete", "deletecollection"}, "makes, changes or removes pods"},
	{"rbac-tokens", []string{"serviceaccounts/token", "certificatesigningrequests", "certificatesigningrequests/approval"},
		[]string{"create", "update", "patch"}, "makes credentials"},
	{"rbac-escalation", []string{"roles", "clusterroles", "rolebindings", "clusterrolebindings", "users", "groups", "serviceaccounts"},
		[]string{"create", "update", "patch", "bind", "escalate", "impersonate"}, "gives rights or borrows them"},
	{"rbac-admission", []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
		"validatingadmissionpolicybindings"},
		[]string{"create", "update", "patch", "delete"}, "changes what the API server admits"},
}

// CheckRights finds rules that grant everything, or a dangerous right.
func CheckRights(objects []Object) []exception.Finding {
	var findings []exception.Finding
	for _, o := range objects {
		for _, rule := range o.Rules {
			findings = append(findings, checkRule(o.Name, rule)...)
		}
	}
	return findings
}

func checkRule(where string, rule rbacv1.PolicyRule) []exception.Finding {
	what := strings.Join(rule.Verbs, ",") + " " + strings.Join(rule.Resources, ",")
	if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") {
		return []exception.Finding{{ID: "rbac-wildcard", Where: where, Message: what +
			" grants more than a list can say: name the verbs, resources and groups"}}
	}
	var findings []exception.Finding
	for _, d := range dangerous {
		if overlap(rule.Resources, d.resources) && overlap(rule.Verbs, d.verbs) {
			findings = append(findings, exception.Finding{ID: d.id, Where: where, Message: what + " " + d.why})
		}
	}
	return findings
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
