// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// newTestRunner returns a runner for servers of the test, and what it tells.
func newTestRunner(t *testing.T, o Options) (*Runner, <-chan types.NamespacedName) {
	t.Helper()
	changed := make(chan types.NamespacedName, 100)
	o.InsecureAllowLoopback = true
	o.Changed = func(d types.NamespacedName) { changed <- d }
	r, err := NewRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r, changed
}

func key(name string, number int32) Key {
	return Key{DataSet: types.NamespacedName{Namespace: "shop", Name: name}, Revision: name + "-1", Number: number}
}

// taken takes one measurement to its end.
func taken(t *testing.T, r *Runner, changed <-chan types.NamespacedName, step v1alpha1.AnalysisStep) Measurement {
	t.Helper()
	k := key(t.Name(), 0)
	r.Forget(k.DataSet)
	r.Measure(k, step)
	if d := <-changed; d != k.DataSet {
		t.Fatalf("told of %s", d)
	}
	m, ok := r.Result(k)
	if !ok {
		t.Fatal("told of a measurement that is not complete")
	}
	if n := len([]rune(m.Message)); n == 0 || n > maxMessage {
		t.Errorf("a message of %d characters", n)
	}
	return m
}

// answering returns the address of a server that answers so.
func answering(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func vector(values ...string) string {
	var elements []string
	for _, v := range values {
		elements = append(elements, fmt.Sprintf(`{"metric":{"pod":"a"},"value":[1435781451.781,%q]}`, v))
	}
	return success("vector", "["+strings.Join(elements, ",")+"]")
}

func success(kind, result string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, result)
}

func TestPrometheusResponsesAreJudgedByTheConditions(t *testing.T) {
	for name, c := range map[string]struct {
		status           int
		body             string
		success, failure string
		ok               bool
		want             string
	}{
		"good": {200, vector("0.001"), "result[0] < 0.01", "", true, "result [0.001]"},
		"not good": {200, vector("0.5"), "result[0] < 0.01", "", false,
			"successCondition does not hold (result[0] < 0.01): result [0.5]"},
		"bad":          {200, vector("0.5"), "", "result[0] > 0.1", false, "failureCondition holds (result[0] > 0.1): result [0.5]"},
		"not bad":      {200, vector("0.05"), "", "result[0] > 0.1", true, "result [0.05]"},
		"good and bad": {200, vector("0.5"), "result[0] < 1", "result[0] > 0.1", false, "failureCondition holds"},
		"a scalar":     {200, success("scalar", `[1435781451.781,"7"]`), "result[0] == 7.0", "", true, "result [7]"},
		"many":         {200, vector("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"), "size(result) == 10", "", true, "and 2 more"},
		"infinity":     {200, vector("+Inf"), "result[0] < 1", "", false, "result [+Inf]"},
		"not a number": {200, vector("0", "NaN"), "", "result[0] > 0.1", false, "gives NaN"},
		"nothing":      {200, vector(), "", "result.exists(r, r > 0.1)", false, "no time series matches"},
		"too few":      {200, vector("1"), "result[1] < 1", "", false, "successCondition asks for an element"},
		"a range":      {200, success("matrix", "[]"), "", "result[0] > 1", false, "gives a matrix"},
		"a string":     {200, success("string", `[1,"x"]`), "", "result[0] > 1", false, "gives a string"},
		"a histogram": {200, success("vector", `[{"metric":{},"histogram":[1,{"count":"1"}]}]`), "", "result[0] > 1", false,
			"histogram_quantile"},
		"a series of nothing":     {200, success("vector", `[{"metric":{}}]`), "", "result[0] > 1", false, "unknown form"},
		"samples of another form": {200, success("vector", `[{"value":["1",2]}]`), "", "result[0] > 1", false, "unknown form"},
		"values of another form":  {200, success("vector", `[{"value":[1,"many"]}]`), "", "result[0] > 1", false, "unknown form"},
		"a warning": {200, strings.Replace(vector("1"), `{"status"`, `{"warnings":["half of the servers are away"],"status"`, 1),
			"result[0] == 1.0", "", true, "half of the servers are away"},
		"a wrong query": {400, `{"status":"error","errorType":"bad_data","error":"parse error: unclosed left parenthesis"}`,
			"result[0] < 1", "", false, "refused the query (status 400): parse error: unclosed"},
		"an overloaded server": {503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "", "result[0] > 1",
			false, "query timed out"},
		"an endless error":  {400, `{"status":"error","error":"` + strings.Repeat("é", 5000) + `"}`, "", "result[0] > 1", false, "é…"},
		"a web page":        {200, "<html>", "", "result[0] > 1", false, "not that of a Prometheus server"},
		"an internal error": {500, "oops", "", "result[0] > 1", false, "(status 500) is not that"},
		"another API":       {200, `{"ok":true}`, "", "result[0] > 1", false, "not that of a Prometheus server"},
		"an empty answer":   {200, "", "", "result[0] > 1", false, "not that of a Prometheus server"},
		"half an answer":    {200, vector("1")[:20], "", "result[0] > 1", false, "not that of a Prometheus server"},
	} {
		t.Run(name, func(t *testing.T) {
			r, changed := newTestRunner(t, Options{})
			step := query(c.success, c.failure)
			step.Prometheus.Address = answering(t, text(c.status, c.body))
			if m := taken(t, r, changed, step); m.OK != c.ok || !strings.Contains(m.Message, c.want) {
				t.Errorf("got %+v; want %v, %q", m, c.ok, c.want)
			}
		})
	}
}

func TestAQueryIsSentAsItIsWritten(t *testing.T) {
	var got string
	address := answering(t, func(w http.ResponseWriter, req *http.Request) {
		got = fmt.Sprintf("%s %s query=%q timeout=%q", req.Method, req.URL, req.PostFormValue("query"), req.PostFormValue("timeout"))
		_, _ = io.WriteString(w, vector("1"))
	})
	r, changed := newTestRunner(t, Options{})
	step := query("", "result[0] > 1")
	step.Prometheus.Address, step.Prometheus.Query = address+"/prom/", `sum(rate(x{a="b&c"}[1m])) + 1`
	if m := taken(t, r, changed, step); !m.OK {
		t.Error(m.Message)
	}
	if want := `POST /prom/api/v1/query query="sum(rate(x{a=\"b&c\"}[1m])) + 1" timeout="10s"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHTTPResponsesAreJudgedByTheConditions(t *testing.T) {
	for name, c := range map[string]struct {
		status           int
		body             string
		success, failure string
		ok               bool
		want             string
	}{
		"fine":                        {200, "", "", "", true, "answered with status 200"},
		"created":                     {201, "fine", "", "", true, "status 201"},
		"an error":                    {500, "", "", "", false, "status 500"},
		"an error that is not bad":    {500, "{}", "", "has(result.bad)", false, "status 500"},
		"an error that is meant":      {404, "", "status == 404", "", true, "status 404"},
		"healthy":                     {200, `{"healthy":true}`, "result.healthy", "", true, "status 200"},
		"unhealthy":                   {200, `{"healthy":false}`, "result.healthy", "", false, "successCondition does not hold"},
		"bad":                         {200, `{"errors":7}`, "", "result.errors > 5", false, "failureCondition holds"},
		"a page where JSON is needed": {200, "<html>", "result.healthy", "", false, "a body that is not JSON"},
		"a page where none is needed": {200, "<html>", "status == 200 && result == null", "", true, "status 200"},
		"two values":                  {200, "{} {}", "result == null", "", true, "not JSON"},
		"a deep answer":               {200, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "result == null", "", true, "not JSON"},
		"not a boolean":               {200, `{"healthy":"yes"}`, "result.healthy", "", false, "gives string, not true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			r, changed := newTestRunner(t, Options{})
			step := call(c.success, c.failure)
			step.HTTP.URL = answering(t, text(c.status, c.body))
			if m := taken(t, r, changed, step); m.OK != c.ok || !strings.Contains(m.Message, c.want) {
				t.Errorf("got %+v; want %v, %q", m, c.ok, c.want)
			}
		})
	}
}

func TestUnusableResponsesFailTheMeasurement(t *testing.T) {
	other := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("the other host was called") })
	other = strings.Replace(other, "127.0.0.1", "localhost", 1)
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"cut in the body": {hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"), "it was cut off"},
		"cut at once":     {hijack(""), "it was cut off"},
		"cut in the head": {hijack("HTTP/1.1 200"), "it was cut off"},
		"not HTTP":        {hijack("SSH-2.0-OpenSSH_9.2\r\n"), "malformed HTTP"},
		"an endless head": {hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), "headers exceeded"},
		"a large body":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody+1)) }, "larger than 1 MiB"},
		"another host": {func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, other, http.StatusFound) },
			"redirects to another host, localhost:"},
		"in circles": {func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, req.URL.Path, http.StatusFound) },
			"redirects more than 3 times"},
		"with credentials": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "http://u:p@"+req.Host, http.StatusFound)
		}, "with credentials"},
		"to a place of no form": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[::1")
			w.WriteHeader(302)
		}, "Location"},
	} {
		t.Run(name, func(t *testing.T) {
			r, changed := newTestRunner(t, Options{})
			step := call("status > 0", "")
			step.HTTP.URL = answering(t, c.handle)
			if m := taken(t, r, changed, step); m.OK || !strings.Contains(m.Message, c.want) {
				t.Errorf("got %+v; want %q", m, c.want)
			}
		})
	}
	t.Run("exactly 1 MiB is read", func(t *testing.T) {
		r, changed := newTestRunner(t, Options{})
		step := call("size(result) == 1048574", "")
		step.HTTP.URL = answering(t, text(200, `"`+strings.Repeat("x", maxBody-2)+`"`))
		if m := taken(t, r, changed, step); !m.OK {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("no server listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		r, changed := newTestRunner(t, Options{})
		step := call("", "")
		step.HTTP.URL = "http://" + l.Addr().String()
		if m := taken(t, r, changed, step); m.OK || !strings.Contains(m.Message, "connection refused") {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("an untrusted certificate", func(t *testing.T) {
		s := httptest.NewUnstartedServer(text(200, ""))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		r, changed := newTestRunner(t, Options{})
		step := call("", "")
		step.HTTP.URL = s.URL
		if m := taken(t, r, changed, step); m.OK || !strings.Contains(m.Message, "certificate") {
			t.Errorf("got %+v", m)
		}
	})
}

func TestARedirectOnTheSameHostIsFollowed(t *testing.T) {
	address := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/there/" {
			http.Redirect(w, req, "/there/", http.StatusMovedPermanently)
		}
	})
	r, changed := newTestRunner(t, Options{})
	step := call("", "")
	step.HTTP.URL = address + "/there"
	if m := taken(t, r, changed, step); !m.OK {
		t.Error(m.Message)
	}
}

func TestARealRunnerDoesNotConnectToTheManager(t *testing.T) {
	var called atomic.Bool
	address := answering(t, func(http.ResponseWriter, *http.Request) { called.Store(true) })
	changed := make(chan types.NamespacedName, 1)
	r, err := NewRunner(Options{Changed: func(d types.NamespacedName) { changed <- d }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		step := call("", "")
		step.HTTP.URL = strings.Replace(address, "127.0.0.1", host, 1)
		m := taken(t, r, changed, step)
		if m.OK || !strings.Contains(m.Message, "the manager does not connect there") {
			t.Errorf("%s: got %+v", host, m)
		}
	}
	if called.Load() {
		t.Error("it was connected to")
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxy := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was called") })
	t.Setenv("HTTP_PROXY", proxy)
	r, changed := newTestRunner(t, Options{AllowedHosts: []string{"no-such-host.invalid"}})
	step := call("", "")
	step.HTTP.URL = "http://no-such-host.invalid/"
	if m := taken(t, r, changed, step); m.OK {
		t.Errorf("got %+v", m)
	}
}

func TestNothingIsSentToAHostThatIsNotAllowed(t *testing.T) {
	address := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	r, changed := newTestRunner(t, Options{AllowedHosts: []string{"*.monitoring.svc"}})
	step := call("", "")
	step.HTTP.URL = address
	if m := taken(t, r, changed, step); m.OK || !strings.Contains(m.Message, "--analysis-allowed-hosts") {
		t.Errorf("got %+v", m)
	}
}

func TestAnInstallationMayTakeNoMeasurements(t *testing.T) {
	address := answering(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	r, changed := newTestRunner(t, Options{Disabled: true})
	step := call("", "")
	step.HTTP.URL = address
	if m := taken(t, r, changed, step); m.OK || !strings.Contains(m.Message, "--analysis=false") {
		t.Errorf("got %+v", m)
	}
}

func TestAMeasurementIsTakenOnceAndKept(t *testing.T) {
	var calls atomic.Int32
	address := answering(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	r, changed := newTestRunner(t, Options{})
	step := call("", "")
	step.HTTP.URL = address
	first, second := key("search", 0), key("search", 1)
	for range 3 {
		r.Measure(first, step)
	}
	<-changed
	r.Measure(first, step)
	a, ok := r.Result(first)
	if b, again := r.Result(first); !ok || !again || a != b || !a.OK {
		t.Errorf("got %+v, %+v", a, b)
	}
	if _, ok := r.Result(second); ok {
		t.Error("a measurement answers for the next one")
	}
	r.Measure(second, step)
	<-changed
	if _, ok := r.Result(second); !ok || calls.Load() != 2 {
		t.Errorf("%d calls", calls.Load())
	}
	if _, ok := r.Result(first); ok {
		t.Error("an old measurement is kept for ever")
	}
	r.Forget(first.DataSet)
	if _, ok := r.Result(second); ok || len(r.last) != 0 {
		t.Error("a measurement was not forgotten")
	}
}

// pipes is a network of which a handler is every server; in a bubble of synctest
// its time is the bubble's.
func pipes(r *Runner, serve func(net.Conn)) {
	r.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server)
		return client, nil
	}
}

// silence reads a request and answers nothing until it is hung up on.
func silence(conn net.Conn) {
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

func TestASilentServerFailsTheMeasurementInTime(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"no answer": silence,
		"a byte now and then": func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(conn, "x")
			}
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, changed := newTestRunner(t, Options{})
				pipes(r, serve)
				began := time.Now()
				m := taken(t, r, changed, call("status > 0", ""))
				if m.OK || !strings.Contains(m.Message, "no complete answer within 10s") || m.Time.Sub(began) != timeLimit {
					t.Errorf("got %+v after %s", m, m.Time.Sub(began))
				}
				time.Sleep(time.Minute) // until the server has noticed
			})
		})
	}
}

func TestANewerMeasurementCancelsTheOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, changed := newTestRunner(t, Options{})
		pipes(r, silence)
		r.Measure(key("search", 0), call("", ""))
		synctest.Wait()
		began := time.Now()
		time.Sleep(time.Second)
		r.Measure(key("search", 1), call("", ""))
		<-changed
		if past := time.Since(began); past != time.Second+timeLimit {
			t.Errorf("told after %s", past)
		}
		synctest.Wait()
		if len(changed) != 0 {
			t.Error("the measurement that was given up was told of")
		}
	})
}

func TestAMeasurementThatIsCancelledHasNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, changed := newTestRunner(t, Options{})
		pipes(r, silence)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Start(ctx) }()
		r.Measure(key("search", 0), call("", ""))
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if _, ok := r.Result(key("search", 0)); ok || len(changed) != 0 {
			t.Error("a measurement that was called off counts as one that failed")
		}
	})
}

func TestANamespaceOfSilentServersDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, changed := newTestRunner(t, Options{})
		var mu sync.Mutex
		open, most := 0, 0
		pipes(r, func(conn net.Conn) {
			mu.Lock()
			open++
			most = max(most, open)
			mu.Unlock()
			silence(conn)
			mu.Lock()
			open--
			mu.Unlock()
		})
		for i := range 50 {
			k := key(fmt.Sprint("loud-", i), 0)
			k.DataSet.Namespace = "loud"
			r.Measure(k, call("", ""))
		}
		synctest.Wait()
		began := time.Now()
		r.Measure(key("search", 0), call("", ""))
		for d := range changed {
			if d.Namespace == "shop" {
				break
			}
		}
		if past := time.Since(began); past != timeLimit {
			t.Errorf("another namespace waited for %s", past-timeLimit)
		}
		mu.Lock()
		if most > maxOfNamespace+1 {
			t.Errorf("%d connections at once", most)
		}
		mu.Unlock()
		r.stop()
		synctest.Wait()
		if len(r.turns.namespaces) != 0 || len(r.turns.all) != 0 {
			t.Errorf("turns were not given back: %v", r.turns.namespaces)
		}
	})
}

func TestARetryMeasuresAnew(t *testing.T) {
	dataSet := types.NamespacedName{Namespace: "shop", Name: "search"}
	began := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC))
	later := metav1.NewMicroTime(began.Add(time.Second))
	status := &v1alpha1.RolloutStatus{Revision: "search-1", Step: 2, StepStartTime: &began}
	first := NewKey(dataSet, status)
	read := metav1.NewMicroTime(began.Truncate(time.Microsecond).In(time.FixedZone("x", 3600)))
	if again := NewKey(dataSet, &v1alpha1.RolloutStatus{Revision: "search-1", Step: 2, StepStartTime: &read}); again != first {
		t.Errorf("read again it is another: %v, %v", first, again)
	}
	for name, other := range map[string]*v1alpha1.RolloutStatus{
		"another revision":     {Revision: "search-2", Step: 2, StepStartTime: &began},
		"another step":         {Revision: "search-1", Step: 3, StepStartTime: &began},
		"a retry":              {Revision: "search-1", Step: 2, StepStartTime: &later},
		"the next measurement": {Revision: "search-1", Step: 2, StepStartTime: &began, Analysis: &v1alpha1.AnalysisStatus{Failed: 1}},
	} {
		if NewKey(dataSet, other) == first {
			t.Errorf("%s has the same key", name)
		}
	}
}
