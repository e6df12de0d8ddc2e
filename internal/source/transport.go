// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kuda-io/kuda/internal/source/local"
)

// TransportConfig describes how an HTTP server is reached.
type TransportConfig struct {
	// CAFile has the certificates (PEM) that the server's is checked against;
	// "" for the system's.
	CAFile string
	// CAName is what messages call CAFile, such as `ConfigMap "ca", key ca.crt`.
	CAName string
	// Proxy is the URL of an HTTP proxy, "" for none.
	Proxy string
	// Servers are those that the settings name. Only where one of them, or the proxy, is an
	// address of the pod itself or of its node is such an address connected to.
	Servers []string
}

const (
	// maxIdle connections to a server are kept: as many as may be busy at once, so that
	// the next requests find them open.
	maxIdle = 512
	// readBuffer takes the header of an answer and a small file after it. Larger reads
	// go past it, so that more would be memory of each connection for nothing.
	readBuffer = 16 << 10
)

// NewTransport returns a transport for moving large bodies over several
// connections: HTTP/1.1 only (one connection of HTTP/2 would be shared by all
// ranges), spread over the addresses of the server's name, no transparent decompression. There is no limit on
// the time a body takes; a watchdog on progress is the retry package's.
//
// It returns the words of the Provenance's Way for the proxy and the
// certificates too: those of the very bytes that it read.
func NewTransport(c TransportConfig) (t *http.Transport, way string, err error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: local.Control(append(c.Servers, c.Proxy)...)}
	t = &http.Transport{
		DialContext:           newSpreader(dialer).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       30 * time.Second,
		ReadBufferSize:        readBuffer,
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if c.Proxy != "" {
		proxy, err := url.Parse(c.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, "", &Error{Op: "reading the settings", Class: ErrMisconfigured,
				Err: errors.New("proxy is not a URL such as http://host:port")} // it may carry a password
		}
		t.Proxy = http.ProxyURL(proxy)
		way = proxyWord + proxy.Scheme + "://" + proxy.Host
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if errors.Is(err, fs.ErrNotExist) {
			mount := Mount{Dir: filepath.Dir(c.CAFile), Name: c.CAName}
			err = mount.Lacks("has no key " + filepath.Base(c.CAFile))
		}
		if err != nil {
			return nil, "", &Error{Op: "reading the certificates", Class: ErrCredentials, Err: err}
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, "", &Error{Op: "reading the certificates", Class: ErrMisconfigured,
				Err: fmt.Errorf("%s holds no certificate in PEM", c.CAName)}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		way = JoinWay(way, ContentWord("ca", pem))
	}
	return t, way, nil
}

func inodeOf(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
