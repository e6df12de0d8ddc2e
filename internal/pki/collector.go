// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	caExpiry = prometheus.NewDesc("kuda_ca_expires_in_seconds",
		"Seconds until the CA that signs now expires; 0 when there is none.", nil, nil)
	caGenerations = prometheus.NewDesc("kuda_ca_generations",
		"Mounted CAs, expired ones included; 2 or more while one follows another.", nil, nil)
	leafExpiry = prometheus.NewDesc("kuda_certificate_expires_in_seconds",
		"Seconds until the certificate that this replica serves expires; 0 before the first client.", nil, nil)
)

// Collector tells when the CA and a certificate that it issued expire.
type Collector struct {
	Authority *Authority
	Leaf      *Leaf
}

// Describe implements prometheus.Collector.
func (c Collector) Describe(descs chan<- *prometheus.Desc) {
	descs <- caExpiry
	descs <- caGenerations
	descs <- leafExpiry
}

// Collect implements prometheus.Collector.
func (c Collector) Collect(metrics chan<- prometheus.Metric) {
	now := c.Authority.Now()
	gauge := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, max(value, 0))
	}
	var ca float64
	if signer, err := c.Authority.Signer(); err == nil {
		ca = signer.NotAfter().Sub(now).Seconds()
	}
	gauge(caExpiry, ca)
	gauge(caGenerations, float64(len(c.Authority.Generations())))
	var leaf float64
	if notAfter := c.Leaf.NotAfter(); !notAfter.IsZero() {
		leaf = notAfter.Sub(now).Seconds()
	}
	gauge(leafExpiry, leaf)
}
