//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// usage is what a process has taken.
type usage struct {
	// cpu is processor time; resident and peak are bytes.
	cpu            time.Duration
	resident, peak int64
}

// sample is the counters at one moment.
type sample struct {
	manager usage
	// writes that were stored, and reviews, by resource.
	calls map[string]int64
}

func (w *world) sample(t *testing.T) sample {
	t.Helper()
	return sample{manager: w.manager.usage(t), calls: w.counters.read(t)}
}

// ticksPerSecond is the unit of processor time in /proc.
const ticksPerSecond = 100

func (p *process) usage(t *testing.T) usage {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name, which may have blanks, ends with the last parenthesis.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	u := usage{cpu: time.Duration(user+system) * time.Second / ticksPerSecond}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if name == "VmRSS" {
			u.resident = kib << 10
		} else {
			u.peak = kib << 10
		}
	}
	return u
}

// resetPeak has the kernel count the most memory from now on.
func (p *process) resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// counters reads what the API server counts of its requests.
type counters struct{ client *http.Client }

func newCounters(t *testing.T) *counters {
	t.Helper()
	c, err := rest.HTTPClientFor(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return &counters{c}
}

var label = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// counted are the resources whose calls are reported; the others are made by the test itself.
var counted = map[string]bool{
	"datas": true, "datas/status": true, "datasets/status": true, "events": true, "leases": true, "controllerrevisions": true,
	"nodestores": true, "nodestores/status": true, "tokenreviews": true,
}

// read returns the calls that succeeded in changing something or were reviews, by resource,
// the refused ones as "conflicts", and the lists of DataSets as "lists".
func (c *counters) read(t *testing.T) map[string]int64 {
	t.Helper()
	response, err := c.client.Get(strings.TrimSuffix(cluster.Config.Host, "/") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("reading the metrics of the API server: %s", response.Status)
	}
	calls := map[string]int64{}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "apiserver_request_total{")
		if !ok {
			continue
		}
		end := strings.LastIndexByte(rest, '}')
		labels := map[string]string{}
		for _, m := range label.FindAllStringSubmatch(rest[:end], -1) {
			labels[m[1]] = m[2]
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[end+1:]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if name := nameCall(labels); name != "" {
			calls[name] += int64(value)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(calls) == 0 {
		t.Fatalf("the API server counts no request of those that are looked for (%s)", response.Header.Get("Content-Type"))
	}
	return calls
}

// nameCall returns what a call counts as; empty: nothing.
func nameCall(labels map[string]string) string {
	resource := labels["resource"]
	if labels["subresource"] != "" {
		resource += "/" + labels["subresource"]
	}
	switch labels["verb"] {
	case "POST", "PUT", "PATCH", "APPLY", "DELETE":
		switch {
		case !counted[resource]:
			return ""
		case labels["code"] == strconv.Itoa(http.StatusConflict):
			return "conflicts"
		case strings.HasPrefix(labels["code"], "2"):
			return resource
		}
	case "LIST":
		if resource == "datasets" {
			return "lists"
		}
	}
	return ""
}

// callsBetween returns what was counted between two samples.
func callsBetween(before, after sample) map[string]int64 {
	calls := maps.Clone(after.calls)
	for name, n := range before.calls {
		calls[name] -= n
	}
	maps.DeleteFunc(calls, func(_ string, n int64) bool { return n == 0 })
	return calls
}
