// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package exposition

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// keep is for how long gathered metrics are served. Collectors ask every few
// seconds at most.
const keep = time.Second

// page is the metrics as text.
type page struct {
	gatherer prometheus.Gatherer
	now      func() time.Time

	mu       sync.Mutex
	content  []byte
	gathered time.Time
}

// NewHandler serves the metrics in Prometheus' text format.
func NewHandler(g prometheus.Gatherer) http.Handler {
	return &page{gatherer: g, now: time.Now}
}

func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	content, err := p.currentContent()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	// A caller that left is no error of ours.
	_, _ = w.Write(content)
}

func (p *page) currentContent() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.content != nil && now.Sub(p.gathered) < keep {
		return p.content, nil
	}
	families, err := p.gatherer.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return nil, fmt.Errorf("encoding metrics: %w", err)
		}
	}
	p.content, p.gathered = text.Bytes(), now
	return p.content, nil
}
