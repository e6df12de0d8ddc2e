// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cachingproxy runs Debian's nginx as a caching HTTP proxy for tests: it takes
// requests for any http:// URL, fetches what it does not have in pieces of 1 MiB, and
// keeps it under the host and the path alone, whatever the query signs. Proxies of
// this kind serve what they have without asking whether the origin changed.
//
// Its setting is cache-size=BYTES (default 1 GiB).
package cachingproxy
