// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Driver is a Source that says whose bytes it delivers, and to whom. What one
// DataSet fetched is given to another only by what the drivers of both say.
// Every driver of package all is one; a decorator need not be.
type Driver interface {
	Source
	// Provenance is read when the source is about to be used. It may ask the
	// platform who this process is, but not the storage system. Its errors have
	// the classes of the other methods.
	Provenance(ctx context.Context) (Provenance, error)
}

// Provenance is what, beside Source.Identity, decides whose bytes arrive and who
// is given them. Two sources with the same Identity and Way have one origin: they
// read the same storage system, and the same servers and proxies could put other
// bytes in its place.
type Provenance struct {
	// Way has what the settings say of the way to the storage system, such as
	// "http", "proxy=http://proxy:3128" and "ca=sha256:…", separated by spaces; ""
	// for a server whose certificate the system's authorities vouch for. It holds
	// no secret.
	Way string
	// Host is the server's name where the server does not prove who it is: then the
	// resolver of this process decides whose bytes arrive. It is "" where the server
	// proves it, by a certificate for example.
	Host string
	// Principal is who asks, as a text that takes the whole credentials to make: a
	// user name with its password, not the name alone, which others can claim. It is
	// "" without credentials. It is a secret: only keyed hashes of it are stored.
	Principal Secret
}

// Direct reports whether the settings name no proxy.
func (p Provenance) Direct() bool { return !strings.Contains(" "+p.Way, " "+proxyWord) }

const proxyWord = "proxy="

// JoinWay makes a Way of words, leaving out those that are empty.
func JoinWay(words ...string) string {
	var kept []string
	for _, word := range words {
		if word != "" {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// ContentWord is a word of a Way for something whose content decides: a label and
// a digest.
func ContentWord(label string, content []byte) string {
	sum := sha256.Sum256(content)
	return label + "=sha256:" + hex.EncodeToString(sum[:])
}

// PlainWord is the word of a Way for a URL that is read without TLS, else "".
func PlainWord(u *url.URL) string {
	if u.Scheme == "http" {
		return "http"
	}
	return ""
}

// PlainHost is the host of a URL that is read without TLS, for Provenance.Host, or
// else that of the proxy through which it is; "" for addresses, which need no
// resolving.
func PlainHost(u *url.URL, proxy string) string {
	if u.Scheme != "http" {
		return ""
	}
	hosts := []string{u.Hostname()}
	if p, err := url.Parse(proxy); err == nil {
		hosts = append(hosts, p.Hostname())
	}
	for _, host := range hosts {
		if host != "" && net.ParseIP(host) == nil {
			return host
		}
	}
	return ""
}

// MakePrincipal makes a Principal of a kind of credentials and their parts, so
// that no two lists of parts make the same one.
func MakePrincipal(kind string, parts ...Secret) Secret {
	var b strings.Builder
	b.WriteString(kind)
	for _, part := range parts {
		fmt.Fprintf(&b, "\x00%d:%s", len(part), part.Reveal())
	}
	return Secret(b.String())
}

// TokenSubject returns whom a JSON web token was issued to, and by whom. It does
// not check the token: that is for tokens that the platform itself mounts.
func TokenSubject(token string) (who string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Issuer == "" || claims.Subject == "" {
		return "", false
	}
	return claims.Issuer + " " + claims.Subject, true
}
