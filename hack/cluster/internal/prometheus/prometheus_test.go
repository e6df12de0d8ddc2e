// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package prometheus

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

func TestTargetsAreScrapedEverySecond(t *testing.T) {
	got, err := configuration(map[string]string{"shop": "127.0.0.1:9000", "kuda-manager": "[fd00::1]:8080"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "global": {
    "evaluation_interval": "1s",
    "scrape_interval": "1s",
    "scrape_timeout": "1s"
  },
  "scrape_configs": [
    {
      "job_name": "kuda-manager",
      "static_configs": [
        {
          "targets": [
            "[fd00::1]:8080"
          ]
        }
      ]
    },
    {
      "job_name": "shop",
      "static_configs": [
        {
          "targets": [
            "127.0.0.1:9000"
          ]
        }
      ]
    }
  ]
}`
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func TestAnInvalidTargetIsAnError(t *testing.T) {
	for _, settings := range []map[string]string{
		{"shop": "127.0.0.1"}, {"shop": ":9000"}, {"shop": "http://x:9000"}, {"shop": "x:0"}, {"shop": "x:port"}, {"a b": "x:9000"},
	} {
		o := storage.Options{Dir: t.TempDir(), Address: "127.0.0.1", Settings: settings}
		err := Run(t.Context(), o, func(any) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "setting ") {
			t.Errorf("%v: got %v", settings, err)
		}
	}
}

func TestContentIsRefused(t *testing.T) {
	o := storage.Options{Dir: t.TempDir(), Address: "127.0.0.1", Content: t.TempDir()}
	if err := Run(t.Context(), o, func(any) error { return nil }); err == nil || !strings.Contains(err.Error(), "--content") {
		t.Errorf("got %v", err)
	}
}
