// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// largePod is above what real pods are.
func largePod(t testing.TB) []byte {
	t.Helper()
	pod := &corev1.Pod{}
	pod.Annotations = map[string]string{"note": strings.Repeat("x", 250<<10)}
	for i := range 50 {
		c := corev1.Container{Name: fmt.Sprint("c", i), Image: "registry.example.com/app:1", Args: []string{"--a", "--b"}}
		for j := range 50 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("VARIABLE_", j), Value: "a value with \"quotes\", [brackets] and {braces}"})
		}
		for j := range 20 {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: fmt.Sprint("v", j), MountPath: fmt.Sprint("/mnt/", j)})
		}
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestALargePodIsWithinTheBounds(t *testing.T) {
	raw := largePod(t)
	if _, err := PodBounds.scanText(raw); err != nil || len(raw) > PodBounds.Bytes {
		t.Errorf("%d bytes: %v", len(raw), err)
	}
}

func TestWhatDecodingMakesLargeIsRefused(t *testing.T) {
	many := func(element string, n int) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	for name, text := range map[string]string{
		"empty containers":           `{"spec":{"containers":[` + many("{}", 20_000) + `]}}`,
		"nulls":                      `{"spec":{"containers":[` + many("null", 20_000) + `]}}`,
		"numbers":                    `{"spec":{"initContainers":[` + many("1", 20_000) + `]}}`,
		"nested lists":               `{"a":[` + many("[[]]", 20_000) + `]}`,
		"lists of one":               `{` + many(`"a":[{}]`, 20_000) + `}`,
		"the same key again":         `{` + many(`"containers":[{},{},{},{}]`, 5_000) + `}`,
		"variables over containers":  `{"containers":[` + many(`{"env":[`+many("{}", 100)+`]}`, 100) + `]}`,
		"labels":                     `{"metadata":{"labels":{` + many(`"a":"b"`, 30_000) + `}}}`,
		"space between":              `{"c":[` + many(" {\n}\t", 20_000) + `]}`,
		"depth":                      strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100),
		"depth of lists":             strings.Repeat(`[`, 100_000),
		"after a string with quotes": `{"a":"\"[{","c":[` + many("{}", 20_000) + `]}`,
		"after a backslash":          `{"a":"\\","c":[` + many("{}", 20_000) + `]}`,
		"an escaped u":               `{"a":"\u0022","c":[` + many("{}", 20_000) + `]}`,
		"a string without end":       `{"a":"` + many("{}", 20_000),
		"closed more than opened":    `]]]]` + many("{}", 20_000),
	} {
		if _, err := PodBounds.scanText([]byte(text)); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// FuzzScan compares with what the decoder counts.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x,]",{"b":[]}],"c":"\\\""}`))
	f.Add([]byte(`[[],[null],{}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var value any
		if json.Unmarshal(text, &value) != nil {
			return
		}
		elements := countElements(value)
		if elements == 0 {
			return
		}
		b := Bounds{Elements: elements - 1, Values: 1 << 30, Depth: 64}
		if _, err := b.scanText(text); err == nil {
			t.Errorf("%d elements are not counted in %q", elements, text)
		}
	})
}

func countElements(value any) int {
	n := 0
	switch v := value.(type) {
	case []any:
		n = len(v)
		for _, e := range v {
			n += countElements(e)
		}
	case map[string]any:
		for _, e := range v {
			n += countElements(e)
		}
	}
	return n
}
