// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission/endpoint"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
)

// envServe makes the test's binary serve the webhooks on the address, so that their
// memory can be measured from outside.
const envServe = "KUDA_WEBHOOK_TEST_SERVE"

const (
	// webhookMemory is the limit of the manifest: what takes more is killed.
	webhookMemory = 256 << 20
	// webhookCaches stands for what a real webhook keeps of the cluster's objects.
	webhookCaches = 64 << 20
)

func TestMain(m *testing.M) {
	if address := os.Getenv(envServe); address != "" {
		fmt.Fprintln(os.Stderr, serveWebhooks(address))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveWebhooks(address string) error {
	ctrl.SetLogger(logr.Discard())
	caches := bytes.Repeat([]byte{1}, webhookCaches)
	defer runtime.KeepAlive(caches)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s := endpoint.New(endpoint.Options{Address: address,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }})
	registry := prometheus.NewRegistry()
	counts, err := NewMetrics(registry)
	if err != nil {
		return err
	}
	gate, err := intake.NewGate(registry)
	if err != nil {
		return err
	}
	cfg, err := config.Parse(nil, "kuda-runtime:v0.1.0")
	if err != nil {
		return err
	}
	m := &memory{dataSets: v1alpha1.DataSetList{Items: []v1alpha1.DataSet{*dataSet()}}}
	settings := func() inject.Settings { return cfg.Settings(nil) }
	Register(s, gate, Pods{Cache: m, Live: m, Metrics: counts, Log: logr.Discard(), Settings: settings},
		&DataSets{Settings: settings, Log: logr.Discard()})
	return s.Start(context.Background())
}

// webhookProcess starts the webhooks and returns their address and the process.
func webhookProcess(t *testing.T) (string, *exec.Cmd) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envServe+"="+address, "GOMEMLIMIT="+strconv.Itoa(webhookMemory*9/10))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return address, cmd
		}
		<-again.C
	}
}

// peakOf returns the most memory that the process had, in bytes, without the pages
// of its binary: the kernel takes those back before it kills.
func peakOf(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kib := map[string]int64{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); name == "VmHWM" || name == "RssFile" {
			if kib[name], err = strconv.ParseInt(fields[0], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	if kib["VmHWM"] == 0 {
		t.Fatal("the webhook has ended")
	}
	return (kib["VmHWM"] - kib["RssFile"]) << 10
}

// caller posts from one of the machine's loopback addresses.
func caller(t *testing.T, from string) *http.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func reviewOf(object string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE","namespace":"shop",` +
		`"object":` + object + `}}`
}

func post(c *http.Client, address, body string) (int, string, error) {
	resp, err := c.Post("https://"+address+PathPods, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// selected is the beginning of a pod that the DataSet selects, so that all of it is decoded.
const selected = `{"metadata":{"labels":{"app":"search"}},"spec":{"containers":[`

func TestHostileReviewsTakeNoMemoryAndHoldUpNoOtherCaller(t *testing.T) {
	address, cmd := webhookProcess(t)
	good := reviewOf(selected + `{"name":"app","image":"search:1"}]}}`)
	known := caller(t, "127.0.0.9")
	answered := func(name string) {
		t.Helper()
		code, body, err := post(known, address, good)
		if err != nil || code != http.StatusOK || !strings.Contains(body, `"patch":`) {
			t.Fatalf("beside %s: %d %.200s, %v", name, code, body, err)
		}
	}
	answered("nothing")
	for name, body := range map[string]string{
		"20,000 containers":      reviewOf(selected + strings.Repeat("{},", 20_000) + `{}]}}`),
		"as many as are counted": reviewOf(selected + strings.Repeat("{},", 8_000) + `{}]}}`),
		"as many as are decoded": reviewOf(selected + `{"name":"app"}],"volumes":[` + strings.Repeat("{},", 8_000) + `{}]}}`),
		"with a large text": reviewOf(selected + `{}],"volumes":[` + strings.Repeat("{},", 8_000) + `{"name":"` +
			strings.Repeat("x", 900<<10) + `"}]}}`),
		"many small ones": reviewOf(selected + strings.Repeat("{},", 1_000) + `{}]}}`),
		"many labels":     reviewOf(`{"metadata":{"labels":{` + strings.Repeat(`"k":"v",`, 25_000) + `"app":"search"}}}`),
	} {
		var wg sync.WaitGroup
		for i := range 4 {
			c := caller(t, fmt.Sprint("127.0.0.", i+1))
			for range 50 {
				wg.Go(func() { _, _, _ = post(c, address, body) })
			}
		}
		for range 10 {
			answered(name)
		}
		wg.Wait()
		t.Logf("%s: %d MiB at most", name, peakOf(t, cmd)>>20)
	}
	if peak := peakOf(t, cmd); peak > webhookMemory {
		t.Errorf("the webhook had %d MiB, want at most %d", peak>>20, webhookMemory>>20)
	}
}

// frame is one of HTTP/2 (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	f := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(f, stream), payload...)
}

// header is one field without compression (RFC 7541, section 6.2.2).
func header(name, value string) []byte {
	integer := func(n int) []byte { // of 7 bits
		if n < 127 {
			return []byte{byte(n)}
		}
		b := []byte{127}
		for n -= 127; n >= 128; n /= 128 {
			b = append(b, byte(n%128+128))
		}
		return append(b, byte(n))
	}
	f := append([]byte{0}, integer(len(name))...)
	f = append(append(f, name...), integer(len(value))...)
	return append(f, value...)
}

// untaken opens a connection with as many requests as there may be, and takes no
// answer: the window for them is 0.
func untaken(t *testing.T, address, from, body string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	c, err := tls.DialWithDialer(&d, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = append(out, frame(4, 0, 0, []byte{0, 4, 0, 0, 0, 0})...) // SETTINGS_INITIAL_WINDOW_SIZE: 0
	var fields []byte
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "x"}, {":path", PathPods},
		{"content-type", "application/json"}, {"x-long", strings.Repeat("h", 3<<10)}} {
		fields = append(fields, header(f[0], f[1])...)
	}
	for stream := uint32(1); stream < 100; stream += 2 {
		out = append(out, frame(1, 4, stream, fields)...)       // HEADERS, END_HEADERS
		out = append(out, frame(0, 1, stream, []byte(body))...) // DATA, END_STREAM
	}
	_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = c.Write(out) // the webhook may have closed it
	return c, nil
}

func TestResponsesThatAreNotReadHoldBoundedMemory(t *testing.T) {
	address, cmd := webhookProcess(t)
	good := reviewOf(selected + `{"name":"app","image":"search:1"}]}}`)
	known := caller(t, "127.0.0.9")
	for i := range 400 {
		c, err := untaken(t, address, fmt.Sprint("127.0.0.", i%4+1), good)
		if err != nil {
			continue // the webhook has closed it in favour of another
		}
		defer c.Close()
		if i%20 != 19 {
			continue
		}
		if code, body, err := post(known, address, good); err != nil || code != http.StatusOK {
			t.Fatalf("beside %d connections: %d %.200s, %v", i, code, body, err)
		}
	}
	peak := peakOf(t, cmd)
	t.Logf("%d MiB at most", peak>>20)
	if peak > webhookMemory {
		t.Errorf("the webhook had %d MiB, want at most %d", peak>>20, webhookMemory>>20)
	}
}
