// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/source"
)

const (
	// maxPage bounds a page of a listing, in bytes: a thousand keys of a kilobyte
	// each, every byte of them escaped, are a tenth of it.
	maxPage = 64 << 20
	// pageTime is how long a page may take.
	pageTime = 5 * time.Minute
	// pageTries is how often a page is asked for, where the service fails or sends
	// something else: the listing goes on where it is then, and not from its start.
	pageTries = 3
	// pagePause is how long to wait between two tries.
	pagePause = 300 * time.Millisecond
)

// pages knows the tokens of one listing, so that one that goes in circles ends.
type pages struct {
	mu   sync.Mutex
	seen map[string]bool
}

type pagesKey struct{}

func withPages(ctx context.Context) context.Context {
	return context.WithValue(ctx, pagesKey{}, &pages{seen: map[string]bool{}})
}

// markSeen records the token of the page that follows; it reports whether the token
// is new.
func (p *pages) markSeen(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[token] {
		return false
	}
	p.seen[token] = true
	return true
}

// listPage asks for a page of a listing until it gets one.
func (t *answers) listPage(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		response, err := t.fetchPage(r)
		if try == pageTries || !canRetry(r.Context(), response, err) {
			return response, err
		}
		if response != nil {
			response.Body.Close()
		}
		if err := backoff.Sleep(r.Context(), time.Duration(try)*t.pause); err != nil {
			return nil, err
		}
	}
}

// canRetry reports whether the same page may come when it is asked for again.
func canRetry(ctx context.Context, response *http.Response, err error) bool {
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		return source.Temporary(source.Wrap(ctx, "", err))
	}
	switch response.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return response.Header.Get("Retry-After") == ""
	}
	return false
}

// fetchPage asks for a page once, and returns it once it is sure to be one.
func (t *answers) fetchPage(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	source.Alive(r.Context())
	if response.StatusCode != http.StatusOK {
		return response, nil
	}
	late := time.AfterFunc(pageTime, func() { response.Body.Close() })
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	late.Stop()
	response.Body.Close()
	if err != nil {
		return nil, source.Wrap(r.Context(), "reading a page of the listing", err)
	}
	if err := checkPage(body); err != nil {
		return nil, err
	}
	if p, ok := r.Context().Value(pagesKey{}).(*pages); ok {
		if token := nextToken(body); token != "" && !p.markSeen(token) {
			return nil, &source.Error{Op: "reading a page of the listing", Class: source.ErrMisconfigured,
				Err: errors.New("the listing goes in circles: the service gives the same token for two pages")}
		}
	}
	source.Alive(r.Context())
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// checkPage returns an error unless an answer is a complete page of a listing,
// with whether another page follows. Whatever else a service, or a proxy before
// it, sends with the status of a success is not an empty listing.
func checkPage(body []byte) error {
	unlike := func(what string) error {
		return &source.Error{Op: "reading a page of the listing", Class: source.ErrTemporary,
			Err: fmt.Errorf("%s: the service answered with %s", what, source.FirstWords(body))}
	}
	if len(body) > maxPage {
		return unlike(fmt.Sprintf("the page has more than %d bytes", maxPage))
	}
	if rootOf(body) != "ListBucketResult" {
		return unlike("this is no listing")
	}
	end := bytes.TrimRight(body, " \t\r\n")
	if i := bytes.LastIndex(end, []byte("</")); i < 0 || !bytes.HasSuffix(end, []byte("ListBucketResult>")) ||
		bytes.IndexByte(end[i:], '>') != len(end)-i-1 {
		return unlike("the listing does not end")
	}
	switch elementText(body, "IsTruncated") {
	case "false":
	case "true":
		if nextToken(body) == "" {
			return unlike("the listing goes on, and does not say how")
		}
	default:
		return unlike("the listing does not say whether it ends here")
	}
	return nil
}

// rootOf returns the name of a document's first element, "" if there is none.
func rootOf(body []byte) string {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for {
		token, err := decoder.RawToken()
		if err != nil {
			return ""
		}
		switch token := token.(type) {
		case xml.StartElement:
			return token.Name.Local
		case xml.CharData:
			if len(bytes.TrimSpace(bytes.TrimPrefix(token, []byte("\ufeff")))) > 0 {
				return ""
			}
		}
	}
}

func nextToken(body []byte) string { return elementText(body, "NextContinuationToken") }

// elementText returns what is in the first element of a name that a listing has once.
// Keys cannot hold one: in them a < is escaped.
func elementText(body []byte, name string) string {
	for rest := body; ; {
		i := bytes.Index(rest, []byte(name+">"))
		if i < 0 {
			return ""
		}
		before, inner := rest[:i], rest[i+len(name)+1:]
		if tag := before[bytes.LastIndexByte(before, '<')+1:]; len(tag) == 0 || isPrefix(tag) {
			end := max(bytes.IndexByte(inner, '<'), 0)
			return string(bytes.TrimSpace(inner[:end]))
		}
		rest = inner
	}
}

// isPrefix reports whether a tag up to its local name is the prefix of a
// namespace.
func isPrefix(tag []byte) bool {
	return tag[len(tag)-1] == ':' && !bytes.ContainsAny(tag, " /?!>")
}
