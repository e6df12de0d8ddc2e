// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

// option is a main value of the chart, set otherwise than by default.
type option struct {
	name   string
	values map[string]any
}

func set(path []string, value any) map[string]any {
	for i := len(path) - 1; i >= 0; i-- {
		value = map[string]any{path[i]: value}
	}
	return value.(map[string]any)
}

func enabled(path ...string) map[string]any { return set(append(path, "enabled"), true) }

// options returns the main values; the tests of the chart go through all pairs of them.
func options() []option {
	ingress := enabled("dashboard", "ingress")
	merge(ingress, "dashboard", map[string]any{
		"enabled": true, "tlsSecret": "page", "allowedHosts": []any{"kuda.example.com"},
		"ingress": map[string]any{"className": "nginx", "hosts": []any{"kuda.example.com"}, "tlsSecret": "kuda-example-com"},
	})
	route := enabled("dashboard", "httpRoute")
	merge(route, "dashboard", map[string]any{
		"enabled": true, "tlsSecret": "page",
		"httpRoute": map[string]any{
			"parentRefs": []any{map[string]any{"name": "public", "namespace": "gateways"}}, "hosts": []any{"kuda.example.com"},
			"caConfigMap": "kuda-dashboard-ca",
		},
	})
	return []option{
		{"plain", set([]string{"plainManifests"}, true)},
		{"namespace", set([]string{"namespace", "create"}, true)},
		{"crds", set([]string{"crds", "enabled"}, true)},
		{"without-crds", set([]string{"crds", "enabled"}, false)},
		{"crds-go", set([]string{"crds", "keep"}, false)},
		{"scheduler", enabled("scheduler")},
		{"dashboard", enabled("dashboard")},
		{"ingress", ingress},
		{"route", route},
		{"node", enabled("node")},
		{"node-driver", set([]string{"config", "nodeDriver"}, "data.kuda.io")},
		{"host-path", set([]string{"config", "hostPath"}, "/data/kuda")},
		{"registry", set([]string{"global", "imageRegistry"}, "registry.example.com/mirror")},
		{"pull-secrets", set([]string{"global", "imagePullSecrets"}, []any{map[string]any{"name": "registry-key"}})},
		{"tolerations", set([]string{"global", "tolerations"}, []any{map[string]any{"operator": "Exists"}})},
		{"labels", set([]string{"commonLabels"}, map[string]any{"team": "data"})},
		{"no-exec-hooks", set([]string{"rbac", "execHooks"}, false)},
		{"no-preheat", set([]string{"rbac", "preheat"}, false)},
		{"no-policies", set([]string{"networkPolicy", "enabled"}, false)},
		{"callers", set([]string{"webhook", "callers"}, []any{"192.0.2.10/32"})},
		{"pod-monitors", enabled("monitoring", "podMonitors")},
		{"service-monitor", enabled("monitoring", "serviceMonitor")},
		{"runtimes", enabled("monitoring", "runtimes")},
		{"rules", enabled("monitoring", "rules")},
		{"grafana", enabled("monitoring", "grafana")},
		{"client-certificates", set([]string{"webhook", "clients"},
			map[string]any{"configMap": "kuda-webhook-clients", "names": []any{"kube-apiserver-webhook-client"}})},
	}
}

// pair returns the values of two options together; of two that set the same, the second.
// The definitions, most of the chart's bytes, are left out where neither is about them.
func pair(a, b option) map[string]any {
	values := map[string]any{}
	if a.values["crds"] == nil && b.values["crds"] == nil {
		values["crds"] = map[string]any{"enabled": false}
	}
	for _, o := range []option{a, b} {
		for name, value := range o.values {
			merge(values, name, value)
		}
	}
	return values
}
