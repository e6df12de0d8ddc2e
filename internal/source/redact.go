// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/url"
	"regexp"
	"strings"
)

// cut stands in texts for what was taken out of a URL.
const cut = "…"

var (
	// webURL is an address that may carry a secret in its query or its user
	// information. It ends where no URL goes on.
	webURL = regexp.MustCompile("(?i)\\b[a-z][a-z0-9+.-]*://[^\\s\"'<>`]+")
	// looseQuery is the query of an address without its host, as a Location
	// header may have one.
	looseQuery = regexp.MustCompile("\\?[A-Za-z0-9_.~%+-]+=[^\\s\"'<>`]*")
	// looseSecret is the same where the query is one word.
	looseSecret = regexp.MustCompile("([\"'\\s(<>`]/[^\\s\"'?<>`]*\\?)[^\\s\"'<>`]+")
	// badLocation is what net/http says of a Location header that is no address: all
	// of it, so that it is unknown what in it is a query.
	badLocation = regexp.MustCompile(`(failed to parse Location header )"(?:[^"\\]|\\.)*"(?:: parse "(?:[^"\\]|\\.)*")?`)
	// asked is how net/http quotes the address of a request, whatever form a redirect
	// gave it.
	asked = regexp.MustCompile(`\b((?:Get|Head|Post|Put) "(?:[^"\\?#]|\\.)*[?#])(?:[^"\\]|\\.)*"`)
	// secretParameter is a parameter that signs a request, wherever it stands.
	secretParameter = regexp.MustCompile("(?i)\\b(x-(?:amz|goog|oss|obs|cos)-(?:credential|signature|security-token)|signature|sig|" +
		"awsaccesskeyid|access_token|auth_token|id_token|refresh_token|api_?key|password|secret|token)=[^&\\s\"'<>;,`]+")
)

// Redact returns text without the secrets that URLs in it may carry: queries,
// fragments and user information. It is what every Error passes through, so that
// no message, log, event or status quotes the signature of a redirect.
func Redact(text string) string {
	if !strings.ContainsAny(text, "?=@#") {
		return text
	}
	text = badLocation.ReplaceAllString(text, "${1}"+cut)
	text = asked.ReplaceAllString(text, "${1}"+cut+`"`)
	text = webURL.ReplaceAllStringFunc(text, redactURL)
	text = looseQuery.ReplaceAllString(text, "?"+cut)
	text = looseSecret.ReplaceAllString(text, "${1}"+cut)
	return secretParameter.ReplaceAllString(text, "$1="+cut)
}

// redactURL works on the text, because a URL that cannot be parsed may carry a
// secret too.
func redactURL(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	web := strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	// A password may hold a slash that was not escaped: the last @ counts as
	// long as no path that could hold one has begun before a colon.
	host, path := rest[:end], rest[end:]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = cut + host[i:]
	} else if i := strings.LastIndexByte(rest, '@'); web && i >= 0 && strings.Contains(host, ":") && !portOnly(host) {
		host, path = cut, rest[i:]
	}
	// Elsewhere than on the web, ? and # are letters of a name like any others.
	if i := strings.IndexAny(path, "?#"); web && i >= 0 {
		path = path[:i+1] + cut
	}
	return scheme + "://" + host + path
}

// portOnly reports whether what follows the first colon of an authority can be a
// port, and is no part of a password then.
func portOnly(host string) bool {
	u, err := url.Parse("http://" + host)
	return err == nil && u.Host == host
}
