// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/identity/identitytest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var start = time.Unix(1_700_000_000, 0)

func aPod(name string, injected bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-" + name)}}
	if injected {
		always := corev1.ContainerRestartPolicyAlways
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "models", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
		p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}
	}
	return p
}

func newReader(t *testing.T, pods ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(pods...).Build()
}

type bench struct {
	*identity.Authenticator
	roster   *identity.Roster
	reviewer *identitytest.Reviewer
	clock    *clocktesting.FakeClock
	live     client.Client

	mu   sync.Mutex
	seen []identity.Outcome
}

// newBench knows web-0 to web-9 of the namespace shop, and plain, which has no runtime.
func newBench(t *testing.T) *bench {
	t.Helper()
	pods := []client.Object{aPod("plain", false)}
	for n := range 10 {
		pods = append(pods, aPod(fmt.Sprintf("web-%d", n), true))
	}
	b := &bench{reviewer: &identitytest.Reviewer{}, clock: clocktesting.NewFakeClock(start), live: newReader(t, pods...)}
	b.roster = identity.NewRoster(newReader(t, pods...), b.live, identity.Account{Namespace: "kuda-node", Name: "kuda-node-keeper"})
	b.Authenticator = identity.NewAuthenticator(b.reviewer, b.roster, b.clock, func(o identity.Outcome) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen = append(b.seen, o)
	})
	return b
}

func (b *bench) newToken(name, signature string, change map[string]any) string {
	return identitytest.Token("shop", name, types.UID("uid-"+name), b.clock.Now().Add(time.Hour), signature, change)
}

func (b *bench) askWith(t *testing.T, token string) error {
	t.Helper()
	_, err := b.Authenticate(t.Context(), token, "10.0.0.1")
	return err
}

func TestABadTokenIsRefusedWithoutAQuestion(t *testing.T) {
	b := newBench(t)
	past := map[string]any{"exp": start.Add(-2 * time.Minute).Unix()}
	for name, token := range map[string]string{
		"empty": "", "no JWT": "token", "two parts": "a.b", "four parts": "a.b.c.d", "no base64": "a.?.c", "no JSON": "a.YQ.c",
		"too long":             b.newToken("web-0", string(make([]byte, 6<<10)), nil),
		"another audience":     b.newToken("web-0", "x", map[string]any{"aud": "https://kubernetes.default.svc"}),
		"no audience":          b.newToken("web-0", "x", map[string]any{"aud": []string{}}),
		"audience of a number": b.newToken("web-0", "x", map[string]any{"aud": 7}),
		"expired":              b.newToken("web-0", "x", past),
		"never expires":        b.newToken("web-0", "x", map[string]any{"exp": 0}),
		"expires at the end":   b.newToken("web-0", "x", map[string]any{"exp": 1e300}),
		"not of a pod":         b.newToken("web-0", "x", map[string]any{"kubernetes.io": map[string]any{"namespace": "shop"}}),
		"a long name":          identitytest.Token("shop", string(make([]byte, 300)), "u", start.Add(time.Hour), "x", nil),
	} {
		if err := b.askWith(t, token); !errors.Is(err, identity.ErrRefused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if err := b.askWith(t, b.newToken("plain", identitytest.Good, nil)); !errors.Is(err, identity.ErrNotInjected) {
		t.Errorf("a pod without the runtime: %v", err)
	}
	if n := b.reviewer.Asked.Load(); n != 0 {
		t.Errorf("asked the API server %d times", n)
	}
	if err := b.askWith(t, b.newToken("web-0", identitytest.Good, map[string]any{"aud": sidecar.TokenAudience})); err != nil {
		t.Errorf("one audience that is no list: %v", err)
	}
}

func TestAnAcceptedTokenIsBelievedUntilItIsNearItsExpiry(t *testing.T) {
	b := newBench(t)
	token := b.newToken("web-0", identitytest.Good, nil)
	asked := func(want int64, what string) {
		t.Helper()
		if got := b.reviewer.Asked.Load(); got != want {
			t.Errorf("%s: %d questions, want %d", what, got, want)
		}
	}
	for range 3 {
		if err := b.askWith(t, token); err != nil {
			t.Fatal(err)
		}
	}
	asked(1, "the same token")
	b.clock.Step(59 * time.Minute)
	if err := b.askWith(t, token); err != nil {
		t.Fatal(err)
	}
	asked(1, "the same token a minute before its expiry")
	b.reviewer.Refuse.Store(true)
	b.clock.Step(55 * time.Second)
	if err := b.askWith(t, token); !errors.Is(err, identity.ErrRefused) {
		t.Errorf("a token that was revoked: %v, want a refusal near its expiry", err)
	}
	if err := b.askWith(t, token); !errors.Is(err, identity.ErrRefused) {
		t.Errorf("again: %v", err)
	}
	asked(2, "a token that is refused")

	b.reviewer.Refuse.Store(false)
	short := b.newToken("web-1", identitytest.Good, map[string]any{"exp": b.clock.Now().Add(time.Minute).Unix()})
	if err := b.askWith(t, short); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(61 * time.Second)
	if err := b.askWith(t, short); err != nil {
		t.Errorf("within the leeway of clocks: %v", err)
	}
	asked(4, "a token at its expiry")
}

func TestATokenOfADeletedPodIsRefusedAtOnce(t *testing.T) {
	b := newBench(t)
	token := b.newToken("web-0", identitytest.Good, nil)
	if err := b.askWith(t, token); err != nil {
		t.Fatal(err)
	}
	b.reviewer.Refuse.Store(true)
	b.Forget("uid-web-0")
	if err := b.askWith(t, token); !errors.Is(err, identity.ErrRefused) {
		t.Errorf("after the pod was deleted: %v, want a refusal", err)
	}
	// An answer that was on its way when the pod went is not kept.
	b.reviewer.Refuse.Store(false)
	other := b.newToken("web-0", identitytest.Good, map[string]any{"jti": "2"})
	for range 2 {
		if err := b.askWith(t, other); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.reviewer.Asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4: nothing of a deleted pod is remembered", n)
	}
}

func TestAFailureToAskIsNotRemembered(t *testing.T) {
	b := newBench(t)
	token := b.newToken("web-0", identitytest.Good, nil)
	away := errors.New("connection refused")
	b.reviewer.Err.Store(&away)
	if err := b.askWith(t, token); err == nil || errors.Is(err, identity.ErrRefused) {
		t.Errorf("%v, want an error that is no refusal", err)
	}
	b.reviewer.Err.Store(nil)
	if err := b.askWith(t, token); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
	if len(b.seen) != 2 || b.seen[0] != identity.Failed || b.seen[1] != identity.Accepted {
		t.Errorf("outcomes = %v", b.seen)
	}
}

// floodWith presents bogus tokens that the API server takes its time for, and waits
// until it has as many questions as it gets.
func (b *bench) floodWith(t *testing.T, open int, tokens []string) {
	t.Helper()
	b.reviewer.Wait, b.reviewer.Opened = make(chan struct{}), make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		close(b.reviewer.Wait)
		group.Wait()
	})
	// Most of them are told at once to try again; what waits is then known.
	busy := make(chan struct{}, len(tokens))
	for _, token := range tokens {
		group.Go(func() {
			if _, err := b.Authenticate(ctx, token, "10.0.0.66"); errors.Is(err, identity.ErrBusy) {
				busy <- struct{}{}
			}
		})
	}
	for range open {
		<-b.reviewer.Opened
	}
	<-busy
}

// checkReaches presents a token and waits until the API server is asked about it.
func (b *bench) checkReaches(t *testing.T, token string) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- b.askWith(t, token) }()
	select {
	case <-b.reviewer.Opened:
	case err := <-ended:
		t.Fatalf("the API server was not asked: %v", err)
	case <-time.After(200 * time.Millisecond):
		t.Fatal("the question waits")
	}
}

func TestBogusTokensDoNotMakeAKnownPodWait(t *testing.T) {
	b := newBench(t)
	var tokens []string
	for n := range 200 {
		tokens = append(tokens, b.newToken(fmt.Sprintf("stranger-%d", n), "bogus", nil))
	}
	b.floodWith(t, 12, tokens)
	select {
	case <-b.reviewer.Opened:
		t.Error("strangers of one address have more than 12 slots")
	default:
	}
	b.checkReaches(t, b.newToken("web-0", identitytest.Good, nil))
	if _, err := b.Authenticate(t.Context(), b.newToken("stranger", "bogus", nil), "10.0.0.66"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("a stranger beyond the queue: %v, want to be told to try again", err)
	}
}

func TestBogusTokensOfAPodsOwnNameTakeThatPodsSlotsOnly(t *testing.T) {
	b := newBench(t)
	var tokens []string
	for n := range 100 {
		tokens = append(tokens, b.newToken("web-9", fmt.Sprint("bogus-", n), nil))
	}
	b.floodWith(t, 2, tokens)
	b.checkReaches(t, b.newToken("web-0", identitytest.Good, nil))
	// The pod itself, from its own address, is not kept out either.
	b.checkReaches(t, b.newToken("web-9", identitytest.Good, nil))
}

func TestAnIssuerThatIsNewIsLearned(t *testing.T) {
	b := newBench(t)
	if err := b.askWith(t, b.newToken("web-0", identitytest.Good, nil)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := b.askWith(t, b.newToken(fmt.Sprintf("web-%d", n+1), identitytest.Good,
			map[string]any{"iss": "https://new.example"})); err != nil {
			t.Errorf("after the cluster's issuer changed: %v", err)
		}
	}
}

func TestAPodIsAdmittedForItsRuntime(t *testing.T) {
	b := newBench(t)
	late := aPod("late", true)
	if err := b.live.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		caller identity.Pod
		want   error
	}{
		"injected":                    {identity.Pod{Namespace: "shop", Name: "web-0", UID: "uid-web-0"}, nil},
		"not in the cache yet":        {identity.Pod{Namespace: "shop", Name: "late", UID: "uid-late"}, nil},
		"not injected":                {identity.Pod{Namespace: "shop", Name: "plain", UID: "uid-plain"}, identity.ErrNotInjected},
		"an earlier pod of this name": {identity.Pod{Namespace: "shop", Name: "web-0", UID: "earlier"}, identity.ErrRefused},
		"gone":                        {identity.Pod{Namespace: "shop", Name: "gone", UID: "u"}, identity.ErrRefused},
	} {
		got, err := b.roster.Admit(t.Context(), c.caller)
		if !errors.Is(err, c.want) || c.want == nil && !got.NodeStore {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestTheAccountOfTheKeepersIsAdmittedAsSuch(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		caller identity.Pod
		keeper bool
	}{
		"the keeper":                         {identity.Pod{Namespace: "kuda-node", Account: "kuda-node-keeper", Name: "x", UID: "x"}, true},
		"another account of the namespace":   {identity.Pod{Namespace: "kuda-node", Account: "kuda-node", Name: "x", UID: "x"}, false},
		"the same name in another namespace": {identity.Pod{Namespace: "shop", Account: "kuda-node-keeper", Name: "x", UID: "x"}, false},
	} {
		got, err := b.roster.Admit(t.Context(), c.caller)
		if got.Keeper != c.keeper || c.keeper != (err == nil) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	nobody := identity.NewRoster(newReader(t), b.live, identity.Account{})
	if got, err := nobody.Admit(t.Context(), identity.Pod{Name: "x", UID: "x"}); err == nil || got.Keeper {
		t.Errorf("without an account of keepers one is admitted: %+v, %v", got, err)
	}
}

func TestTheTokenIsTakenFromTheHeader(t *testing.T) {
	for value, want := range map[string]string{"": "", "Bearer": "", "Bearer ": "", "Basic dXNlcg==": "", "token": "", "Bearer a.b.c": "a.b.c",
		"bearer  a ": "a"} {
		if got := identity.Token(http.Header{"Authorization": {value}}); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
