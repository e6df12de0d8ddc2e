// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// token asks the API server for a token bound to a pod, as the kubelet does.
func token(t *testing.T, p corev1.Pod, audience string) string {
	t.Helper()
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
	}}
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = p.Namespace, "default"
	if err := kube.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	return request.Status.Token
}

// gatewayOf connects to the real gateway by hand, trusting what an injected
// pod was told to trust.
func gatewayOf(t *testing.T, injected corev1.Pod, bearer string) gatewayv1alpha1connect.GatewayServiceClient {
	t.Helper()
	var ca, address string
	for _, c := range injected.Spec.InitContainers {
		for _, e := range c.Env {
			switch {
			case c.Name == sidecar.ContainerName && e.Name == sidecar.EnvGatewayCA:
				ca = e.Value
			case c.Name == sidecar.ContainerName && e.Name == sidecar.EnvGatewayAddress:
				address = e.Value
			}
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(ca)) {
		t.Fatal("the pod carries no certificates for the gateway")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	target := forward(t, podsOf(t, "kuda-manager")[0], port)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: host},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	authorize := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+bearer)
			return next(ctx, r)
		}
	})
	return gatewayv1alpha1connect.NewGatewayServiceClient(&http.Client{Transport: transport, Timeout: 20 * time.Second},
		"https://"+target, connect.WithInterceptors(authorize))
}

// watchOnce opens a Watch with a token and returns its first message.
func watchOnce(t *testing.T, injected corev1.Pod, bearer string) (*gatewayv1alpha1.WatchResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	request := connect.NewRequest(&gatewayv1alpha1.WatchRequest{})
	request.Header().Set("Authorization", "Bearer "+bearer)
	stream, err := gatewayOf(t, injected, bearer).Watch(ctx, request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	if !stream.Receive() {
		return nil, stream.Err()
	}
	return stream.Msg(), nil
}

func TestRuntimesTokenReadsAndReportsItsOwnPodsDataOnly(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "token/x.txt", []byte(delivered))
	for _, name := range []string{"mine", "other"} {
		create(t, dataSet(ns, name, item("x", "token/x.txt", "v1")))
		create(t, pod(ns, name, name, "wait"))
	}
	waitDelivered(t, dataSet(ns, "mine"), 1, time.Minute)
	waitDelivered(t, dataSet(ns, "other"), 1, time.Minute)
	mine, other := pods(t, ns, "mine")[0], pods(t, ns, "other")[0]
	bearer := token(t, mine, sidecar.TokenAudience)

	own, err := watchOnce(t, mine, bearer)
	if err != nil {
		t.Fatalf("reading one's own Data: %v", err)
	}
	if len(own.Assignments) != 1 || own.Assignments[0].Dataset != "mine" {
		t.Fatalf("a pod's token reads %v, want the Data of DataSet mine alone", own.Assignments)
	}
	foreign, err := watchOnce(t, other, token(t, other, sidecar.TokenAudience))
	if err != nil {
		t.Fatal(err)
	}
	report := func(data, revision string) error {
		_, err := gatewayOf(t, mine, bearer).Report(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportRequest{
			Data: data, Revision: revision, CurrentRevision: revision}))
		return err
	}
	if err := report(own.Assignments[0].Data, own.Assignments[0].Revision); err != nil {
		t.Errorf("reporting one's own Data: %v", err)
	}
	if err := report(foreign.Assignments[0].Data, foreign.Assignments[0].Revision); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("reporting another pod's Data: %v, want permission denied", err)
	}
	_, err = gatewayOf(t, mine, bearer).RunHook(t.Context(), connect.NewRequest(&gatewayv1alpha1.RunHookRequest{
		Data: foreign.Assignments[0].Data, Revision: foreign.Assignments[0].Revision,
		Point: gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD}))
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("running another pod's hook: %v, want permission denied", err)
	}

	unbound := strings.TrimSpace(kubectl(t, "-n", ns, "create", "token", "default", "--audience", sidecar.TokenAudience))
	for name, wrong := range map[string]string{
		"another audience":    token(t, mine, "https://kubernetes.default.svc"),
		"no pod":              unbound,
		"a damaged signature": bearer[:len(bearer)-6] + "AAAAAA",
		"none":                "",
	} {
		if _, err := watchOnce(t, mine, wrong); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("a token with %s: %v, want unauthenticated", name, err)
		}
	}
	// A token ends with its pod; the gateway may remember it for a minute.
	kubectl(t, "-n", ns, "delete", "pod", "mine", "--now")
	eventually(t, 90*time.Second, func(context.Context) error {
		if _, err := watchOnce(t, mine, bearer); connect.CodeOf(err) != connect.CodeUnauthenticated {
			return fmt.Errorf("the token of a deleted pod: %v, want unauthenticated", err)
		}
		return nil
	})
}

func TestNoRoleBindingIsMadeInATenantNamespace(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "rbac/x.txt", []byte(delivered))
	create(t, dataSet(ns, "rbac", item("x", "rbac/x.txt", "v1")))
	create(t, pod(ns, "rbac", "rbac", "wait"))
	waitDelivered(t, dataSet(ns, "rbac"), 1, time.Minute)
	var bindings rbacv1.RoleBindingList
	if err := kube.List(t.Context(), &bindings, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings.Items {
		t.Errorf("RoleBinding %s", b.Name)
	}
}

func TestNoComponentCanReadSecrets(t *testing.T) {
	var accounts corev1.ServiceAccountList
	if err := kube.List(t.Context(), &accounts, client.InNamespace(systemNamespace)); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, a := range accounts.Items {
		for _, verb := range []string{"get", "list", "watch"} {
			for _, scope := range [][]string{{"--all-namespaces"}, {"-n", systemNamespace}, {"-n", "default"}} {
				args := append([]string{"auth", "can-i", verb, "secrets", "--as",
					"system:serviceaccount:" + systemNamespace + ":" + a.Name}, scope...)
				out, _ := exec.Command("kubectl", args...).Output() // exit status 1 says no
				if got := strings.TrimSpace(string(out)); got != "no" {
					t.Errorf("%s may %s secrets %v: %q", a.Name, verb, scope, got)
				}
				checked++
			}
		}
	}
	if checked < 2*9 {
		t.Errorf("only %d answers: the components' service accounts were not found", checked)
	}
}
