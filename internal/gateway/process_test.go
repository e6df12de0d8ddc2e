// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/gateway/hook"
	"github.com/kuda-io/kuda/internal/gateway/identity/identitytest"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// underTest makes the test's binary a gateway in a process of its own, whose
// memory can be measured.
const underTest = "KUDA_TEST_GATEWAY"

func TestMain(m *testing.M) {
	if os.Getenv(underTest) == "" {
		os.Exit(m.Run())
	}
	if err := serveGateway(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// knownPods are those of the played cluster that have the runtime, by namespace.
var knownPods = map[string]int{"shop": 40, "hog": 12}

func podName(n int) string { return fmt.Sprintf("web-%d", n) }

func podUID(namespace string, n int) types.UID {
	return types.UID(fmt.Sprintf("%s-%d", namespace, n))
}

// playedCache is a cache that holds what the client holds.
type playedCache struct {
	*informertest.FakeInformers
	client.Reader
}

func (c playedCache) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return c.Reader.Get(ctx, key, o, opts...)
}

func (c playedCache) List(ctx context.Context, o client.ObjectList, opts ...client.ListOption) error {
	return c.Reader.List(ctx, o, opts...)
}

// playedClient is the API server: what it does not do itself, the reviewer does.
type playedClient struct {
	client.Client
	reviewer *identitytest.Reviewer
}

func (c playedClient) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if _, ok := o.(*authenticationv1.TokenReview); ok {
		return c.reviewer.Create(ctx, o, opts...)
	}
	return c.Client.Create(ctx, o, opts...)
}

// sleeper plays containers in which every command sleeps that says so.
type sleeper struct{}

func (sleeper) Run(ctx context.Context, _ types.NamespacedName, _ string, command []string) (hook.Result, error) {
	if command[0] == "sleep" {
		<-ctx.Done()
		return hook.Result{}, ctx.Err()
	}
	return hook.Result{Output: "a secret"}, nil
}

// playedObjects are the pods with their Data, a node, and a pod without the runtime.
func playedObjects() []client.Object {
	always := corev1.ContainerRestartPolicyAlways
	objects := []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "n1"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "plain", Namespace: "shop", UID: "plain"}},
	}
	for namespace, count := range knownPods {
		set := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: namespace, UID: types.UID(namespace)},
			Spec: v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}}}
		objects = append(objects, set)
		for n := range count {
			p := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: podName(n), Namespace: namespace, UID: podUID(namespace, n),
					Labels:      map[string]string{"app": "web"},
					Annotations: map[string]string{v1alpha1.AnnotationInjected: "models", v1alpha1.AnnotationStore: v1alpha1.StoreNode}},
				Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app"}},
					InitContainers: []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}},
				Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app",
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
			}
			command := func(words ...string) *v1alpha1.LifecycleHandler {
				return &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: words}}
			}
			d := assignment.New(set, p, v1alpha1.DataSpec{Revision: "r1", Lifecycle: &v1alpha1.Lifecycle{
				PreDownload: command("sleep", "58"), PostDownload: command("true")}})
			objects = append(objects, p, d)
		}
	}
	return objects
}

func serveGateway() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		// The test that started this process is over when its end of the pipe is closed.
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(playedObjects()...).WithStatusSubresource(&v1alpha1.Data{},
		&v1alpha1.NodeStore{})
	for _, i := range fieldindex.Indexes() {
		builder = builder.WithIndex(i.Object, i.Field, i.Values)
	}
	c := builder.Build()
	cached := client.Reader(c)
	if os.Getenv(envFleet) != "" {
		cached = fleetReader{c}
	}
	certificates, err := newSelfSigned()
	if err != nil {
		return err
	}
	server, err := New(Options{
		Address: "127.0.0.1:0", Certificates: certificates, Cache: playedCache{&informertest.FakeInformers{Scheme: scheme}, cached}, Live: c,
		Client: playedClient{c, &identitytest.Reviewer{Slow: "slow"}}, Executor: sleeper{},
		HookOutput: os.Getenv("KUDA_TEST_HOOK_OUTPUT") == "", Registry: prometheus.NewRegistry(), Clock: clock.RealClock{}, Log: logr.Discard(),
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	for server.Address() == nil {
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	fmt.Println(server.Address(), base64.StdEncoding.EncodeToString(certificates.pair.Certificate[0]))
	return <-ended
}

type selfSigned struct{ pair tls.Certificate }

func newSelfSigned() (*selfSigned, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &selfSigned{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

func (s *selfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &s.pair, nil
}
func (s *selfSigned) Bundle() []byte           { return s.pair.Certificate[0] }
func (s *selfSigned) Changed() <-chan struct{} { return nil }

// process is a gateway in a process of its own.
type process struct {
	address string
	roots   *x509.CertPool
	pid     int
}

// startProcess starts a gateway. The played API server does not end a review of
// a token that is signed with "slow".
func startProcess(t *testing.T, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(append(os.Environ(), underTest+"=1"), env...)
	var trouble bytes.Buffer
	command.Stderr = &trouble
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := command.Wait(); err != nil {
			t.Errorf("the gateway ended with %v: %s", err, trouble.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway does not start: %v %s", err, trouble.String())
	}
	address, certificate, _ := strings.Cut(strings.TrimSpace(line), " ")
	der, err := base64.StdEncoding.DecodeString(certificate)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{address: address, roots: x509.NewCertPool(), pid: command.Process.Pid}
	p.roots.AddCert(parsed)
	return p
}

// peakMemory is the most memory that the process had since the last forgetPeak, in bytes.
func (p *process) peakMemory(t *testing.T) int64 { return p.readStatus(t, "VmHWM:") }

func (p *process) readStatus(t *testing.T, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("the process has no %s", name)
	return 0
}

func (p *process) newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.roots, ServerName: "gateway.test"},
		Protocols: protocols}
}

// tokenOf is a token of a known pod, as the API server makes it.
func tokenOf(namespace string, n int, signature string) string {
	return identitytest.Token(namespace, podName(n), podUID(namespace, n), time.Now().Add(time.Hour), signature, nil)
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}

// httpClient is a client with a connection of its own.
func (p *process) httpClient(t *testing.T, token string) *http.Client {
	t.Helper()
	transport := p.newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: bearer{token, transport}}
}

// runtimeClient speaks as runtimes of v0.1.0 do.
func (p *process) runtimeClient(t *testing.T, token string) gatewayv1alpha1connect.GatewayServiceClient {
	t.Helper()
	return gatewayv1alpha1connect.NewGatewayServiceClient(p.httpClient(t, token), "https://"+p.address,
		connect.WithReadMaxBytes(16<<20), connect.WithSendGzip(), connect.WithCompressMinBytes(1<<10))
}
